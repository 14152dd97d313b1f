import type { Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import { bucketOfColumn } from "./guard.ts";
import type { MoveWork } from "./move-work.ts";
import { asMover, columnList, keyJoin, keyText, rowText, stageOf } from "./move-work.ts";
import type { ShardedTable } from "./sharded-table.ts";
import { qualified } from "./sharded-table.ts";

interface RowText {
  readonly r: string;
  readonly pk: readonly string[];
}

/**
 * COPY: every row of the buckets into the stage on the target, in order of the primary key, a batch at a time. How far
 * it came commits with each batch. Rows that change meanwhile are noted by the guard, and fetched again by catch-up.
 */
export async function copyRows(work: MoveWork): Promise<number> {
  let copied = 0;
  for (const table of work.tables) {
    const progress = await work.target.sql<{ bucket: number; after: string[] | null; done: boolean }>`
      select bucket, after, done from plinth_copied where move = ${work.move.id} and tbl = ${table.name}`;
    const known = new Map(progress.map((row) => [row.bucket, row]));
    for (const bucket of work.move.buckets) {
      const row = known.get(bucket);
      if (!row?.done) copied += await copyBucket(work, table, bucket, row?.after ?? undefined);
    }
  }
  return copied;
}

async function copyBucket(
  work: MoveWork,
  table: ShardedTable,
  bucket: number,
  from: readonly string[] | undefined,
): Promise<number> {
  const { target, move, batchRows } = work;
  let after = from;
  let copied = 0;
  for (;;) {
    const rows = await readPage(work, table, bucket, after);
    const last = rows.at(-1);
    if (!last) return copied;
    const done = rows.length < batchRows;
    after = last.pk;
    await asMover(target, move, async (tx) => {
      await insertRows(tx, work, table, rows);
      await tx.sql`
        insert into plinth_copied (move, tbl, bucket, after, done)
        values (${move.id}, ${table.name}, ${bucket}, ${last.pk}::text[], ${done})
        on conflict (move, tbl, bucket) do update set after = excluded.after, done = excluded.done`;
    });
    copied += rows.length;
    work.crashPoint("move.copied-some");
    await work.pace(rows.length);
    if (done) return copied;
  }
}

async function readPage(
  { source, batchRows }: MoveWork,
  table: ShardedTable,
  bucket: number,
  after: readonly string[] | undefined,
): Promise<readonly RowText[]> {
  const order = columnList(table.primaryKey, "t.");
  const beyond = after
    ? sql`and (${order}) > (${sql.join(table.primaryKey.map(({ type }, i) => sql`${after[i]}::text::${sql.unsafe(type)}`))})`
    : sql``;
  const { rows } = await source.execute<RowText>(sql`
    select ${rowText(table, "t.")} as r, ${keyText(table, "t.")} as pk
    from ${sql.unsafe(qualified(source.schema, table.name))} t
    where ${sql.unsafe(bucketOfColumn(source.schema, table, "t."))} = ${bucket}::int ${beyond}
    order by ${order} limit ${batchRows}::int`);
  return rows;
}

async function insertRows(tx: Transaction, work: MoveWork, table: ShardedTable, rows: readonly RowText[]) {
  const stage = sql.unsafe(stageOf(work, table));
  // "offset 0": each row is read once, not once for each of its columns.
  await tx.execute(sql`
    insert into ${stage} select (x.r).* from (
      select unnest(${rows.map(({ r }) => r)}::text[])::${stage} as r offset 0
    ) x on conflict do nothing`);
}

/**
 * Brings the stage up to what changed: reads a batch of notes, then the rows they name as they are now, puts those into
 * the stage, and only then forgets the notes. A crash between any two of these repeats a batch, which changes nothing.
 * Answers how many notes there were; fewer than `batchRows` means that these were all.
 */
export async function applyChanges(work: MoveWork): Promise<number> {
  const { source, target, move, batchRows, tables } = work;
  const notes = await source.sql<{ seq: number; tbl: string; pk: string[] }>`
    select seq, tbl, pk from plinth_changes where bucket = any(${move.buckets}::int[]) order by seq limit ${batchRows}::int`;
  if (notes.length === 0) return 0;
  const fresh: { readonly table: ShardedTable; readonly keys: readonly string[][]; readonly rows: RowText[] }[] = [];
  for (const table of tables) {
    const unique = new Map(notes.filter(({ tbl }) => tbl === table.name).map(({ pk }) => [JSON.stringify(pk), pk]));
    if (unique.size === 0) continue;
    const keys = [...unique.values()];
    const { rows } = await source.execute<RowText>(sql`
      select ${rowText(table, "t.")} as r, ${keyText(table, "t.")} as pk
      from ${sql.unsafe(qualified(source.schema, table.name))} t, ${keyJoin(table, "t", keys)}`);
    fresh.push({ table, keys, rows });
  }
  await asMover(target, move, async (tx) => {
    for (const { table, keys, rows } of fresh) {
      await tx.execute(sql`delete from ${sql.unsafe(stageOf(work, table))} t using ${keyJoin(table, "t", keys)}`);
      if (rows.length > 0) await insertRows(tx, work, table, rows);
    }
  });
  await source.sql`delete from plinth_changes where seq = any(${notes.map(({ seq }) => seq)}::bigint[])`;
  return notes.length;
}
