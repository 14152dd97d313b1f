import type { Clock } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { AdvisoryLockOptions, Database, DatabaseSession } from "../database/index.ts";
import { quoteName, sql, withAdvisoryLock } from "../database/index.ts";
import { keyConstraint } from "./errors.ts";
import type { ShardedTable } from "./sharded-table.ts";
import { nameFor, outboxTable, platformColumn, platformTables, qualified } from "./sharded-table.ts";

/**
 * What stands on each sharded table: an index by bucket, and a trigger that is the last word on every row written.
 *
 * In a transaction of the router the row must be of the key that the transaction was opened for, so that a slip in a
 * `where` clause fails instead of writing a row that nobody finds again. Elsewhere the trigger takes the fence itself.
 * While a bucket moves it also notes which rows changed. It costs a few microseconds for a row.
 */
export async function guardTables(database: Database, tables: readonly ShardedTable[], clock: Clock): Promise<void> {
  await database.session(
    async (session) => {
      await withAdvisoryLock(session, lockOf(database.schema, clock), async () => {
        for (const table of tables) await guardTable(session, database, table);
      });
    },
    { statementTimeoutMs: indexTimeoutMs, pinned: true },
  );
}

const indexTimeoutMs = 600_000;
const lockTimeoutMs = 120_000;

async function guardTable(session: DatabaseSession, { schema, flags }: Database, table: ShardedTable): Promise<void> {
  const live = qualified(schema, table.name);
  const index = nameFor("plinth_bucket", table.name);
  const [known] = await session.sql<{ valid: boolean }>`
    select i.indisvalid as valid from pg_index i where i.indexrelid = to_regclass(${qualified(schema, index)})`;
  if (!known?.valid) {
    const columns = table.primaryKey.map(({ name }) => `, ${quoteName(name)}`).join("");
    const text = `${quoteName(index)} on ${live} (${bucketOfColumn(schema, table, "")}${columns})`;
    // An index that broke off while it was built is there, and of no use.
    if (known) await session.script(`drop index ${qualified(schema, index)}`);
    await session.execute(sql.unsafe(`create index ${flags.concurrentTransactions ? "concurrently " : ""}${text}`));
  }
  const name = nameFor("plinth_guard", table.name);
  await session.script(guardText(schema, table, name));
  const home = quoteName(schema);
  const triggers = {
    plinth_guard: `after insert or update or delete on ${live} for each row execute function ${qualified(schema, name)}()`,
    plinth_guard_truncate: `before truncate on ${live} execute function ${home}.plinth_refuse_truncate()`,
    ...(table.isPlatform && {
      plinth_guard_sweep: `before delete on ${live} for each row execute function ${home}.plinth_spare_closed()`,
    }),
  };
  const found = await session.sql<{ name: string }>`
    select tgname as name from pg_trigger where tgrelid = to_regclass(${live})`;
  const missing = Object.entries(triggers).filter(([trigger]) => !found.some((each) => each.name === trigger));
  if (missing.length === 0) return;
  const script = missing.map(([trigger, text]) => `create trigger ${trigger} ${text}`).join(";\n");
  await session.transaction((tx) => tx.script(`set local lock_timeout = '10s';\n${script}`));
}

const counterTable = "plinth_event_keys";

/** The tables that have a guard: those that somebody once declared, in whichever version of the service. */
export async function guardedTables(database: Database): Promise<readonly string[]> {
  const rows = await database.sql<{ name: string }>`
    select c.relname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${database.schema} and t.tgname = 'plinth_guard' order by 1`;
  return rows.map(({ name }) => name);
}

/** `plinth_bucket` of the table's key, as the index has it. `alias` ends with a dot or is empty. */
export function bucketOfColumn(schema: string, { column }: Pick<ShardedTable, "column">, alias: string): string {
  return `${quoteName(schema)}.plinth_bucket(${alias}${quoteName(column)}::text)`;
}

function guardText(schema: string, table: ShardedTable, name: string): string {
  const home = quoteName(schema);
  const key = quoteName(table.column);
  const pk = (row: string) =>
    `array[${table.primaryKey.map((each) => `${row}.${quoteName(each.name)}::text`).join(", ")}]`;
  // Old rows of the platform are swept by whoever comes by, and an event's key need not be the shard's.
  const others = table.isPlatform
    ? `elsif tg_op <> 'INSERT' then
    captured := ${home}.plinth_guard_unrouted(${literal(schema)}, was);
  `
    : "";
  const isTagged = table.isPlatform ? " and was is not null" : "";
  const change = (row: string, of: string) =>
    `insert into ${home}.plinth_changes (bucket, tbl, pk) values (${home}.plinth_bucket(${of}), ${literal(table.name)}, ${pk(row)});`;
  const body = `
declare
  held text := current_setting('plinth.key', true);
  was text;
  becomes text;
  captured boolean;
begin
  if held = '*' then return null; end if;
  if tg_op <> 'INSERT' then was := old.${key}::text; end if;
  if tg_op <> 'DELETE' then becomes := new.${key}::text; end if;
  if was is null and becomes is null then return null; end if;
  if tg_op = 'UPDATE' and was is distinct from becomes${isTagged} then
    raise exception using errcode = 'P0001', constraint = '${keyConstraint}',
      message = format('%s: the shard key of a row cannot change', tg_table_name),
      hint = 'insert a row under the new key, and delete this one';
  end if;
  if held is null or held = '' then
    captured := ${home}.plinth_guard_unrouted(${literal(schema)}, coalesce(becomes, was));
  elsif substr(held, 2) = coalesce(becomes, was) then
    captured := left(held, 1) = '+';
  ${others}else
    raise exception using errcode = 'P0001', constraint = '${keyConstraint}',
      message = format('%s: a row of another key than the transaction was opened for', tg_table_name),
      hint = 'open the database for the key of the row: at(key)';
  end if;
  if captured then
    if tg_op <> 'INSERT' then ${change("old", "coalesce(was, becomes)")} end if;
    if tg_op = 'INSERT' or (tg_op = 'UPDATE' and ${pk("old")} <> ${pk("new")}) then ${change("new", "becomes")} end if;
  end if;
  return null;
end `;
  const tag = dollarTag(body);
  return `create or replace function ${qualified(schema, name)}() returns trigger language plpgsql as ${tag}${body}${tag}`;
}

/** A dollar quote that does not occur in the text it encloses: names of tables and columns may contain one. */
function dollarTag(body: string): string {
  let tag = "$guard$";
  for (let i = 0; body.includes(tag); i++) tag = `$guard${i}$`;
  return tag;
}

/**
 * Gives the platform's tables a column for the key of the transaction that wrote the row, filled in by itself: rows of
 * the inbox and of idempotency go with their bucket, events of the outbox leave before it does. A row that has none gets
 * it from the first such transaction that changes it. The counters of events that are there before belong to the key of
 * that name: where they stayed behind, it would be counted from 1 again.
 */
export async function tagPlatformTables(database: Database): Promise<void> {
  const home = quoteName(database.schema);
  for (const table of [...platformTables, outboxTable]) {
    const name = qualified(database.schema, table);
    const [found] = await database.sql<{ there: boolean; tagged: boolean }>`
      select to_regclass(${name}) is not null as there, exists (
        select 1 from pg_trigger where tgrelid = to_regclass(${name}) and tgname = 'plinth_tag' and tgtype & 16 <> 0
      ) as tagged`;
    if (!found?.there || found.tagged) continue;
    await database.session((session) =>
      session.transaction((tx) =>
        tx.script(
          `set local lock_timeout = '10s';
           alter table ${name} add column if not exists ${platformColumn} text;
           ${table === counterTable ? adoptText(database.schema, name) : ""}
           create or replace trigger plinth_tag before insert or update on ${name}
             for each row execute function ${home}.plinth_tag_key()`,
        ),
      ),
    );
  }
}

/** Past the guard, which an earlier version may have put there; not for buckets that are elsewhere. */
function adoptText(schema: string, counters: string): string {
  const home = quoteName(schema);
  return `
    set local plinth.key = '*';
    update ${counters} set ${platformColumn} = key where ${platformColumn} is null and not exists (
      select 1 from ${home}.plinth_fence where bucket = ${home}.plinth_bucket(key) and state <> 'open');`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function lockOf(schema: string, clock: Clock): AdvisoryLockOptions {
  return {
    key: `plinth.shards:${schema}`,
    timeoutMs: lockTimeoutMs,
    clock,
    tooLate: () =>
      new StartError(
        "SHARD_LOCKED",
        `shard schema ${schema}: another process has been preparing its tables for ${lockTimeoutMs} ms. Wait for it, or end its session`,
      ),
  };
}
