import { isError, type Principal, type ShardedDatabase } from "plinth";
import { type AccountRow, findAccount, insertAccount } from "./people.ts";

/**
 * Whoever signed in with an identity provider has an account here from the moment at which it is first needed, with what
 * the provider says of them. Undefined where it says no address, as the shop's own tokens do not. An address that somebody
 * else's account has is not taken over: `taken`.
 */
export async function openForGuest(
  { subject: id, claims }: Principal,
  db: ShardedDatabase,
  taken: () => Error,
): Promise<AccountRow | undefined> {
  const { email } = claims;
  if (typeof email !== "string") return undefined;
  const name = typeof claims.name === "string" ? claims.name : email;
  const address = email.toLowerCase();
  try {
    const claim = await db.directory.claim("email", address, id);
    return await db.at(id).transaction(async (tx) => {
      await claim.confirm(tx);
      return insertAccount(tx, { id, email: address, name, password: null });
    });
  } catch (thrown) {
    if (!isError(thrown, "CLAIM_TAKEN") && !isError(thrown, "CLAIM_PENDING")) throw thrown;
    // Perhaps by another call of this very person, a moment ago.
    const row = await findAccount(db.at(id), id);
    if (row) return row;
    throw taken();
  }
}
