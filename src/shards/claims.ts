import type { PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { isVoid, settle } from "./claim-settlement.ts";

/**
 * Names that are unique across all shards: an e-mail address, a slug. A value belongs to one key.
 *
 *     const claim = await accounts.directory.claim("email", email, id);       // reserves it, or fails
 *     await accounts.at(id).transaction(async (tx) => {
 *       await claim.confirm(tx);                                              // true with the rest, or not at all
 *       await tx.sql`insert into accounts …`;
 *     });
 *
 * **Why two rows.** The directory and the key's shard cannot commit together. The row in the directory is the
 * reservation; the one that `confirm` writes in the key's own transaction is the truth. A process that dies between the
 * two leaves a reservation which, once it has run out (60 s), the next claimant settles by asking the shard: a row there
 * means taken. None means free, and a void row with the same token goes in its place, under which a late `confirm` fails.
 *
 * Claiming again for the same key is no error. What was reserved and never confirmed is swept away after an hour, what was
 * released after 7 days, by the mover's `sweep`. Make the claim before the transaction, not in it: on the embedded engine
 * it would wait for itself. Values have 1,024 characters at most; compare as you need (`email.toLowerCase()`).
 */
export interface Directory {
  /** Reserves `value` for `key`. CLAIM_TAKEN when another key has it; CLAIM_PENDING when one is about to. */
  claim(name: string, value: string, key: string): Promise<Claim>;
  /** Whose it is; undefined when nobody's, or not yet. */
  lookup(name: string, value: string): Promise<string | undefined>;
  /** Gives it up in the transaction of its key: free for others once that has committed. */
  release(tx: Transaction, name: string, value: string): Promise<void>;
}

export interface Claim {
  readonly key: string;
  /** Makes it so, in a transaction of `at(key)`. CLAIM_LOST when it ran out and somebody else has it. */
  confirm(tx: Transaction): Promise<void>;
}

export interface ClaimsOptions {
  readonly directory: Database;
  readonly service: string;
  readonly at: (key: string) => Database;
  readonly newId: () => string;
}

const pendingMs = 60_000;
const lengthMax = 1024;

interface ClaimRow {
  readonly key: string;
  readonly token: string;
  readonly state: "pending" | "confirmed";
  readonly live: boolean;
}

export function createDirectory({ directory, service, at, newId }: ClaimsOptions): Directory {
  const find = async (name: string, value: string): Promise<ClaimRow | undefined> => {
    const [row] = await directory.sql<ClaimRow>`
      select key, token::text as token, state, expires_at > clock_timestamp() as live from claims
      where service = ${service} and name = ${name} and value = ${value}`;
    return row;
  };

  const reserve = async (
    name: string,
    value: string,
    key: string,
    over: string | null,
  ): Promise<string | undefined> => {
    const token = newId();
    const [row] = await directory.sql<{ token: string }>`
      insert into claims as c (service, name, value, key, token, state, expires_at)
      values (${service}, ${name}, ${value}, ${key}, ${token}::text::uuid, 'pending',
        clock_timestamp() + ${pendingMs}::float8 * interval '1 ms')
      on conflict (service, name, value) do update
        set key = excluded.key, token = excluded.token, state = excluded.state, expires_at = excluded.expires_at
        where c.token = ${over}::text::uuid
      returning token::text as token`;
    return row?.token;
  };

  const confirm = async (tx: Transaction, name: string, value: string, key: string, token: string): Promise<void> => {
    const [row] = await tx.sql<{ state: string }>`
      insert into plinth_claims as c (token, name, value, state, shard_key)
      values (${token}::text::uuid, ${name}, ${value}, 'confirmed', ${key})
      on conflict (token) do update set state = c.state returning state`;
    if (row?.state !== "confirmed") throw lost(name);
    // Only so that others need not ask the shard.
    tx.afterCommit(async () => {
      await directory.sql`
        update claims set state = 'confirmed' where service = ${service} and name = ${name} and value = ${value}
          and token = ${token}::text::uuid`;
    });
  };

  return {
    async claim(name, value, key) {
      assertText(name);
      assertText(value);
      const made = (token: string): Claim => ({ key, confirm: (tx) => confirm(tx, name, value, key, token) });
      for (let attempt = 0; attempt < claimAttempts; attempt++) {
        const fresh = await reserve(name, value, key, null);
        if (fresh) return made(fresh);
        const row = await find(name, value);
        if (!row) continue;
        if (row.state === "pending" && row.live) {
          if (row.key !== key) throw pending(name);
          // Given up after all, or about to be made true, which must not be disturbed.
          if (!(await isVoid(at(key), row.token))) return made(row.token);
        }
        // The key's own claim too: its release may not have come to the directory's ears.
        if (await settle(at(row.key), { ...row, name, value })) {
          if (row.key === key) return made(row.token);
          throw taken(name);
        }
        const over = await reserve(name, value, key, row.token);
        if (over) return made(over);
      }
      throw pending(name);
    },
    async lookup(name, value) {
      const row = await find(name, value);
      if (!row) return undefined;
      const [found] = await at(row.key).sql<{ key: string }>`
        select shard_key as key from plinth_claims where token = ${row.token}::text::uuid and state = 'confirmed'`;
      return found?.key;
    },
    async release(tx, name, value) {
      const rows = await tx.sql<{ token: string }>`
        update plinth_claims set state = 'void', at = clock_timestamp()
        where name = ${name} and value = ${value} and state = 'confirmed' and shard_key = plinth_current_key()
        returning token::text as token`;
      const tokens = rows.map(({ token }) => token);
      if (tokens.length === 0) return;
      tx.afterCommit(async () => {
        await directory.sql`
          delete from claims where service = ${service} and name = ${name} and value = ${value}
            and token = any(${tokens}::text[]::uuid[])`;
      });
    },
  };
}

const claimAttempts = 5;

function assertText(text: string): void {
  if (text.length > 0 && text.length <= lengthMax && !text.includes("\0")) return;
  throw error("invalid_argument", `What is claimed has 1 to ${lengthMax} characters, without NUL.`, {
    reason: "CLAIM_INVALID",
    executed: "no",
  });
}

function taken(name: string): PlinthError {
  return error("already_exists", `This ${name} is taken.`, { reason: "CLAIM_TAKEN", executed: "no" });
}

function pending(name: string): PlinthError {
  return error("aborted", `This ${name} is being taken.`, { reason: "CLAIM_PENDING", executed: "no", retry: 1_000 });
}

function lost(name: string): PlinthError {
  return error("aborted", `The reservation of this ${name} ran out.`, {
    reason: "CLAIM_LOST",
    executed: "no",
    retry: "never",
  });
}
