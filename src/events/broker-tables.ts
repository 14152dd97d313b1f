import type { Database, Transaction } from "../database/index.ts";
import { quoteName, sql } from "../database/index.ts";
import type { Delivery, SubscriptionSpec, SubscriptionStats } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { hashOf } from "./event.ts";
import type { MessageRow } from "./outbox.ts";
import { toMessage } from "./outbox.ts";

/**
 * The tables of the broker that lives in a database, and every statement on them. Times are the database's: the clocks
 * of the processes are never compared.
 *
 * Order of a key. A delivery can be claimed when no older one of its subscription, source and key is left. The older
 * row is left until it is acknowledged, whoever has it and however long it is parked, so this holds without any lock;
 * SKIP LOCKED only keeps claimers out of each other's way.
 *
 * The lease. A claim raises `epoch`, counts the attempt and sets `claimed_until`. Whoever acknowledges, refuses or
 * renews names the epoch of its claim: after the lease was lost that changes nothing.
 */
export interface BrokerTables {
  ensure(specs: readonly SubscriptionSpec[]): Promise<void>;
  /** A message with a known id and hash is not stored again; one with a known id and another hash is. */
  publish(messages: readonly EventMessage[], tx?: Transaction): Promise<void>;
  /** The subscriptions among these that have something to claim: something new or refused, or a suspect. */
  findReady(subscriptions: readonly string[]): Promise<readonly ReadySubscription[]>;
  claim(request: ClaimRequest): Promise<readonly ClaimedDelivery[]>;
  /** False when the lease was lost. */
  acknowledge(claimed: ClaimedDelivery): Promise<boolean>;
  refuse(claimed: ClaimedDelivery, delayMs: number, counted: boolean): Promise<boolean>;
  renew(claimed: readonly ClaimedDelivery[], leaseMs: number): Promise<void>;
  /** Ends every lease of other processes: for a database that no other process can have open. */
  expireOthers(process: string): Promise<void>;
  /** Whether this database is the one that the tables are in, and its user may write to them. */
  areIn(database: Database): Promise<boolean>;
  stats(): Promise<readonly SubscriptionStats[]>;
  /** Deletes up to `limit` messages that every subscription is done with, published longer ago than `retentionMs`. */
  deleteOld(retentionMs: number, limit: number): Promise<number>;
}

export interface ReadySubscription {
  readonly subscription: string;
  readonly hasNormal: boolean;
  readonly hasSuspect: boolean;
}

export interface ClaimRequest {
  readonly subscription: string;
  readonly limit: number;
  /** Claims suspects, or everything else. A suspect is a delivery whose lease ended: whoever had it may have died of it. */
  readonly suspects: boolean;
  /** `process/broker`. */
  readonly owner: string;
  readonly leaseMs: number;
  /** What this process has in hand already: not to be claimed from itself when the renewal is late. */
  readonly inHand: readonly ClaimedDelivery[];
}

export interface ClaimedDelivery {
  readonly subscription: string;
  readonly seq: string;
  readonly epoch: string;
  readonly delivery: Delivery;
}

const countMax = 100_000;

export function createBrokerTables(database: Database): BrokerTables {
  const { schema } = database;
  const subscriptions = sql.id(schema, "subscriptions");
  const messages = sql.id(schema, "messages");
  const deliveries = sql.id(schema, "deliveries");

  return {
    async ensure(specs) {
      const rows = specs.flatMap(({ subscription, types }) => types.map((type) => ({ subscription, type })));
      if (rows.length === 0) return;
      await database.sql`
        insert into ${subscriptions} as s (subscription, type)
        select distinct subscription, type from json_to_recordset(${JSON.stringify(rows)}::text::json)
          as r(subscription text, type text)
        order by 1, 2
        on conflict (subscription, type) do update set ensured_at = clock_timestamp()`;
    },
    async publish(batch, tx) {
      if (batch.length === 0) return;
      const rows = batch.map((message, position) => ({ ...message, position, hash: hashOf(message) }));
      await (tx ?? database).sql`
        with incoming as (
          select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(position int, id uuid, hash text,
            type text, source text, key text, payload text, at text, traceparent text, tracestate text)
        ), stored as (
          insert into ${messages} (id, payload_hash, type, source, key, payload, at, traceparent, tracestate)
          select id, hash, type, source, key, payload::json, at, traceparent, tracestate from incoming order by position
          on conflict (id, payload_hash) do nothing
          returning seq, type, source, key
        )
        insert into ${deliveries} (subscription, seq, source, key)
        select s.subscription, m.seq, m.source, m.key from stored m join ${subscriptions} s on s.type = m.type`;
    },
    async findReady(names) {
      const rows = await database.sql<ReadySubscription>`
        select name as subscription,
          exists (
            select 1 from ${deliveries} d
            where d.subscription = name and d.claimed_until is null and d.ready_at <= statement_timestamp()
          ) as "hasNormal",
          exists (
            select 1 from ${deliveries} d where d.subscription = name and d.claimed_until < statement_timestamp()
          ) as "hasSuspect"
        from unnest(${names}::text[]) as name`;
      return rows.filter(({ hasNormal, hasSuspect }) => hasNormal || hasSuspect);
    },
    async claim({ subscription, limit, suspects, owner, leaseMs, inHand }) {
      const free = suspects
        ? sql`d.claimed_until < statement_timestamp()`
        : sql`d.claimed_until is null and d.ready_at <= statement_timestamp()`;
      const own = inHand.map(({ seq }) => seq);
      const rows = await database.sql<MessageRow & { seq: string; epoch: string; attempt: number }>`
        with candidate as (
          select d.seq from ${deliveries} d
          where d.subscription = ${subscription} and ${free} and not (d.seq = any(${own}::bigint[]))
            and not exists (
              select 1 from ${deliveries} e
              where e.subscription = d.subscription and e.source = d.source and e.key = d.key and e.seq < d.seq
            )
          order by d.seq limit ${limit}::int for update of d skip locked
        )
        update ${deliveries} d set attempts = d.attempts + 1, epoch = d.epoch + 1, owner = ${owner},
          claimed_until = statement_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        from candidate c join ${messages} m on m.seq = c.seq
        where d.subscription = ${subscription} and d.seq = c.seq
        returning d.seq::text as seq, d.epoch::text as epoch, d.attempts as attempt, m.id::text as id, m.type, m.source,
          m.key, m.payload::text as payload, m.at, m.traceparent, m.tracestate`;
      return rows
        .map((row) => ({
          subscription,
          seq: row.seq,
          epoch: row.epoch,
          delivery: { message: toMessage(row), attempt: row.attempt },
        }))
        .sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1));
    },
    async acknowledge({ subscription, seq, epoch }) {
      const rows = await database.sql`
        delete from ${deliveries}
        where subscription = ${subscription} and seq = ${seq}::text::bigint and epoch = ${epoch}::text::bigint
        returning 1 as one`;
      return rows.length > 0;
    },
    async refuse({ subscription, seq, epoch }, delayMs, counted) {
      const rows = await database.sql`
        update ${deliveries} set ready_at = clock_timestamp() + ${delayMs}::float8 * interval '1 ms',
          attempts = attempts - ${counted ? 0 : 1}::int, claimed_until = null, owner = null
        where subscription = ${subscription} and seq = ${seq}::text::bigint and epoch = ${epoch}::text::bigint
        returning 1 as one`;
      return rows.length > 0;
    },
    async renew(claimed, leaseMs) {
      const rows = claimed.map(({ subscription, seq, epoch }) => ({ subscription, seq, epoch }));
      await database.sql`
        update ${deliveries} d set claimed_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(subscription text, seq bigint, epoch bigint)
        where d.subscription = r.subscription and d.seq = r.seq and d.epoch = r.epoch`;
    },
    async expireOthers(process) {
      await database.sql`
        update ${deliveries} set claimed_until = statement_timestamp()
        where claimed_until is not null and split_part(owner, '/', 1) <> ${process}`;
    },
    async areIn(other) {
      const named = (table: string) => `${quoteName(schema)}.${table}`;
      // Asked in steps: without a right to the schema its tables cannot even be named.
      const [known] = await other.sql<{ usable: boolean }>`
        select case
          when not exists (select 1 from pg_namespace where nspname = ${schema} and has_schema_privilege(oid, 'usage')) then false
          when to_regclass(${named("identity")}) is null then false
          else has_table_privilege(${named("identity")}, 'select') and has_table_privilege(${named("subscriptions")}, 'select')
            and has_table_privilege(${named("messages")}, 'select') and has_table_privilege(${named("messages")}, 'insert')
            and has_table_privilege(${named("deliveries")}, 'insert')
        end as usable`;
      if (!known?.usable) return false;
      const ask = (asked: Database) => asked.sql<{ id: string }>`select id from ${sql.id(schema, "identity")}`;
      const [[own], [others]] = [await ask(database), await ask(other)];
      return own !== undefined && own.id === others?.id;
    },
    async stats() {
      const rows = await database.sql<{ name: string; count: string; age: string }>`
        select s.subscription as name, waiting.count::text as count, coalesce(
            extract(epoch from clock_timestamp() - (select m.published_at from ${messages} m where m.seq = waiting.oldest)) * 1000, 0
          )::float8::text as age
        from (select distinct subscription from ${subscriptions}) s
        cross join lateral (
          select count(*) as count, min(seq) as oldest
          from (select d.seq from ${deliveries} d where d.subscription = s.subscription order by d.seq limit ${countMax}::int) d
        ) waiting
        order by 1`;
      return rows.map(({ name, count, age }) => ({
        subscription: name,
        pendingCount: Number(count),
        oldestAgeMs: Math.max(0, Number(age)),
      }));
    },
    async deleteOld(retentionMs, limit) {
      const rows = await database.sql`
        delete from ${messages} where seq in (
          select m.seq from ${messages} m
          where m.published_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 ms'
            and not exists (select 1 from ${deliveries} d where d.seq = m.seq)
          limit ${limit}::int for update of m skip locked
        ) returning 1 as one`;
      return rows.length;
    },
  };
}
