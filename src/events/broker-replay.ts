import { error, newId } from "../base/index.ts";
import type { Database, Fragment } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { ReplayPlan, ReplayProgress, ReplayRequest } from "./driver.ts";
import { isoText } from "./iso-text.ts";
import { checkTimes, forgotten, rememberedMsMin } from "./replay-request.ts";

/**
 * What the broker in a database does for operators: delivers again what it still has, and forgets a subscription.
 *
 * A replay appends: each message gets a delivery with a new number, behind all that waits, in the order in which the
 * messages were published. So the order of each key holds among them, and one that runs is never overtaken. Its place is
 * a row, moved on in the transaction of each step: after a crash the same request goes on from there.
 *
 * What was handled is let go by the inbox, as far back as it remembers. So a replay that is not to run things again cannot
 * begin before that. A consumer that is more than a day behind with what is replayed may have forgotten in between.
 */
export interface BrokerReplay {
  plan(request: ReplayRequest): Promise<ReplayPlan>;
  step(request: ReplayRequest): Promise<ReplayProgress>;
  retire(subscription: string, types?: readonly string[]): Promise<number>;
  /** Deletes up to `limit` replays that ended more than a day ago: only one that is broken off has a place to keep. */
  deleteDone(limit: number): Promise<number>;
}

const stepMax = 1000;

/** `retentionMs`: how long messages are kept that everybody had. */
export function createBrokerReplay(database: Database, { retentionMs = 0 } = {}): BrokerReplay {
  const { schema } = database;
  const subscriptions = sql.id(schema, "subscriptions");
  const messages = sql.id(schema, "messages");
  const deliveries = sql.id(schema, "deliveries");
  const replays = sql.id(schema, "replays");

  const isWanted = ({ subscription, types }: ReplayRequest) => sql`
    m.type in (select type from ${subscriptions} where subscription = ${subscription})
    and (${types ?? null}::text[] is null or m.type = any(${types ?? null}::text[]))`;
  /** It waits under its own number, or because it is replayed already. */
  const waits = (subscription: string) => sql`(
    exists (
      select 1 from ${deliveries} d where d.subscription = ${subscription} and d.seq = m.seq and d.message is null
    ) or exists (
      select 1 from ${deliveries} d where d.subscription = ${subscription} and d.message = m.seq
    ))`;

  const begin = async (request: ReplayRequest): Promise<{ readonly id: string; readonly isNew: boolean }> => {
    const { subscription, from, to, types, again } = request;
    return database.transaction(async (tx) => {
      // One of a subscription at a time begins.
      await tx.sql`select pg_advisory_xact_lock(hashtext(${`${schema} replay ${subscription}`}))`;
      const [open] = await tx.sql<{ id: string }>`
        select id::text as id from ${replays} where subscription = ${subscription} and finished_at is null
          and from_at = ${from}::text::timestamptz and again = ${again}::boolean
          and types is not distinct from ${types ?? null}::text[]
          and (${to ?? null}::text is null or to_at = ${to ?? null}::text::timestamptz)
        order by started_at limit 1`;
      if (open) return { id: open.id, isNew: false };
      const id = newId();
      await tx.sql`
        insert into ${replays} (id, subscription, from_at, to_at, types, again, cursor_seq, last_seq)
        select ${id}::text::uuid, ${subscription}, ${from}::text::timestamptz, r.to_at, ${types ?? null}::text[],
          ${again}::boolean, 0, coalesce((select max(seq) from ${messages}), 0)
        from (select coalesce(${to ?? null}::text::timestamptz, clock_timestamp()) as to_at) r`;
      return { id, isNew: true };
    });
  };
  const check = async (request: ReplayRequest): Promise<void> => {
    await requireKnown(database, request.subscription);
    const rememberedMs = Math.max(rememberedMsMin, retentionMs);
    const [row] = await database.sql<{ since: string; forgotten: boolean }>`
      select ${isoText(sql`since`)} as since, ${request.from}::text::timestamptz < since as forgotten
      from (select clock_timestamp() - ${rememberedMs}::float8 * interval '1 ms' as since) r`;
    if (row?.forgotten && !request.again) throw forgotten(row.since);
  };
  const known = new Map<string, { readonly id: string; readonly resumed: boolean }>();

  return {
    async plan(request) {
      checkTimes(request);
      await check(request);
      const { from, to, subscription } = request;
      const [row] = await database.sql<{ count: number; pending: number; since: string | null }>`
        select count(*)::int as count, (count(*) filter (where ${waits(subscription)}))::int as pending,
          (select ${isoText(sql`min(published_at)`)} from ${messages}) as since
        from ${messages} m
        where m.published_at >= ${from}::text::timestamptz
          and m.published_at < coalesce(${to ?? null}::text::timestamptz, clock_timestamp()) and ${isWanted(request)}`;
      return { messageCount: row?.count ?? 0, pendingCount: row?.pending ?? 0, keptSince: row?.since ?? undefined };
    },
    async step(request) {
      checkTimes(request);
      const { subscription } = request;
      const name = JSON.stringify(request);
      let replay = known.get(name);
      if (!replay) {
        await check(request);
        const { id, isNew } = await begin(request);
        replay = { id, resumed: !isNew };
        known.set(name, replay);
      }
      const { id } = replay;
      const [row] = await database.sql<{ delivered: number; done: boolean }>`
        with place as materialized (select * from ${replays} where id = ${id}::text::uuid for update),
        -- Held, so that the sweeper leaves them.
        due as materialized (
          select m.seq, m.source, m.key, ${waits(subscription)} as waits from ${messages} m, place p
          where m.seq > p.cursor_seq and m.seq <= p.last_seq and p.finished_at is null
            and m.published_at >= p.from_at and m.published_at < p.to_at and ${isWanted(request)}
          order by m.seq limit ${stepMax}::int for key share of m
        ), placed as (
          insert into ${deliveries} (subscription, seq, source, key, message, replay, again)
          select ${subscription}, nextval(pg_get_serial_sequence(${`${quoted(schema)}.messages`}, 'seq')), source, key, seq,
            ${id}::text::uuid, ${request.again}::boolean
          from (select * from due where not waits order by seq) ordered
          returning 1
        )
        update ${replays} r set
          cursor_seq = coalesce((select max(seq) from due), r.cursor_seq),
          delivered_count = r.delivered_count + (select count(*) from placed),
          finished_at = case when (select count(*) from due) < ${stepMax}::int then clock_timestamp() end
        from place p where r.id = p.id
        returning r.delivered_count::int as delivered, r.finished_at is not null as done`;
      const done = row?.done ?? true;
      if (done) known.delete(name);
      return { id, deliveredCount: row?.delivered ?? 0, resumed: replay.resumed, done };
    },
    async retire(subscription, types) {
      const isOf = (column: Fragment) => (types ? sql`${column} = any(${types}::text[])` : sql`true`);
      // First it gets nothing new; what is published meanwhile by a statement that began before is in the next piece.
      await database.sql`delete from ${subscriptions} where subscription = ${subscription} and ${isOf(sql`type`)}`;
      const ofType = types
        ? sql`exists (select 1 from ${messages} m where m.seq = coalesce(d.message, d.seq) and ${isOf(sql`m.type`)})`
        : sql`true`;
      const rows = await database.sql`
        delete from ${deliveries} d using (
          select d.seq from ${deliveries} d where d.subscription = ${subscription} and ${ofType}
          order by d.seq limit ${stepMax}::int for update of d
        ) old
        where d.subscription = ${subscription} and d.seq = old.seq returning 1 as one`;
      return rows.length;
    },
    async deleteDone(limit) {
      const rows = await database.sql`
        delete from ${replays} where id in (
          select id from ${replays} where finished_at < clock_timestamp() - interval '1 day'
          limit ${limit}::int for update skip locked
        ) returning 1 as one`;
      return rows.length;
    },
  };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function requireKnown(database: Database, subscription: string): Promise<void> {
  const [row] = await database.sql`
    select 1 as one from ${sql.id(database.schema, "subscriptions")} where subscription = ${subscription} limit 1`;
  if (row) return;
  throw error("not_found", `The broker knows no subscription "${subscription}".`, {
    reason: "SUBSCRIPTION_UNKNOWN",
    executed: "no",
  });
}
