import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import { bucketOfColumn } from "./guard.ts";
import type { Move } from "./move-store.ts";
import type { MoveWork } from "./move-work.ts";
import { asMover, asMoverForLong, columnList, fenceLost, rowText, stageOf } from "./move-work.ts";
import { outboxTable, platformColumn, qualified } from "./sharded-table.ts";

export interface FencedRow {
  readonly bucket: number;
  readonly state: string;
  readonly epoch: number;
  readonly move: number | null;
  readonly moved_to: string | null;
}

/** The rows of the fence, locked against all writers. In one order, so that two movers do not wait for each other. */
export async function lockFence(tx: Transaction, buckets: readonly number[]): Promise<readonly FencedRow[]> {
  return tx.sql<FencedRow>`
    select bucket, state, epoch, move, moved_to from plinth_fence
    where bucket = any(${buckets}::int[]) order by bucket for update`;
}

/**
 * Gets the fence for itself for one transaction: asks new writers to hold back, waits for those inside at most
 * `lockTimeoutMs`, lets them in again. LOCK_NOT_AVAILABLE when somebody stays longer.
 */
export async function withDoorsClosed<R>(
  { source, move }: MoveWork,
  lockTimeoutMs: number,
  run: (tx: Transaction, rows: readonly FencedRow[]) => Promise<R>,
): Promise<R> {
  await source.sql`
    insert into plinth_closing (bucket, until)
    select unnest(${move.buckets}::int[]), clock_timestamp() + ${lockTimeoutMs + 500}::float8 * interval '1 ms'
    on conflict (bucket) do update set until = excluded.until`;
  try {
    return await asMover(source, move, async (tx) => {
      await tx.sql`select set_config('lock_timeout', ${`${lockTimeoutMs}ms`}, true)`;
      return run(tx, await lockFence(tx, move.buckets));
    });
  } finally {
    // When that does not go any more, the doors open by themselves.
    await openDoors(source, move).catch(() => {});
  }
}

async function openDoors(source: Database, { buckets }: Move): Promise<void> {
  await source.sql`delete from plinth_closing where bucket = any(${buckets}::int[])`;
}

/** Notes every change from now on: whoever writes after this commits knows of it, whoever wrote before has ended. */
export function startCapture(work: MoveWork, lockTimeoutMs: number): Promise<string | undefined> {
  const { move } = work;
  return withDoorsClosed(work, lockTimeoutMs, async (tx, rows) => {
    const away = rows.find(({ state }) => state !== "open");
    if (away) return `bucket ${away.bucket} is ${away.state} on ${move.source}`;
    await tx.sql`
      update plinth_fence set capture = true, move = ${move.id} where bucket = any(${move.buckets}::int[])`;
    return undefined;
  });
}

export function fenceOff(work: MoveWork, lockTimeoutMs: number): Promise<void> {
  const { move } = work;
  return withDoorsClosed(work, lockTimeoutMs, async (tx) => {
    await tx.sql`
      update plinth_fence set state = 'fenced', epoch = epoch + 1, changed_at = clock_timestamp()
      where bucket = any(${move.buckets}::int[]) and move = ${move.id} and state = 'open'`;
  });
}

export async function reopen({ source, move }: MoveWork, keepsCapture: boolean): Promise<void> {
  await openDoors(source, move);
  await asMover(source, move, async (tx) => {
    await tx.sql`
      update plinth_fence set state = 'open', capture = capture and ${keepsCapture}, changed_at = clock_timestamp()
      where bucket = any(${move.buckets}::int[]) and move = ${move.id} and state in ('fenced', 'open')`;
  });
}

/** Events of these buckets that the source has yet to publish; one that was written for no key counts by its own. */
export async function pendingEvents(source: Database, buckets: readonly number[]): Promise<number> {
  const [found] = await source.sql<{ there: boolean }>`
    select exists (select 1 from pg_attribute where attrelid = to_regclass(${qualified(source.schema, outboxTable)})
      and attname = ${platformColumn}) as there`;
  if (!found?.there) return 0;
  const [row] = await source.sql<{ count: number }>`
    select count(*) as count from plinth_outbox
    where published_at is null and plinth_bucket(coalesce(shard_key, key)) = any(${buckets}::int[])`;
  return row?.count ?? 0;
}

interface Sum {
  readonly count: number;
  readonly sum: string;
}

/**
 * Compares source and stage while nobody writes: for each table the number of rows and a sum over their hashes, whatever
 * the order. Also that nothing of the buckets lies on the target already. Answers what is wrong.
 */
export async function verifyCopy(work: MoveWork): Promise<string | undefined> {
  const { source, target, move, tables } = work;
  for (const table of tables) {
    const hash = sql`coalesce(sum(
      ('x' || substr(encode(sha256(convert_to(${rowText(table, "t.")}, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint
    ), 0)::text`;
    const here = sql`${sql.unsafe(bucketOfColumn(source.schema, table, "t."))} = any(${move.buckets}::int[])`;
    const live = sql.unsafe(qualified(source.schema, table.name));
    const stage = sql.unsafe(stageOf(work, table));
    const key = table.primaryKey.map(({ name }) => sql`s.${sql.id(name)} = l.${sql.id(name)}`);
    const [[own], [copy], [clash]] = await Promise.all([
      source.execute<Sum>(sql`select count(*) as count, ${hash} as sum from ${live} t where ${here}`),
      target.execute<Sum>(sql`select count(*) as count, ${hash} as sum from ${stage} t`),
      target.execute<{ count: number }>(sql`
        select count(*) as count from ${sql.unsafe(qualified(target.schema, table.name))} l
        where ${sql.unsafe(bucketOfColumn(target.schema, table, "l."))} = any(${move.buckets}::int[])
          or (${!table.isPlatform} and exists (select 1 from ${stage} s where ${sql.join(key, sql` and `)}))`),
    ]).then((results) => results.map(({ rows }) => rows) as unknown as [Sum[], Sum[], { count: number }[]]);
    if (own?.count !== copy?.count || own?.sum !== copy?.sum)
      return `table ${table.name}: ${own?.count} rows on ${move.source}, ${copy?.count} copied, checksums ${own?.sum === copy?.sum ? "equal" : "differ"}`;
    if (clash?.count) return `table ${table.name}: ${clash.count} rows of these buckets or keys are on ${move.target}`;
  }
  return undefined;
}

/** The source lets go: its rows into the archive, its fence to "away", in one transaction. Answers the new epochs. */
export function leaveSource(work: MoveWork, archive: (table: string) => string): Promise<ReadonlyMap<number, number>> {
  const { source, move, tables } = work;
  return asMoverForLong(source, move, async (tx) => {
    const rows = await lockFence(tx, move.buckets);
    if (rows.every(({ state, moved_to }) => state === "away" && moved_to === move.target)) {
      return new Map(rows.map(({ bucket, epoch }) => [bucket, epoch]));
    }
    // Children first, so that nothing refers to a row that is gone.
    for (const table of tables.toReversed()) {
      const live = sql.unsafe(qualified(source.schema, table.name));
      const columns = columnList(table.columns);
      await tx.execute(sql`
        with gone as (
          delete from ${live} t where ${sql.unsafe(bucketOfColumn(source.schema, table, "t."))} = any(${move.buckets}::int[])
          returning ${columnList(table.columns, "t.")}
        ) insert into ${sql.unsafe(archive(table.name))} (${columns}) select ${columns} from gone`);
    }
    await tx.sql`delete from plinth_changes where bucket = any(${move.buckets}::int[])`;
    const left = await tx.sql<{ bucket: number; epoch: number }>`
      update plinth_fence set state = 'away', epoch = epoch + 1, moved_to = ${move.target}, capture = false,
        changed_at = clock_timestamp()
      where bucket = any(${move.buckets}::int[]) and state = 'fenced' and move = ${move.id} returning bucket, epoch`;
    if (left.length !== move.buckets.length) throw fenceLost(move, move.source);
    return new Map(left.map(({ bucket, epoch }) => [bucket, epoch]));
  });
}

/**
 * The target takes over: staged rows become live and the fence opens, in one transaction. Of the platform's rows, which
 * say that something was done, two that say the same are one.
 */
export async function enterTarget(work: MoveWork, epochs: ReadonlyMap<number, number>): Promise<void> {
  const { target, move } = work;
  await asMoverForLong(target, move, async (tx) => {
    const rows = await lockFence(tx, move.buckets);
    if (rows.every(({ state, move: by }) => state === "open" && by === move.id)) return;
    await makeLive(tx, work);
    const opened = await tx.sql`
      update plinth_fence f set state = 'open', epoch = e.epoch, moved_to = null, capture = false,
        changed_at = clock_timestamp()
      from unnest(${[...epochs.keys()]}::int[], ${[...epochs.values()]}::bigint[]) e(bucket, epoch)
      where f.bucket = e.bucket and f.state = 'incoming' and f.move = ${move.id} returning 1 as one`;
    if (opened.length !== move.buckets.length) throw fenceLost(move, move.target);
  });
}

async function makeLive(tx: Transaction, work: MoveWork): Promise<void> {
  const { target, tables } = work;
  for (const table of tables) {
    const columns = columnList(table.columns.filter(({ isGenerated }) => !isGenerated));
    await tx.execute(sql`
      insert into ${sql.unsafe(qualified(target.schema, table.name))} (${columns}) overriding system value
      select ${columns} from ${sql.unsafe(stageOf(work, table))}
      ${table.isPlatform ? sql`on conflict do nothing` : sql``}`);
  }
}

/**
 * What `enterTarget` will do, and then undone, while nobody waits: whatever the target refuses, it refuses here. The
 * rows that change later are held by the same constraints on the source.
 */
export async function rehearse(work: MoveWork): Promise<void> {
  const isWell = new Error("rolled back on purpose");
  try {
    await asMoverForLong(work.target, work.move, async (tx) => {
      await makeLive(tx, work);
      await tx.sql`set constraints all immediate`;
      throw isWell;
    });
  } catch (thrown) {
    if (thrown !== isWell) throw thrown;
  }
}
