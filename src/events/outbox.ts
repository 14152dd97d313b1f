import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { EventMessage } from "./event.ts";

/**
 * The table `plinth_outbox` of one service: events that wait for the relay, and for a while those it has published.
 *
 * Order of a key. A claim locks the oldest unpublished rows that nobody else has locked (SKIP LOCKED), then leaves out
 * each row whose key has an older unpublished row outside the claim. So no event overtakes an older one of its key,
 * whoever holds that, and a relay that died sets its rows free by the end of its transaction. What "older" means is
 * the `seq` that the publisher drew: it follows the changes of an aggregate when publishers of its key wait for each
 * other, which they do when they publish after the write that locks its row.
 */
export interface Outbox {
  insert(tx: Transaction, message: EventMessage): Promise<void>;
  /** Cheap: whether there may be something to claim. */
  hasUnpublished(database: Database): Promise<boolean>;
  /** Locks up to `limit` messages of the service `source` until the transaction ends. In order. */
  claim(tx: Transaction, source: string, limit: number): Promise<readonly ClaimedMessage[]>;
  markPublished(tx: Transaction, claimed: readonly ClaimedMessage[]): Promise<void>;
  /** Deletes up to `limit` rows published longer ago than `retentionMs`, by database time. Answers how many. */
  deletePublished(database: Database, retentionMs: number, limit: number): Promise<number>;
  stats(database: Database): Promise<OutboxStats>;
}

export interface ClaimedMessage {
  readonly seq: string;
  readonly message: EventMessage;
}

export interface OutboxStats {
  /** Counted up to 100,000; that number means "or more". */
  readonly unpublishedCount: number;
  /** 0 when there is none. */
  readonly oldestAgeMs: number;
}

/** A message as the queries give it: text throughout, so that no driver's own conversions matter. */
export interface MessageRow {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly key: string;
  readonly payload: string;
  readonly at: string;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
}

export function toMessage(row: MessageRow): EventMessage {
  return {
    id: row.id,
    type: row.type,
    key: row.key,
    payload: row.payload,
    source: row.source,
    at: row.at,
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
    ...(row.tracestate !== null && { tracestate: row.tracestate }),
  };
}

const countMax = 100_000;

export function createOutbox(schema: string): Outbox {
  const table = sql.id(schema, "plinth_outbox");
  return {
    async insert(tx, m) {
      await tx.sql`
        insert into ${table} (id, type, key, payload, at, traceparent, tracestate)
        values (${m.id}::text::uuid, ${m.type}, ${m.key}, ${m.payload}::text::json, ${m.at},
          ${m.traceparent ?? null}::text, ${m.tracestate ?? null}::text)`;
    },
    async hasUnpublished(database) {
      const rows = await database.sql`select 1 as one from ${table} where published_at is null limit 1`;
      return rows.length > 0;
    },
    async claim(tx, source, limit) {
      const rows = await tx.sql<MessageRow & { seq: string }>`
        with claimed as materialized (
          select seq, id, type, key, payload, at, traceparent, tracestate from ${table}
          where published_at is null order by seq limit ${limit}::int for update skip locked
        )
        select seq::text as seq, id::text as id, type, key, payload::text as payload, at, traceparent, tracestate,
          ${source}::text as source
        from claimed c
        where not exists (
          select 1 from ${table} e
          where e.published_at is null and e.key = c.key and e.seq < c.seq
            and not exists (select 1 from claimed m where m.seq = e.seq)
        )
        order by c.seq`;
      return rows.map((row) => ({ seq: row.seq, message: toMessage(row) }));
    },
    async markPublished(tx, claimed) {
      const seqs = claimed.map(({ seq }) => seq);
      await tx.sql`
        update ${table} set published_at = clock_timestamp()
        where seq = any(${seqs}::bigint[])`;
    },
    async deletePublished(database, retentionMs, limit) {
      const rows = await database.sql`
        delete from ${table} where seq in (
          select seq from ${table} where published_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 ms'
          limit ${limit}::int for update skip locked
        ) returning 1 as one`;
      return rows.length;
    },
    async stats(database) {
      const [row] = await database.sql<{ count: string; age: string }>`
        select count(*)::text as count,
          coalesce(extract(epoch from clock_timestamp() - min(created_at)) * 1000, 0)::float8::text as age
        from (select created_at from ${table} where published_at is null order by seq limit ${countMax}::int) waiting`;
      return { unpublishedCount: Number(row?.count ?? 0), oldestAgeMs: Math.max(0, Number(row?.age ?? 0)) };
    },
  };
}
