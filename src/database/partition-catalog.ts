import { StartError } from "../base/index.ts";
import type { Database } from "./database.ts";
import type { CheckedPartitioning } from "./partition-declaration.ts";
import { quoteName, sql } from "./sql.ts";
import type { Transaction } from "./transaction.ts";

/** What the catalog says of a partitioned table. */
export interface PartitionedTable {
  readonly name: string;
  readonly column: string;
  /** Those with a range; times in ms, ±infinity where open. */
  readonly partitions: readonly ExistingPartition[];
  readonly hashed: readonly { readonly modulus: number; readonly remainder: number }[];
  readonly defaultName: string | undefined;
  readonly defaultRows: number | undefined;
}

export interface ExistingPartition {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** As PostgreSQL writes it: FOR VALUES … */
  readonly bound: string;
  /** It was marked, and is still a partition. */
  readonly expired: boolean;
  /** A concurrent detach was begun and not finished. */
  readonly detaching: boolean;
}

/** The comment on a partition of a table that is to be dropped once nothing refers to it. */
export const expiredMark = (table: string): string => `plinth: expired partition of ${table}`;

const countMax = 10_000;

export async function databaseNow(database: Database): Promise<number> {
  const [row] = await database.sql<{
    now: number;
  }>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`;
  return (row as { now: number }).now;
}

/** Reads the table, and refuses one that is not partitioned as declared. PostgreSQL locks what it reads bounds of. */
export function readTable(
  database: Database,
  name: string,
  declared: CheckedPartitioning,
  lockTimeoutMs: number,
): Promise<PartitionedTable> {
  return database.transaction(async (tx) => {
    await tx.sql`select set_config('lock_timeout', ${String(lockTimeoutMs)}, true)`;
    return read(tx, database.schema, name, declared);
  });
}

async function read(
  tx: Transaction,
  schema: string,
  name: string,
  declared: CheckedPartitioning,
): Promise<PartitionedTable> {
  const [head] = await tx.sql<{ strategy: string; columns: string[] | null; type: string | null }>`
    select p.partstrat as strategy, array_agg(a.attname::text order by a.attnum) as columns, min(format_type(a.atttypid, null)) as type
    from pg_partitioned_table p join pg_class c on c.oid = p.partrelid join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = any(p.partattrs::int2[])
    where n.nspname = ${schema} and c.relname = ${name} group by p.partstrat`;
  assertShape(name, declared, head);
  const rows = await tx.sql<{ name: string; bound: string; expired: boolean; detaching: boolean }>`
    select k.relname::text as name, pg_get_expr(k.relpartbound, k.oid) as bound, i.inhdetachpending as detaching,
      coalesce(obj_description(k.oid, 'pg_class') = ${expiredMark(name)}, false) as expired
    from pg_inherits i join pg_class k on k.oid = i.inhrelid join pg_class c on c.oid = i.inhparent
    join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${name}`;
  const partitions = rows.flatMap((row) => {
    const range = rangeOf(row.bound);
    return range ? [{ ...row, ...range }] : [];
  });
  const hashed = rows.flatMap(({ bound }) => {
    const [, modulus, remainder] = /modulus (\d+), remainder (\d+)/i.exec(bound) ?? [];
    return modulus && remainder ? [{ modulus: Number(modulus), remainder: Number(remainder) }] : [];
  });
  const defaultName = rows.find(({ bound }) => bound === "DEFAULT")?.name;
  const defaultRows = defaultName === undefined ? undefined : await countRows(tx, schema, defaultName);
  return { name, column: declared.column, partitions, hashed, defaultName, defaultRows };
}

async function countRows(tx: Transaction, schema: string, table: string): Promise<number> {
  const from = sql.unsafe(`${quoteName(schema)}.${quoteName(table)}`);
  const { rows } = await tx.execute<{ n: number }>(
    sql`select count(*)::int as n from (select 1 from ${from} limit ${countMax}) as counted`,
  );
  return rows[0]?.n ?? 0;
}

function assertShape(
  name: string,
  declared: CheckedPartitioning,
  head: { strategy: string; columns: string[] | null; type: string | null } | undefined,
): void {
  const refuse = (problem: string): never => {
    throw new StartError("PARTITION_SHAPE", `partitions of ${name}: ${problem}`);
  };
  const wanted = `partition by ${declared.kind} (${declared.column})`;
  if (head === undefined)
    throw refuse(`there is no partitioned table of this name: make it in a migration, with ${wanted}`);
  const strategy = { r: "range", h: "hash", l: "list" }[head.strategy];
  const columns = (head.columns ?? []).join(", ");
  if (strategy !== declared.kind || columns !== declared.column) {
    refuse(
      `the table has partition by ${strategy} (${columns}), and the declaration says ${wanted}: correct the declaration`,
    );
  }
  if (declared.kind === "hash") return;
  if (!/^(?:timestamp|date)/.test(head.type ?? "")) {
    refuse(`${declared.column} is ${head.type}: a column of time is a timestamptz, timestamp or date`);
  }
  if (head.type === "date" && declared.every.unit === "hour")
    refuse(`${declared.column} is a date: every is a day or longer`);
}

/** `FOR VALUES FROM ('2026-11-22 00:00:00+00') TO (MAXVALUE)`; undefined for what is no range of one column. */
function rangeOf(bound: string): { from: number; to: number } | undefined {
  const [, from, to] = /^FOR VALUES FROM \(('[^']*'|MINVALUE)\) TO \(('[^']*'|MAXVALUE)\)$/.exec(bound) ?? [];
  if (from === undefined || to === undefined) return undefined;
  return {
    from: from === "MINVALUE" ? Number.NEGATIVE_INFINITY : timeOf(from),
    to: to === "MAXVALUE" ? Number.POSITIVE_INFINITY : timeOf(to),
  };
}

/** In the session's time zone, which is UTC, and its ISO style. */
function timeOf(quoted: string): number {
  const text = quoted.slice(1, -1);
  const [date = "", time = "00:00:00"] = text.replace(/(?:\+00|Z)$/, "").split(" ");
  return Date.parse(`${date}T${time}Z`);
}
