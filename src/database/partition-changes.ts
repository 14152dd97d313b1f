import { StartError } from "../base/index.ts";
import type { Database } from "./database.ts";
import type { ExistingPartition, PartitionedTable } from "./partition-catalog.ts";
import { expiredMark } from "./partition-catalog.ts";
import type { Period } from "./partition-period.ts";
import { boundText } from "./partition-period.ts";
import { quoteName, sql } from "./sql.ts";
import type { Transaction } from "./transaction.ts";

export interface PartitionChange {
  readonly database: Database;
  readonly table: PartitionedTable;
  readonly lockTimeoutMs: number;
}

const moveMax = 10_000;

/** What somebody has to do first, while the rest goes on. What was begun is rolled back. */
export class LeftForLater extends Error {}

/** One process at a time for each table; undefined when it is another. */
async function alone<R>(
  { database, table, lockTimeoutMs }: PartitionChange,
  work: (tx: Transaction) => Promise<R>,
): Promise<R | undefined> {
  return database.transaction(async (tx) => {
    const [lock] = await tx.sql<{
      got: boolean;
    }>`select pg_try_advisory_xact_lock(hashtextextended(${lockName(database, table)}, 0)) as got`;
    if (!lock?.got) return undefined;
    await tx.sql`select set_config('lock_timeout', ${String(lockTimeoutMs)}, true)`;
    return work(tx);
  });
}

const lockName = ({ schema }: Database, { name }: PartitionedTable): string => `plinth.partitions:${schema}.${name}`;
const nameIn = ({ schema }: Database, name: string): string => `${quoteName(schema)}.${quoteName(name)}`;

async function isThere(tx: Transaction, name: string): Promise<boolean> {
  const [row] = await tx.sql<{ found: string | null }>`select to_regclass(${name})::text as found`;
  return row?.found != null;
}

/** Asked under the lock: another process may have dropped it since the catalog was read. */
async function isPartition(on: Transaction, child: string): Promise<boolean> {
  const [row] = await on.sql<{
    yes: boolean;
  }>`select relispartition as yes from pg_class where oid = to_regclass(${child})`;
  return row?.yes === true;
}

/** It is to go, and nobody has decided otherwise since it was marked. */
async function isExpired(on: Pick<Transaction, "sql">, child: string, table: PartitionedTable): Promise<boolean> {
  const [row] = await on.sql<{ yes: boolean }>`
    select relispartition and obj_description(oid, 'pg_class') = ${expiredMark(table.name)} as yes
    from pg_class where oid = to_regclass(${child})`;
  return row?.yes === true;
}

/** Built beside the table, and attached: that takes a lock which lets reads and writes go on. */
export async function createRangePartition(change: PartitionChange, period: Period): Promise<readonly string[]> {
  const { database, table } = change;
  const name = `${table.name}_${period.suffix}`;
  const made = await alone(change, async (tx) => {
    const [parent, child] = [nameIn(database, table.name), nameIn(database, name)];
    if (await isThere(tx, child)) return [];
    await tx.script(`create table ${child} (like ${parent} including all excluding identity)`);
    const range = `for values from ('${boundText(period.from)}') to ('${boundText(period.to)}')`;
    if (table.defaultName !== undefined) await moveFromDefault(tx, change, child, period);
    await tx.script(`alter table ${parent} attach partition ${child} ${range}`);
    return [name];
  });
  return made ?? [];
}

/** PostgreSQL refuses a partition while the default one holds rows that belong into it. */
async function moveFromDefault(tx: Transaction, change: PartitionChange, child: string, period: Period): Promise<void> {
  const { database, table } = change;
  const from = nameIn(database, table.defaultName as string);
  const column = quoteName(table.column);
  const where = `${column} >= '${boundText(period.from)}' and ${column} < '${boundText(period.to)}'`;
  const [some] = await tx
    .execute<{ n: number }>(
      sql`select count(*)::int as n from (select 1 from ${sql.unsafe(from)} where ${sql.unsafe(where)} limit ${moveMax + 1}) as counted`,
    )
    .then(({ rows }) => rows);
  if (!some || some.n === 0) return;
  if (some.n > moveMax) {
    throw new LeftForLater(
      `${table.defaultName} holds more than ${moveMax} rows for ${boundText(period.from)} to ${boundText(period.to)}: ` +
        `delete them or move them elsewhere in batches, or detach ${table.defaultName}`,
    );
  }
  await tx.script(`lock table ${from} in share row exclusive mode`);
  const columns = await tx.sql<{ name: string }>`select attname::text as name from pg_attribute
    where attrelid = ${from}::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`;
  const list = columns.map(({ name }) => quoteName(name)).join(", ");
  await tx.script(
    `with moved as (delete from ${from} where ${where} returning ${list})
     insert into ${child} (${list}) select ${list} from moved`,
  );
}

/** All that are missing, in one transaction. */
export async function createHashPartitions(change: PartitionChange, parts: number): Promise<readonly string[]> {
  const { database, table } = change;
  const other = table.hashed.find(({ modulus }) => modulus !== parts);
  if (other) {
    throw new StartError(
      "PARTITION_SHAPE",
      `partitions of ${table.name}: the table has ${other.modulus} parts, and the declaration says ${parts}: their number cannot change`,
    );
  }
  const missing = Array.from({ length: parts }, (_, i) => i).filter(
    (i) => !table.hashed.some(({ remainder }) => remainder === i),
  );
  if (missing.length === 0) return [];
  const made = await alone(change, async (tx) => {
    const names: string[] = [];
    for (const i of missing) {
      const name = `${table.name}_h${i}`;
      const [parent, child] = [nameIn(database, table.name), nameIn(database, name)];
      if (await isThere(tx, child)) continue;
      await tx.script(
        `create table ${child} (like ${parent} including all excluding identity);
         alter table ${parent} attach partition ${child} for values with (modulus ${parts}, remainder ${i})`,
      );
      names.push(name);
    }
    return names;
  });
  return made ?? [];
}

/** Marks it, detaches it, drops it: each is committed before the next, and found again by the next call. */
export async function dropExpired(change: PartitionChange, expired: ExistingPartition): Promise<readonly string[]> {
  const { database, table } = change;
  const [parent, child] = [nameIn(database, table.name), nameIn(database, expired.name)];
  const marked = await alone(change, async (tx) => {
    if (!(await isPartition(tx, child))) return false;
    await tx.script(`comment on table ${child} is '${expiredMark(table.name)}'`);
    return true;
  });
  if (!marked) return [];
  const { concurrentTransactions, sessionState } = database.flags;
  if (!expired.detaching && table.defaultName === undefined && concurrentTransactions && sessionState) {
    await detachConcurrently(change, parent, child);
  } else {
    const how = expired.detaching ? " finalize" : "";
    await alone(change, async (tx) => {
      if (await isExpired(tx, child, table)) await tx.script(`alter table ${parent} detach partition ${child}${how}`);
    });
  }
  return finishDrops(change);
}

/** Rows of it are to be kept after all: `keep` was raised. Where a detach was begun, that can only be ended and undone. */
export async function keepAfterAll(change: PartitionChange, kept: ExistingPartition): Promise<readonly string[]> {
  const { database, table } = change;
  const [parent, child] = [nameIn(database, table.name), nameIn(database, kept.name)];
  await alone(change, async (tx) => {
    if (!(await isExpired(tx, child, table))) return;
    await tx.script(`comment on table ${child} is null`);
    if (!kept.detaching) return;
    await tx.script(`alter table ${parent} detach partition ${child} finalize`);
    await tx.script(`alter table ${parent} attach partition ${child} ${kept.bound}`);
  });
  return [];
}

/** It runs in no transaction, so that the lock which keeps other processes away is the session's. */
function detachConcurrently(change: PartitionChange, parent: string, child: string): Promise<void> {
  const { database, table, lockTimeoutMs } = change;
  const key = sql`hashtextextended(${lockName(database, table)}, 0)`;
  return database.session(
    async (session) => {
      const { rows } = await session.execute<{ got: boolean }>(sql`select pg_try_advisory_lock(${key}) as got`);
      if (!rows[0]?.got) return;
      try {
        await session.sql`select set_config('lock_timeout', ${String(lockTimeoutMs)}, false)`;
        if (!(await isExpired(session, child, table))) return;
        await session.script(`alter table ${parent} detach partition ${child} concurrently`);
      } finally {
        await session.script("reset lock_timeout");
        await session.execute(sql`select pg_advisory_unlock(${key})`);
      }
    },
    { pinned: true },
  );
}

/** Drops what was marked and detached, by this call or by one that did not come to its end. */
export async function finishDrops(change: PartitionChange): Promise<readonly string[]> {
  const { database, table } = change;
  const done = await alone(change, async (tx) => {
    const found = await tx.sql<{ name: string }>`
      select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${database.schema} and c.relkind = 'r' and not c.relispartition
      and obj_description(c.oid, 'pg_class') = ${expiredMark(table.name)} order by c.relname limit 100`;
    for (const { name } of found) await tx.script(`drop table ${nameIn(database, name)}`);
    return found.map(({ name }) => name);
  });
  return done ?? [];
}
