import type { Database, Fragment } from "../database/index.ts";
import { planByIndex, sql } from "../database/index.ts";
import type { Delivery } from "./driver.ts";
import { isoText } from "./iso-text.ts";
import type { MessageRow } from "./outbox.ts";
import { toMessage } from "./outbox.ts";
import { unsyncedUnless } from "./unsynced.ts";

export interface ClaimRequest {
  /** How many at most, of each subscription. Each is named once. */
  readonly wanted: readonly { readonly subscription: string; readonly limit: number }[];
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
  readonly owner: string;
  readonly delivery: Delivery;
}

/** The tables that a claim reads and writes. */
export interface ClaimTables {
  readonly messages: Fragment;
  readonly deliveries: Fragment;
}

/** A claim looks through so many deliveries that are free, oldest first, before it goes by their keys. */
const lookMax = 1000;
/** And then through so many keys. The next one goes on behind the last of them. */
const keysMax = 1000;

/**
 * The claim of `BrokerTables`. Only the oldest of each key may be had, so where few keys wait long nearly all that is free is
 * not to be had: it is then looked for by key, one step into the index for each, instead of through all that waits.
 */
export function createDeliveryClaim(
  database: Database,
  { messages, deliveries }: ClaimTables,
): (request: ClaimRequest) => Promise<readonly ClaimedDelivery[]> {
  /** By subscription: where the last look by key ended, when there were more. */
  const lastKeys = new Map<string, Walked>();
  const isFree = (row: "d" | "p"): Fragment => {
    const of = sql.unsafe(row);
    return sql`${of}.claimed_until is null and ${of}.ready_at <= statement_timestamp()`;
  };
  const oldest = sql`(
    select p.seq from ${deliveries} p where p.subscription = w.subscription and ${isFree("p")}
    order by p.seq offset ${lookMax}::int limit 1
  ) as bound, null::bigint[] as heads`;
  const byKey = sql`null::bigint as bound, array(
    with recursive head as (
      (
        select p.source, p.key, p.seq from ${deliveries} p
        where p.subscription = w.subscription and (p.source, p.key) > (w.source, w.key)
        order by p.source, p.key, p.seq limit 1
      )
      union all
      select n.* from head h cross join lateral (
        select p.source, p.key, p.seq from ${deliveries} p
        where p.subscription = w.subscription and (p.source, p.key) > (h.source, h.key)
        order by p.source, p.key, p.seq limit 1
      ) n
    ) select seq from head limit ${keysMax}::int
  ) as heads`;
  const allOfThem = sql`null::bigint as bound, null::bigint[] as heads`;

  /** `reach` says which of the deliveries are looked at: two columns, `bound` and `heads`. */
  const claimWithin = async (
    reach: Fragment,
    { wanted, suspects, owner, leaseMs, inHand }: ClaimRequest,
  ): Promise<readonly (ClaimedRow | OtherRow)[]> => {
    const free = suspects
      ? sql`d.claimed_until < statement_timestamp() and not (d.seq || ' ' || d.subscription = any(${inHand.map(deliveryName)}::text[]))`
      : isFree("d");
    const counts = suspects
      ? sql`true`
      : unsyncedUnless(database, sql`exists (select 1 from candidate where attempts > 0)`);
    const after = wanted.map(({ subscription }) => lastKeys.get(subscription));
    return database.sql<ClaimedRow | OtherRow>`
      with wanted as materialized (
        select w.subscription, w.places, ${reach} from unnest(
          ${wanted.map(({ subscription }) => subscription)}::text[], ${wanted.map(({ limit }) => limit)}::int[],
          ${after.map((last) => last?.source ?? "")}::text[], ${after.map((last) => last?.key ?? "")}::text[]
        ) as w(subscription, places, source, key)
      ), candidate as (
        select w.subscription, c.* from wanted w cross join lateral (
          select d.seq, coalesce(d.message, d.seq) as message, d.attempts from ${deliveries} d
          where d.subscription = w.subscription and ${free} and ${reach === byKey ? sql`d.seq = any(w.heads)` : sql`d.seq <= coalesce(w.bound, ${seqMax}::bigint)`}
            and d.seq = (
              -- The first at or behind its key is the oldest of it. Only the index of keys has this order: the planner, which
              -- knows nothing of a table that is empty most of the time, is kept off the other one.
              select e.seq from ${deliveries} e
              where (e.subscription, e.source, e.key) >= (d.subscription, d.source, d.key)
              order by e.subscription, e.source, e.key, e.seq limit 1
            )
          order by d.seq limit w.places for update of d skip locked
        ) c
      ), orphan as (
        -- What a retirement left behind that was broken off: there is nothing to deliver, and its key would wait for ever.
        delete from ${deliveries} d using candidate c
        where d.subscription = c.subscription and d.seq = c.seq
          and not exists (select 1 from ${messages} m where m.seq = c.message)
        returning d.seq
      ), claimed as (
        update ${deliveries} d set attempts = d.attempts + 1, epoch = d.epoch + 1, owner = ${owner},
          first_failed_at = coalesce(d.first_failed_at, d.claimed_until),
          claimed_until = statement_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        from candidate c join ${messages} m on m.seq = c.message
        where ${counts} and d.subscription = c.subscription and d.seq = c.seq
        returning d.subscription, d.seq::text as seq, d.epoch::text as epoch, d.attempts as attempt,
          d.replay::text as replay, d.again, ${isoText(sql`d.first_failed_at`)} as first_failed_at, m.id::text as id,
          m.type, m.source, m.key, m.payload_hash, m.payload::text as payload, m.at, m.traceparent, m.tracestate,
          m.sequence::text as sequence
      )
      select c.*, o.count as orphans, r.bounded, r.walked from (select count(*)::int as count from orphan) o
      cross join (
        select coalesce(array_agg(w.subscription) filter (where w.bound is not null), '{}') as bounded,
          json_agg(json_build_object('subscription', w.subscription, 'source', e.source, 'key', e.key))
            filter (where e.seq is not null)::text as walked
        from wanted w left join ${deliveries} e on e.subscription = w.subscription and e.seq = w.heads[${keysMax}::int]
      ) r
      left join claimed c on true
      where c.seq is not null or o.count > 0 or cardinality(r.bounded) > 0 or r.walked is not null ${planByIndex}`;
  };

  /** Once more where all that was there was what a retirement left behind. */
  const claimWhole = async (reach: Fragment, request: ClaimRequest) => {
    for (;;) {
      const rows = await claimWithin(reach, request);
      const claimed = rows.filter((row): row is ClaimedRow => row.seq !== null);
      const [first] = rows;
      if (first && claimed.length === 0 && first.orphans > 0) continue;
      return { claimed, bounded: first?.bounded ?? [], walked: first?.walked };
    }
  };

  return async (request) => {
    const { claimed, bounded } = await claimWhole(request.suspects ? allOfThem : oldest, request);
    const rows = [...claimed];
    const missing = request.wanted
      .map(({ subscription, limit }) => ({ subscription, limit: limit - countOf(claimed, subscription) }))
      .filter(({ subscription, limit }) => limit > 0 && bounded.includes(subscription));
    if (missing.length > 0) {
      const found = await claimWhole(byKey, { ...request, wanted: missing });
      rows.push(...found.claimed);
      for (const { subscription } of missing) lastKeys.delete(subscription);
      for (const { subscription, ...last } of JSON.parse(found.walked ?? "[]")) lastKeys.set(subscription, last);
    }
    return rows.map((row) => toClaimed(request.owner, row)).sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1));
  };
}

/** The largest `bigint`. */
const seqMax = "9223372036854775807";

/** A key of a source. */
interface Walked {
  readonly source: string;
  readonly key: string;
}

interface Looked {
  /** How many deliveries were dropped. */
  readonly orphans: number;
  /** The subscriptions of which not all that is free was looked at. */
  readonly bounded: readonly string[];
  /** JSON: the last keys that were looked at, with their subscriptions, where more may follow. */
  readonly walked: string | null;
}

/** None was claimed. */
type OtherRow = Looked & { readonly seq: null };

type ClaimedRow = MessageRow &
  Looked & {
    readonly subscription: string;
    readonly seq: string;
    readonly epoch: string;
    readonly payload_hash: string;
    readonly attempt: number;
    readonly replay: string | null;
    readonly again: boolean;
    readonly first_failed_at: string | null;
  };

export function deliveryName({ subscription, seq }: Pick<ClaimedDelivery, "subscription" | "seq">): string {
  return `${seq} ${subscription}`;
}

function countOf(claimed: readonly ClaimedRow[], subscription: string): number {
  return claimed.reduce((count, row) => (row.subscription === subscription ? count + 1 : count), 0);
}

function toClaimed(owner: string, row: ClaimedRow): ClaimedDelivery {
  const delivery = {
    message: toMessage(row),
    payloadHash: row.payload_hash,
    attempt: row.attempt,
    isFirst: row.attempt === 1 && row.epoch === "1" && row.replay === null,
    ...(row.first_failed_at !== null && { firstFailedAt: row.first_failed_at }),
    ...(row.replay !== null && { replay: { id: row.replay, again: row.again } }),
  };
  return { subscription: row.subscription, owner, seq: row.seq, epoch: row.epoch, delivery };
}
