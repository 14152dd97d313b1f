import type { Database, Fragment, Transaction } from "../database/index.ts";
import { planByIndex, sql } from "../database/index.ts";
import { bucketOf } from "./bucket-lease.ts";
import type { Joined } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { unsyncedOn } from "./unsynced.ts";

/**
 * The table `plinth_outbox` of one service: events that wait for the relay, and for a while those that a relay handed to
 * a broker elsewhere. To a broker in the same database they move: the row goes away where the message comes into being.
 *
 * Order of a key. The publisher draws the next number of the key, whose row stays locked until its transaction ends, and
 * only then the row's `seq`: both follow the commits. A relay reads the oldest rows of its buckets, so whatever it takes
 * along of a key, it takes all that is older, and nobody else has that key meanwhile.
 *
 * Nothing is skipped: a row is unpublished until it is marked or gone, however late its transaction commits.
 */
export interface Outbox {
  insert(tx: Transaction, message: EventMessage): Promise<void>;
  /** Cheap: whether this owner may have something to publish, and whether there is a bucket that nobody has. */
  peek(database: Database, owner: string): Promise<Peeked>;
  /** Moves up to `limit` events of the owner's buckets into the broker, in one statement. */
  move(database: Database, source: string, owner: string, limit: number, joined: Joined): Promise<Moved>;
  /** The oldest of the owner's buckets, up to `limit`, of the service `source`. In order. */
  read(database: Database, source: string, owner: string, limit: number): Promise<readonly WaitingMessage[]>;
  /** Marks those whose bucket is still the owner's, under the epoch they were read in. Answers how many. */
  markPublished(database: Database, owner: string, read: readonly WaitingMessage[], check: boolean): Promise<number>;
  /** Deletes up to `limit` rows published longer ago than `retentionMs`, by database time. Answers how many. */
  deletePublished(database: Database, retentionMs: number, limit: number): Promise<number>;
  /** Forgets up to `limit` keys that were not used for 90 days. */
  deleteKeys(database: Database, limit: number): Promise<number>;
  stats(database: Database): Promise<OutboxStats>;
}

export interface Peeked {
  readonly waiting: boolean;
  readonly vacant: boolean;
}

export interface Moved {
  readonly count: number;
  /** Those that have something new by it. */
  readonly subscriptions: readonly string[];
}

export interface WaitingMessage {
  readonly seq: string;
  readonly bucket: number;
  readonly epoch: string;
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
  readonly sequence: string | null;
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
    ...(row.sequence !== null && { sequence: Number(row.sequence) }),
  };
}

/** `hashOf` as SQL, over the columns `type`, `source`, `key` and `payload`. */
export const hashInSql = sql`encode(sha256(
  convert_to(type, 'UTF8') || '\\x00'::bytea || convert_to(source, 'UTF8') || '\\x00'::bytea
  || convert_to(key, 'UTF8') || '\\x00'::bytea || convert_to(payload::text, 'UTF8')), 'hex')`;

const countMax = 100_000;
export const keyDaysKept = 90;

export function createOutbox(schema: string): Outbox {
  const table = sql.id(schema, "plinth_outbox");
  const keys = sql.id(schema, "plinth_event_keys");
  const buckets = sql.id(schema, "plinth_relay_buckets");
  const heldBy = (owner: string): Fragment =>
    sql`select bucket, epoch from ${buckets} where owner = ${owner} and expires_at > statement_timestamp()`;

  return {
    async insert(tx, m) {
      // The number first: the insert that reads it draws `seq` when the key is locked.
      await tx.sql`
        with drawn as (
          insert into ${keys} as k (key, seq) values (${m.key}, 1)
          on conflict (key) do update set seq = k.seq + 1, used_on = excluded.used_on
          returning seq
        )
        insert into ${table} (id, type, key, payload, at, traceparent, tracestate, sequence)
        select ${m.id}::text::uuid, ${m.type}, ${m.key}, ${m.payload}::text::json, ${m.at},
          ${m.traceparent ?? null}::text, ${m.tracestate ?? null}::text, drawn.seq
        from drawn`;
    },
    async peek(database, owner) {
      const [row] = await database.sql<Peeked>`
        select
          exists (
            select 1 from ${table} o
            where o.published_at is null and ${bucketOf} = any(array(select bucket from (${heldBy(owner)}) mine))
          ) as waiting,
          exists (select 1 from ${buckets} where owner is null or expires_at <= statement_timestamp()) as vacant ${planByIndex}`;
      return row ?? { waiting: false, vacant: false };
    },
    async move(database, source, owner, limit, joined) {
      const [row] = await database.sql<Moved>`
        with mine as materialized (${heldBy(owner)}),
        due as materialized (
          select o.seq from ${table} o
          where ${unsyncedOn(database)} and o.published_at is null and ${bucketOf} = any(array(select bucket from mine))
          order by o.seq limit ${limit}::int
        ),
        gone as (
          delete from ${table} o using due where o.seq = due.seq
          returning o.seq, o.id, o.type, o.key, o.sequence, o.payload, o.at, o.traceparent, o.tracestate
        ),
        ${joined.intake(sql`select *, ${hashInSql} as hash from (select *, ${source}::text as source from gone) sourced`)}
        select (select count(*)::int from gone) as count,
          array(select distinct subscription from placed) as subscriptions ${planByIndex}`;
      return row ?? { count: 0, subscriptions: [] };
    },
    async read(database, source, owner, limit) {
      const rows = await database.sql<MessageRow & { seq: string; bucket: number; epoch: string }>`
        select o.seq::text as seq, mine.bucket, mine.epoch::text as epoch, o.id::text as id, o.type, o.key,
          o.payload::text as payload, o.at, o.traceparent, o.tracestate, o.sequence::text as sequence,
          ${source}::text as source
        from ${table} o join (${heldBy(owner)}) mine on mine.bucket = ${bucketOf}
        where o.published_at is null order by o.seq limit ${limit}::int ${planByIndex}`;
      return rows.map((row) => ({ seq: row.seq, bucket: row.bucket, epoch: row.epoch, message: toMessage(row) }));
    },
    async markPublished(database, owner, read, check) {
      const rows = read.map(({ seq, bucket, epoch }) => ({ seq, bucket, epoch }));
      const isHeld = check
        ? sql`exists (
            select 1 from ${buckets} b where b.bucket = r.bucket and b.owner = ${owner} and b.epoch = r.epoch
          )`
        : sql`true`;
      const marked = await database.sql`
        update ${table} o set published_at = clock_timestamp()
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(seq bigint, bucket int, epoch bigint)
        where o.seq = r.seq and ${isHeld} returning 1 as one ${planByIndex}`;
      return marked.length;
    },
    async deletePublished(database, retentionMs, limit) {
      const rows = await database.sql`
        delete from ${table} where seq in (
          select seq from ${table} where published_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 ms'
          limit ${limit}::int for update skip locked
        ) returning 1 as one`;
      return rows.length;
    },
    async deleteKeys(database, limit) {
      const rows = await database.sql`
        delete from ${keys} where key in (
          select key from ${keys}
          where used_on < (clock_timestamp() at time zone 'utc')::date - ${keyDaysKept}::int
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
