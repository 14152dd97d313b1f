import type { Clock } from "../base/index.ts";
import { isError } from "../base/index.ts";
import type { Database } from "./database.ts";
import type { ExistingPartition, PartitionedTable } from "./partition-catalog.ts";
import { databaseNow, readTable } from "./partition-catalog.ts";
import {
  createHashPartitions,
  createRangePartition,
  dropExpired,
  finishDrops,
  keepAfterAll,
  LeftForLater,
} from "./partition-changes.ts";
import type { CheckedPartitioning, PartitionDeclarations } from "./partition-declaration.ts";
import { checkPartitions } from "./partition-declaration.ts";
import { periodsFrom } from "./partition-period.ts";

export interface PartitionReport {
  readonly table: string;
  readonly created: readonly string[];
  readonly dropped: readonly string[];
  /** Rows in the default partition, up to 10,000; undefined without one. */
  readonly defaultRows: number | undefined;
  /** Why something was left for the next call. */
  readonly waiting: string | undefined;
}

export interface PartitionOptions {
  readonly clock: Clock;
  /** Longest wait for a lock on the table. Default 2,000. */
  readonly lockTimeoutMs?: number;
}

/**
 * Partitioned tables whose partitions come and go by themselves. A migration makes the table (`create table event (…)
 * partition by range (created_at)`, or `by hash (id)`); the declaration says which partitions there are to be; and
 * `maintainPartitions`, called at start and by a schedule, makes it so.
 *
 * **By time**: the partition of now and `ahead` more are there before they are needed; those that end `keep` ago or
 * earlier are detached and dropped. **By hash**: the `parts` partitions are made once; their number cannot change.
 *
 * **Promises.** Safe to call from many processes at once: one works on a table, the others leave it. A new partition is
 * built beside the table and attached, with a lock that lets reads and writes go on; nothing waits longer than
 * `lockTimeoutMs` for a lock, and what was not done is told (`waiting`) and done next time. An expired partition is
 * marked before it is detached: a crash at any point is made good by the next call. When `keep` is raised before that, the
 * mark goes; what was already detached is dropped, unless `keep` is gone altogether: then nothing ever is. Time is the caller's clock for
 * making, and the earlier of it and the database's for dropping, so that a clock that runs ahead drops nothing.
 *
 * **A default partition** is never made here, but where a migration made one its rows are counted (`defaultRows`, up to
 * 10,000): they came for a time that had no partition. Those that a new partition is for move into it, at most 10,000 at
 * a time; more than that, and the partition is left (`waiting`) until somebody has made room. While there is one, PostgreSQL cannot detach concurrently: expired partitions are then detached with a lock that
 * holds everybody off for a moment, at most `lockTimeoutMs` after waiting for it.
 *
 * StartError when a declaration is wrong, or does not fit its table.
 *
 * **Limits**: 1,000 partitions ahead, 1,000 by hash, 100 dropped in one call.
 */
export async function maintainPartitions(
  database: Database,
  declarations: PartitionDeclarations,
  { clock, lockTimeoutMs = 2_000 }: PartitionOptions,
): Promise<readonly PartitionReport[]> {
  const checked = checkPartitions(declarations);
  const reports: PartitionReport[] = [];
  for (const [table, partitioning] of checked) {
    try {
      const found = await readTable(database, table, partitioning, lockTimeoutMs);
      reports.push(await maintain(database, found, partitioning, clock, lockTimeoutMs));
    } catch (thrown) {
      if (!isInUse(thrown)) throw thrown;
      const waiting = `reading: the table was in use for ${lockTimeoutMs} ms`;
      reports.push({ table, created: [], dropped: [], defaultRows: undefined, waiting });
    }
  }
  return reports;
}

function isInUse(thrown: unknown): boolean {
  return isError(thrown, "LOCK_NOT_AVAILABLE") || isError(thrown, "DEADLOCK");
}

async function maintain(
  database: Database,
  table: PartitionedTable,
  partitioning: CheckedPartitioning,
  clock: Clock,
  lockTimeoutMs: number,
): Promise<PartitionReport> {
  const created: string[] = [];
  const dropped: string[] = [];
  const waits: string[] = [];
  /** What finds the table in use, or a default partition full, is left for the next call: false. Whatever else goes wrong is
   * the caller's to hear. */
  const attempt = async (what: string, work: () => Promise<readonly string[]>, done: string[]): Promise<boolean> => {
    try {
      done.push(...(await work()));
      return true;
    } catch (thrown) {
      if (thrown instanceof LeftForLater) waits.push(`${what}: ${thrown.message}`);
      else if (!isInUse(thrown)) throw thrown;
      else waits.push(`${what}: the table was in use for ${lockTimeoutMs} ms`);
      return false;
    }
  };
  const change = { database, table, lockTimeoutMs };
  if (partitioning.kind === "hash") {
    await attempt("creating", () => createHashPartitions(change, partitioning.parts), created);
  } else {
    const { every, ahead, keepMs } = partitioning;
    for (const period of periodsFrom(clock.wallNow(), every, ahead)) {
      if (table.partitions.some(({ from, to }) => from <= period.from && to >= period.to)) continue;
      await attempt(`creating ${table.name}_${period.suffix}`, () => createRangePartition(change, period), created);
    }
    const dropBefore = Math.min(clock.wallNow(), await databaseNow(database)) - keepMs;
    for (const kept of table.partitions.filter(({ expired, to }) => expired && to > dropBefore)) {
      await attempt(`keeping ${kept.name} after all`, () => keepAfterAll(change, kept), []);
    }
    if (keepMs < Number.POSITIVE_INFINITY) {
      await attempt("finishing what was expired", () => finishDrops(change), dropped);
    }
    for (const expired of expiredOf(table.partitions, dropBefore)) {
      // A detach that was begun must end before PostgreSQL begins another.
      if (!(await attempt(`dropping ${expired.name}`, () => dropExpired(change, expired), dropped))) break;
    }
  }
  const { defaultRows } = await readTable(database, table.name, partitioning, lockTimeoutMs);
  return { table: table.name, created, dropped, defaultRows, waiting: waits.length > 0 ? waits.join("; ") : undefined };
}

const dropsMax = 100;

/** That whose detach was begun, then the oldest first. */
function expiredOf(partitions: readonly ExistingPartition[], before: number): readonly ExistingPartition[] {
  return partitions
    .filter(({ to }) => to <= before)
    .sort((one, other) => Number(other.detaching) - Number(one.detaching) || one.to - other.to)
    .slice(0, dropsMax);
}
