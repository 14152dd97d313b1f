import { database, isError, newId, service, tokens } from "plinth";
import { type Account, accounts } from "./contract.ts";
import { hashPassword, verifyPassword } from "./password.ts";

interface AccountRow {
  id: string;
  email: string;
  name: string;
  password: string;
  created_at: string;
}

function toAccount({ id, email, name, created_at }: AccountRow): Account {
  return { id, email, name, createdAt: created_at };
}

export default service(accounts, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), tokens: tokens() },
  methods: {
    async signUp({ email, password, name }, { db, tokens, fail }) {
      const hash = await hashPassword(password);
      const account = { id: newId(), email: email.toLowerCase(), name };
      try {
        const [row] = await db.sql<AccountRow>`
          insert into accounts (id, email, name, password)
          values (${account.id}, ${account.email}, ${name}, ${hash}) returning *`;
        return { account: toAccount(row as AccountRow), ...(await tokens.issue({ subject: account.id })) };
      } catch (thrown) {
        if (isError(thrown, "already_exists")) throw fail("EMAIL_TAKEN", "There is an account with this address.");
        throw thrown;
      }
    },

    async signIn({ email, password }, { db, tokens, fail }) {
      const [row] = await db.sql<AccountRow>`select * from accounts where email = ${email.toLowerCase()}`;
      if (!(await verifyPassword(password, row?.password)) || !row) {
        throw fail("CREDENTIALS_WRONG", "The address or the password is wrong.");
      }
      return { account: toAccount(row), ...(await tokens.issue({ subject: row.id })) };
    },

    async getMine(_request, { db, principal, fail }) {
      const [row] = await db.sql<AccountRow>`select * from accounts where id = ${principal.subject}`;
      if (!row) throw fail("ACCOUNT_UNKNOWN", "This account is gone.");
      return toAccount(row);
    },

    async getAccount({ id }, { db, fail }) {
      const [row] = await db.sql<AccountRow>`select * from accounts where id = ${id}`;
      if (!row) throw fail("ACCOUNT_UNKNOWN", `There is no account "${id}".`);
      return toAccount(row);
    },
  },
});
