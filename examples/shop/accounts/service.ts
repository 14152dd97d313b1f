import { database, isError, service, tokens } from "plinth";
import { type Account, accounts } from "./contract.ts";
import { openForGuest } from "./guests.ts";
import { hashPassword, verifyPassword } from "./password.ts";
import { type AccountRow, findAccount, insertAccount } from "./people.ts";

function toAccount({ id, email, name, created_at }: AccountRow): Account {
  return { id, email, name, createdAt: created_at };
}

/**
 * Accounts may be spread over several servers, each where its id says: `db.at(id)`. Whose an address is, no server could
 * say alone; the directory does, for whoever has claimed it. Addresses are compared in small letters.
 */
export default service(accounts, {
  needs: {
    db: database({ migrations: new URL("./migrations/", import.meta.url), shardBy: { accounts: "id" } }),
    tokens: tokens(),
  },
  methods: {
    async signUp({ email, password, name }, { db, tokens, fail }) {
      const address = email.toLowerCase();
      const taken = () => fail("EMAIL_TAKEN", "There is an account with this address.");
      // Before the costly part, to spare it; the claim below decides between two who come at once.
      if ((await db.directory.lookup("email", address)) !== undefined) throw taken();
      const hash = await hashPassword(password);
      const id = db.newId();
      const claim = await db.directory.claim("email", address, id).catch((thrown: unknown) => {
        if (isError(thrown, "CLAIM_TAKEN")) throw taken();
        if (isError(thrown, "CLAIM_PENDING")) throw fail("EMAIL_PENDING", "Somebody signs up with this address.");
        throw thrown;
      });
      const row = await db.at(id).transaction(async (tx) => {
        await claim.confirm(tx);
        return insertAccount(tx, { id, email: address, name, password: hash });
      });
      return { account: toAccount(row), ...(await tokens.issue({ subject: id })) };
    },

    async signIn({ email, password }, { db, tokens, fail }) {
      const id = await db.directory.lookup("email", email.toLowerCase());
      const row = id === undefined ? undefined : await findAccount(db.at(id), id);
      if (!(await verifyPassword(password, row?.password ?? undefined)) || !row) {
        throw fail("CREDENTIALS_WRONG", "The address or the password is wrong.");
      }
      return { account: toAccount(row), ...(await tokens.issue({ subject: row.id })) };
    },

    async getMine(_request, { db, principal, fail }) {
      const { subject: id } = principal;
      const row =
        (await findAccount(db.at(id), id)) ??
        (await openForGuest(principal, db, () => fail("EMAIL_TAKEN", "There is an account with this address.")));
      if (!row) throw fail("ACCOUNT_GONE", "This account is gone; sign in again.");
      return toAccount(row);
    },
  },
});
