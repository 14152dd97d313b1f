import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";

/**
 * The table `plinth_idempotency` of one service. A row begins as a claim: somebody works on the request, until a time that
 * the row names. It becomes `done` in the transaction of the effect, or `failed`; what is left behind as a claim may be
 * taken over when its time is up, by a request with the same hash.
 */
export interface IdempotencyTable {
  /** One statement, which waits for nobody that works: takes the key, or tells what is there. */
  claim(on: Statements, entry: IdempotencyEntry, times: ClaimTimes): Promise<Found>;
  /** Ends a claim with an answer. False when it is not the claimer's any more. */
  answer(on: Statements, claim: IdempotencyClaim, state: "done" | "failed", answer: string): Promise<boolean>;
  /** Gives a claim up, if it is still one. */
  release(on: Statements, claim: IdempotencyClaim): Promise<void>;
  /** Deletes up to `limit` that have expired. Answers how many. */
  deleteExpired(database: Database, limit: number): Promise<number>;
}

export type Statements = Pick<Transaction, "sql">;

export interface ClaimTimes {
  /** After so long others may take over. */
  readonly leaseMs: number;
  /** How long the key is remembered, from now. */
  readonly keepMs: number;
}

export interface IdempotencyEntry {
  /** Operation and principal: a key means something to one caller of one method. 1 to 500 characters. */
  readonly scope: string;
  /** As the caller chose it. 1 to 255 characters of printable ASCII. */
  readonly key: string;
  /** Of everything that makes the request what it is. 1 to 200 characters. */
  readonly requestHash: string;
  /** By which the row moves with its data, where a service is sharded. */
  readonly shardKey?: string | undefined;
}

/** The right to answer for a key, and its proof. */
export interface IdempotencyClaim {
  readonly entry: IdempotencyEntry;
  readonly token: string;
}

/** `token`: the key is ours. `row`: what stood there before. Neither: somebody else claimed it in this moment. */
export interface Found {
  readonly token: string | null;
  readonly row: IdempotencyRow | undefined;
}

export interface IdempotencyRow {
  readonly hash: string;
  readonly state: "begun" | "done" | "failed";
  readonly answer: string | null;
}

interface FoundRow extends Omit<IdempotencyRow, "hash"> {
  readonly token: string | null;
  readonly hash: string | null;
}

export function idempotencyTable(schema: string): IdempotencyTable {
  const table = sql.id(schema, "plinth_idempotency");
  const named = ({ scope, key }: IdempotencyEntry) => sql`scope = ${scope}::text and key = ${key}::text`;
  const held = ({ entry, token }: IdempotencyClaim) => sql`${named(entry)} and token = ${token} and state = 'begun'`;

  return {
    async claim(on, entry, { leaseMs, keepMs }) {
      const { scope, key, requestHash, shardKey = null } = entry;
      const after = (ms: number) => sql`clock_timestamp() + ${ms}::float8 * interval '1 ms'`;
      // The row is looked at first: an insert would wait for whoever is answering it.
      const [found] = await on.sql<FoundRow>`
        with found as materialized (
          select request_hash as hash, state, answer, lease_until > clock_timestamp() as is_held
          from ${table} where ${named(entry)} and expires_at > clock_timestamp()
        ), made as (
          insert into ${table} as i (scope, key, request_hash, state, shard_key, token, lease_until, expires_at)
          select ${scope}::text, ${key}::text, ${requestHash}::text, 'begun', ${shardKey}::text,
            gen_random_uuid()::text, ${after(leaseMs)}, ${after(keepMs)}
          where not exists (
            select from found where state <> 'begun' or is_held or hash <> ${requestHash}::text
          )
          on conflict (scope, key) do update set request_hash = excluded.request_hash, state = 'begun', answer = null,
            shard_key = excluded.shard_key, token = excluded.token, lease_until = excluded.lease_until,
            created_at = clock_timestamp(), expires_at = excluded.expires_at
          where i.expires_at <= clock_timestamp()
            or (i.state = 'begun' and i.lease_until <= clock_timestamp() and i.request_hash = excluded.request_hash)
          returning i.token
        )
        select (select token from made) as token, hash, state, answer from (values (1)) as one left join found on true`;
      if (!found) return { token: null, row: undefined };
      const { token, hash, state, answer } = found;
      return { token, row: hash === null ? undefined : { hash, state, answer } };
    },
    async answer(on, claim, state, answer) {
      const rows = await on.sql`
        update ${table} set state = ${state}, answer = ${answer}, lease_until = null
        where ${held(claim)} returning 1 as one`;
      return rows.length > 0;
    },
    async release(on, claim) {
      await on.sql`delete from ${table} where ${held(claim)}`;
    },
    async deleteExpired(database, limit) {
      const rows = await database.sql`
        delete from ${table} where ctid in (
          select ctid from ${table} where expires_at <= clock_timestamp() limit ${limit}::int for update skip locked
        ) returning 1 as one`;
      return rows.length;
    },
  };
}
