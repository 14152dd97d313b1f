import { database, newId, service, tokens } from "plinth";
import { type Account, accounts } from "./contract.ts";
import { hashPassword, verifyPassword } from "./password.ts";
import { type AccountRow, findAccount, findAccountId, insertAccount } from "./people.ts";

function toAccount({ id, email, name, created_at }: AccountRow): Account {
  return { id, email, name, createdAt: created_at };
}

export default service(accounts, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), tokens: tokens() },
  methods: {
    async signUp({ email, password, name }, { db, tokens, fail }) {
      const address = email.toLowerCase();
      const taken = () => fail("EMAIL_TAKEN", "There is an account with this address.");
      // Before the costly part, to spare it; the insert below decides between two who come at once.
      if ((await findAccountId(db, address)) !== undefined) throw taken();
      const hash = await hashPassword(password);
      const row = await insertAccount(db, { id: newId(), email: address, name, password: hash });
      if (!row) throw taken();
      return { account: toAccount(row), ...(await tokens.issue({ subject: row.id })) };
    },

    async signIn({ email, password }, { db, tokens, fail }) {
      const id = await findAccountId(db, email.toLowerCase());
      const row = id === undefined ? undefined : await findAccount(db, id);
      if (!(await verifyPassword(password, row?.password)) || !row) {
        throw fail("CREDENTIALS_WRONG", "The address or the password is wrong.");
      }
      return { account: toAccount(row), ...(await tokens.issue({ subject: row.id })) };
    },

    async getMine(_request, { db, principal, fail }) {
      const row = await findAccount(db, principal.subject);
      if (!row) throw fail("ACCOUNT_GONE", "This account is gone; sign in again.");
      return toAccount(row);
    },
  },
});
