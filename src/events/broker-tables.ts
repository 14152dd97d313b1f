import { newId } from "../base/index.ts";
import type { Database, Fragment } from "../database/index.ts";
import { isConflict, planByIndex, quoteName, sql } from "../database/index.ts";
import type { ClaimedDelivery, ClaimRequest } from "./delivery-claim.ts";
import { createDeliveryClaim, deliveryName } from "./delivery-claim.ts";
import type { SubscriptionSpec, SubscriptionStats } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { hashOf } from "./event.ts";
import { isoText } from "./iso-text.ts";
import { unsyncedOn } from "./unsynced.ts";

/**
 * The tables of the broker that lives in a database, and every statement on them. Times are the database's: the clocks
 * of the processes are never compared.
 *
 * Order of a key. A delivery can be claimed when no older one of its subscription, source and key is left. The older
 * row is left until it is acknowledged, whoever has it and however long it is parked, so this holds without any lock;
 * SKIP LOCKED only keeps claimers out of each other's way.
 *
 * The lease. A claim raises `epoch`, counts the attempt and sets `claimed_until`. Whoever acknowledges, refuses or
 * renews names the owner and the epoch of its claim: after the lease was lost that changes nothing.
 *
 * What is not waited for. On a server, claims, their ends and moves out of an outbox do not wait for the disk. When
 * the server dies the last of them may be undone: an event is in its outbox again, or delivered again, and the inbox lets
 * it go. An effect that is on the disk has everything before it on the disk too. What may be to blame for a death is
 * waited for: claims of what was claimed before, and all of the first minute after the server came up.
 */
export interface BrokerTables {
  ensure(specs: readonly SubscriptionSpec[]): Promise<void>;
  /** A message with a known id and hash is not stored again; one with a known id and another hash is. */
  publish(messages: readonly EventMessage[]): Promise<void>;
  /** See `Joined`. */
  intake(rows: Fragment): Fragment;
  /** The subscriptions among these that have something to claim: something new or refused, or a suspect. */
  findReady(subscriptions: readonly string[]): Promise<readonly ReadySubscription[]>;
  /** For all the subscriptions that are wanted at once, in one statement. */
  claim(request: ClaimRequest): Promise<readonly ClaimedDelivery[]>;
  acknowledge(claimed: readonly ClaimedDelivery[]): Promise<readonly Ending[]>;
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

/** `more`: another one of its key waits, which can be claimed now. `lost`: the lease was, and nothing was changed. */
export type Ending = "more" | "last" | "lost";

const countMax = 100_000;

/** `epochCheck: false` leaves out what the essay calls the lease: for the test that shows what it is for. */
export function createBrokerTables(database: Database, { epochCheck = true } = {}): BrokerTables {
  const { schema } = database;
  const unsynced = unsyncedOn(database);

  const hasEpoch = epochCheck ? sql`d.epoch = r.epoch and d.owner = r.owner` : sql`true`;
  const subscriptions = sql.id(schema, "subscriptions");
  const messages = sql.id(schema, "messages");
  const deliveries = sql.id(schema, "deliveries");

  const intake = (rows: Fragment): Fragment => sql`
    stored as (
      insert into ${messages} (id, payload_hash, type, source, key, sequence, payload, at, traceparent, tracestate)
      select id, hash, type, source, key, sequence, payload::json, at, traceparent, tracestate from (${rows}) r order by seq
      on conflict (id, payload_hash) do nothing
      returning seq, type, source, key
    ), placed as (
      insert into ${deliveries} (subscription, seq, source, key)
      select s.subscription, m.seq, m.source, m.key from stored m join ${subscriptions} s on s.type = m.type
      returning subscription
    )`;

  /** Locks what is still held, always in the same order: renewals and acknowledgements have rows in common. */
  const heldOf = (claimed: readonly ClaimedDelivery[], isHeld: Fragment): Fragment => sql`
    held as materialized (
      select d.subscription, d.seq from ${deliveries} d
      join unnest(
        ${claimed.map(({ subscription }) => subscription)}::text[], ${claimed.map(({ seq }) => seq)}::bigint[],
        ${claimed.map(({ epoch }) => epoch)}::bigint[], ${claimed.map(({ owner }) => owner)}::text[]
      ) as r(subscription, seq, epoch, owner) on d.subscription = r.subscription and d.seq = r.seq
      where ${unsynced} and ${isHeld} order by d.subscription, d.seq for update of d
    )`;

  /** A copy of the database has the same id: what is written here now arrives only here. */
  const seesWhatIsWritten = async (other: Database): Promise<boolean> => {
    const nonces = sql.id(schema, "nonces");
    const id = newId();
    await database.sql`insert into ${nonces} (id) values (${id}::text::uuid)`;
    const seen = await other.sql`select 1 as one from ${nonces} where id = ${id}::text::uuid`;
    await database.sql`delete from ${nonces} where id = ${id}::text::uuid or at < clock_timestamp() - interval '1 hour'`;
    return seen.length > 0;
  };

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
    async publish(batch) {
      if (batch.length === 0) return;
      const rows = batch.map((message, position) => ({ ...message, seq: position, hash: hashOf(message) }));
      await database.sql`
        with incoming as (
          select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(seq int, id uuid, hash text,
            type text, source text, key text, sequence bigint, payload text, at text, traceparent text, tracestate text)
        ), ${intake(sql`select * from incoming`)}
        select 1 as one ${planByIndex}`;
    },
    intake,
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
        from unnest(${names}::text[]) as name ${planByIndex}`;
      return rows.filter(({ hasNormal, hasSuspect }) => hasNormal || hasSuspect);
    },
    claim: createDeliveryClaim(database, { messages, deliveries }),
    async acknowledge(claimed) {
      const gone = await onceMore(
        () => database.sql<{ subscription: string; seq: string; more: boolean }>`
          with ${heldOf(claimed, hasEpoch)}
          delete from ${deliveries} d using held h where d.subscription = h.subscription and d.seq = h.seq
          returning d.subscription, d.seq::text as seq, exists (
            select 1 from ${deliveries} e
            where e.subscription = d.subscription and e.source = d.source and e.key = d.key and e.seq > d.seq
          ) as more ${planByIndex}`,
      );
      const known = new Map(gone.map((row) => [deliveryName(row), row.more ? "more" : "last"] as const));
      return claimed.map((each) => known.get(deliveryName(each)) ?? "lost");
    },
    async refuse({ subscription, seq, epoch, owner }, delayMs, counted) {
      const rows = await database.sql`
        update ${deliveries} d set ready_at = clock_timestamp() + ${delayMs}::float8 * interval '1 ms',
          attempts = d.attempts - ${counted ? 0 : 1}::int, claimed_until = null, owner = null,
          first_failed_at = coalesce(d.first_failed_at, case when ${counted}::boolean then clock_timestamp() end)
        from (select ${epoch}::text::bigint as epoch, ${owner}::text as owner) r
        where d.subscription = ${subscription} and d.seq = ${seq}::text::bigint and ${hasEpoch}
        returning 1 as one`;
      return rows.length > 0;
    },
    async renew(claimed, leaseMs) {
      await onceMore(
        () => database.sql`
          with ${heldOf(claimed, sql`d.epoch = r.epoch and d.owner = r.owner`)}
          update ${deliveries} d set claimed_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
          from held h where d.subscription = h.subscription and d.seq = h.seq ${planByIndex}`,
      );
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
          when to_regclass(${named("identity")}) is null or to_regclass(${named("nonces")}) is null then false
          else has_table_privilege(${named("nonces")}, 'select') and has_table_privilege(${named("identity")}, 'select') and has_table_privilege(${named("subscriptions")}, 'select')
            and has_table_privilege(${named("messages")}, 'select') and has_table_privilege(${named("messages")}, 'insert')
            and has_table_privilege(${named("deliveries")}, 'insert')
        end as usable`;
      if (!known?.usable) return false;
      const ask = (asked: Database) => asked.sql<{ id: string }>`select id from ${sql.id(schema, "identity")}`;
      const [[own], [others]] = [await ask(database), await ask(other)];
      return own !== undefined && own.id === others?.id && (await seesWhatIsWritten(other));
    },
    async stats() {
      const rows = await database.sql<{ name: string; count: string; parked: string; age: string; types: string }>`
        select s.subscription as name, s.types::text as types, waiting.count::text as count, waiting.parked::text as parked, coalesce(
            extract(epoch from clock_timestamp() - (select m.published_at from ${messages} m where m.seq = waiting.oldest)) * 1000, 0
          )::float8::text as age
        from (
          select subscription, json_agg(
            json_build_object('type', type, 'ensuredAt', ${isoText(sql`ensured_at`)}) order by type
          ) as types
          from ${subscriptions} group by subscription
        ) s
        cross join lateral (
          select count(*) as count, min(message) as oldest,
            count(*) filter (where claimed_until is null and attempts > 0 and ready_at > clock_timestamp()) as parked
          from (
            select coalesce(d.message, d.seq) as message, d.claimed_until, d.attempts, d.ready_at from ${deliveries} d
            where d.subscription = s.subscription order by d.seq limit ${countMax}::int
          ) d
        ) waiting
        order by 1`;
      return rows.map(({ name, count, parked, age, types }) => ({
        subscription: name,
        pendingCount: Number(count),
        oldestAgeMs: Math.max(0, Number(age)),
        parkedCount: Number(parked),
        types: JSON.parse(types),
      }));
    },
    async deleteOld(retentionMs, limit) {
      // Subscription by subscription, so that each is one look into an index.
      const isDone = sql`not exists (
        select 1 from (select distinct subscription from ${subscriptions}) s where exists (
          select 1 from ${deliveries} d where d.subscription = s.subscription and d.seq = m.seq and d.message is null
        ) or exists (
          select 1 from ${deliveries} d where d.subscription = s.subscription and d.message = m.seq
        )
      )`;
      return database.transaction(async (tx) => {
        const candidates = await tx.sql<{ seq: string }>`
          select m.seq::text as seq from ${messages} m
          where m.published_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 ms' and ${isDone}
          limit ${limit}::int for update of m skip locked`;
        if (candidates.length === 0) return 0;
        // Judged anew now that they are held: a replay that ended while they were looked for has deliveries of them.
        const rows = await tx.sql`
          delete from ${messages} m where m.seq = any(${candidates.map(({ seq }) => seq)}::bigint[]) and ${isDone}
          returning 1 as one`;
        return rows.length;
      });
    },
  };
}

/** For what changes nothing when it is done twice. */
async function onceMore<R>(run: () => Promise<R>): Promise<R> {
  try {
    return await run();
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
    return run();
  }
}
