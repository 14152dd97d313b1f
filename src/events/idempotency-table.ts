import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";

/**
 * The table `plinth_idempotency` of one service: keys whose effect is committed, and what was answered. A row is written
 * in the transaction of the effect, and goes with it when that fails.
 */
export interface IdempotencyTable {
  /** Whether no other transaction works on the key. Keeps others out until `tx` ends. Waits for nobody. */
  claim(tx: Transaction, entry: IdempotencyEntry): Promise<boolean>;
  /** Undefined when there is none that is still valid. */
  look(on: Pick<Transaction, "sql">, entry: IdempotencyEntry): Promise<IdempotencyRow | undefined>;
  /** Writes the key down, in the place of one that has expired. False when there is a valid one. */
  insert(tx: Transaction, entry: IdempotencyEntry, keepMs: number): Promise<boolean>;
  /** False when `insert` was not called. */
  answer(tx: Transaction, entry: IdempotencyEntry, state: "done" | "failed", answer: string): Promise<boolean>;
  /** Deletes up to `limit` that have expired. Answers how many. */
  deleteExpired(database: Database, limit: number): Promise<number>;
}

export interface IdempotencyEntry {
  /** Operation and principal: a key means something to one caller of one method. 1 to 500 characters. */
  readonly scope: string;
  /** As the caller chose it. 1 to 255 characters of printable ASCII. */
  readonly key: string;
  /** Of everything that makes the request what it is. */
  readonly requestHash: string;
  /** By which the row moves with its data, where a service is sharded. */
  readonly shardKey?: string | undefined;
}

export interface IdempotencyRow {
  readonly hash: string;
  readonly state: "begun" | "done" | "failed";
  readonly answer: string | null;
}

export function idempotencyTable(schema: string): IdempotencyTable {
  const table = sql.id(schema, "plinth_idempotency");
  const named = ({ scope, key }: IdempotencyEntry) => sql`scope = ${scope} and key = ${key}`;

  return {
    async claim(tx, { scope, key }) {
      const name = JSON.stringify(["plinth.idempotency", schema, scope, key]);
      const [row] = await tx.sql<{ got: boolean }>`
        select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as got`;
      return row?.got === true;
    },
    async look(on, entry) {
      const [row] = await on.sql<IdempotencyRow>`
        select request_hash as hash, state, answer from ${table}
        where ${named(entry)} and expires_at > clock_timestamp()`;
      return row;
    },
    async insert(tx, { scope, key, requestHash, shardKey }, keepMs) {
      const rows = await tx.sql`
        insert into ${table} as i (scope, key, request_hash, state, shard_key, expires_at)
        values (${scope}, ${key}, ${requestHash}, 'begun', ${shardKey ?? null}::text,
          clock_timestamp() + ${keepMs}::float8 * interval '1 ms')
        on conflict (scope, key) do update set request_hash = excluded.request_hash, state = 'begun', answer = null,
          shard_key = excluded.shard_key, created_at = clock_timestamp(), expires_at = excluded.expires_at
        where i.expires_at <= clock_timestamp() returning 1 as one`;
      return rows.length > 0;
    },
    async answer(tx, entry, state, answer) {
      const rows = await tx.sql`
        update ${table} set state = ${state}, answer = ${answer}
        where ${named(entry)} and request_hash = ${entry.requestHash} and state = 'begun' returning 1 as one`;
      return rows.length > 0;
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
