import type { Clock } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { sql } from "../database/index.ts";

/**
 * Which keys a relay works on. Keys fall into 64 buckets; each bucket belongs to one relay at a time, by a lease whose
 * times are the database's. Relays share the buckets evenly: one that has more than its part gives the rest back, one
 * that has less takes what is free.
 *
 * A relay trusts its lease for two thirds of the time, by its own monotonic clock, counted from before it asked. A relay
 * that was stopped for longer finds that it has nothing; what it had under way fails at the epoch, which each taking
 * raises.
 */
export interface BucketLease {
  readonly owner: string;
  /** Whether this relay has any bucket, and may still rely on it. */
  isHeld(): boolean;
  /** Buckets that it had when it last asked. */
  readonly bucketCount: number;
  /** Takes, renews and gives back, in one statement. Several at a time are one. */
  beat(): Promise<void>;
  /** Somebody saw a bucket that nobody has: the next tick asks for it. */
  noteVacancy(vacant: boolean): void;
  /** Beats when it is time to. To be called every `tickMs`. */
  tick(): Promise<void>;
  readonly tickMs: number;
  /**
   * Gives nothing back while `work` runs: what is published of a bucket is marked by the same owner. What it has too much
   * of goes back before the next `work`, so that one who always has work shares as well.
   */
  during<R>(work: () => Promise<R>): Promise<R>;
  /** Gives everything back. */
  release(): Promise<void>;
}

export interface BucketLeaseOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** `process/relay`. */
  readonly owner: string;
  readonly leaseMs: number;
}

export const bucketCountAll = 64;

/** The bucket of the column `key`. */
export const bucketOf = sql`(get_byte(sha256(convert_to(key, 'UTF8')), 7) & 63)`;

export function createBucketLease({ database, clock, owner, leaseMs }: BucketLeaseOptions): BucketLease {
  const relays = sql.id(database.schema, "plinth_relays");
  const buckets = sql.id(database.schema, "plinth_relay_buckets");
  let bucketCount = 0;
  let wantedCount = bucketCountAll;
  let validUntil = Number.NEGATIVE_INFINITY;
  let beatenAt = Number.NEGATIVE_INFINITY;
  let vacant = false;
  let hasTooMuch = false;
  let workingCount = 0;
  let beating: Promise<void> | undefined;
  let opened: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    opened ??= openBuckets(database, owner).catch((thrown) => {
      opened = undefined;
      throw thrown;
    });
    await opened;
    const askedAt = clock.now();
    const until = sql`clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'`;
    const givesBack = workingCount === 0;
    const [row] = await database.sql<{ held: number; fair: number; most: number }>`
      with me as (
        insert into ${relays} (owner, expires_at) values (${owner}, ${until})
        on conflict (owner) do update set expires_at = excluded.expires_at
      ), part as (
        select ceil(${bucketCountAll}::float8 / (count(*) + 1))::int as most,
          floor(${bucketCountAll}::float8 / (count(*) + 1))::int as fair
        from ${relays} where owner <> ${owner} and expires_at > clock_timestamp()
      ), open as materialized (
        select bucket, coalesce(owner = ${owner} and expires_at > clock_timestamp(), false) as mine from ${buckets}
        where owner is null or owner = ${owner} or expires_at <= clock_timestamp()
        order by bucket for update skip locked
      ), ranked as (
        select bucket, mine, row_number() over (order by mine desc, bucket) as rank from open
      ), decided as (
        select bucket, mine, rank <= most or (mine and not ${givesBack}::boolean) as keeps from ranked, part
      ), changed as (
        update ${buckets} b set owner = case when keeps then ${owner}::text end, expires_at = case when keeps then ${until} end,
          epoch = b.epoch + case when mine and keeps then 0 else 1 end
        from decided d where b.bucket = d.bucket and (keeps or mine)
        returning keeps
      )
      select (select count(*) from changed where keeps)::int as held, fair, most from part`;
    bucketCount = row?.held ?? 0;
    hasTooMuch = row !== undefined && row.held > row.most;
    // One less than its part is how 64 may fall to three relays for good: no reason to hurry.
    wantedCount = row ? Math.max(Math.min(1, row.fair), row.fair - 1) : bucketCountAll;
    beatenAt = askedAt;
    vacant = false;
    validUntil = askedAt + (leaseMs * 2) / 3;
  };
  const beat = (): Promise<void> => {
    beating ??= ask().finally(() => {
      beating = undefined;
    });
    return beating;
  };
  const isHeld = (): boolean => bucketCount > 0 && clock.now() < validUntil;
  const tickMs = Math.max(1, leaseMs / 30);

  return {
    owner,
    get bucketCount() {
      return isHeld() ? bucketCount : 0;
    },
    tickMs,
    isHeld,
    beat,
    noteVacancy(seen) {
      vacant = seen;
    },
    async tick() {
      const isShort = vacant || bucketCount < wantedCount;
      if (clock.now() - beatenAt >= (isShort ? tickMs / 2 : leaseMs / 3)) await beat();
    },
    async during(work) {
      // One that is under way may be giving back what this work would use.
      await beating;
      if (hasTooMuch && workingCount === 0) await beat();
      workingCount++;
      try {
        return await work();
      } finally {
        workingCount--;
      }
    },
    async release() {
      await beating?.catch(() => {});
      bucketCount = 0;
      await database.sql`
        with gone as (delete from ${relays} where owner = ${owner} or expires_at < clock_timestamp() - interval '1 hour')
        update ${buckets} set owner = null, expires_at = null, epoch = epoch + 1 where owner = ${owner}`;
    },
  };
}

/** Where no other process can have the database open, what the one before this had is free at once. */
async function openBuckets(database: Database, owner: string): Promise<void> {
  if (database.flags.multipleProcesses) return;
  const isOther = sql`split_part(owner, '/', 1) <> ${owner.split("/")[0]}`;
  await database.sql`
    with gone as (delete from ${sql.id(database.schema, "plinth_relays")} where ${isOther})
    update ${sql.id(database.schema, "plinth_relay_buckets")} set expires_at = clock_timestamp() where ${isOther}`;
}
