import { createHash } from "node:crypto";
import { StartError } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { quoteName } from "../database/index.ts";

/** Table → column that holds the shard key. */
export type ShardBy = Readonly<Record<string, string>>;

/** A table whose rows live where their key does, as the catalogue describes it. */
export interface ShardedTable {
  readonly name: string;
  /** The column that holds the key. */
  readonly column: string;
  readonly columns: readonly Column[];
  readonly primaryKey: readonly Column[];
  /** Sharded tables that this one refers to. */
  readonly parents: readonly string[];
  /** Checks, references and unique indexes as SQL, without their names: what could refuse a row. In order. */
  readonly constraints: readonly string[];
  /** Names of those that rows which were there before need not keep. */
  readonly unvalidated: readonly string[];
  /** A table of the platform: its key may be NULL, and such rows stay where they are. */
  readonly isPlatform: boolean;
}

export interface Column {
  readonly name: string;
  /** As SQL writes it: "character varying(20)". */
  readonly type: string;
  readonly isGenerated: boolean;
}

/** Tables of the platform whose rows go with their bucket, and the one that is drained instead. */
export const platformTables = ["plinth_inbox", "plinth_idempotency", "plinth_event_keys", "plinth_commits"] as const;
export const outboxTable = "plinth_outbox";
export const platformColumn = "shard_key";

/**
 * Reads the tables from the catalogue, parents before children. StartError SHARD_TABLE_WRONG with one line for each
 * thing that would lose or mix up rows in a move.
 */
export async function readShardedTables(
  database: Database,
  shardBy: ShardBy,
  shard: string,
): Promise<readonly ShardedTable[]> {
  const problems: string[] = [];
  const tables: ShardedTable[] = [];
  const found = await readCatalogue(database);
  const wanted = new Map<string, { column: string; isPlatform: boolean }>();
  for (const [name, column] of Object.entries(shardBy)) wanted.set(name, { column, isPlatform: false });
  for (const name of [...platformTables, "plinth_claims"]) {
    if (found.get(name)?.columns.some((column) => column.name === platformColumn))
      wanted.set(name, { column: platformColumn, isPlatform: true });
  }
  for (const [name, { column, isPlatform }] of wanted) {
    const entry = found.get(name);
    if (!entry) {
      problems.push(`shardBy names ${name}, and shard ${shard} has no such table in schema ${database.schema}`);
      continue;
    }
    problems.push(
      ...problemsOf(entry, column, isPlatform, wanted).map(
        (text) => `table ${name}${text.startsWith(".") ? "" : " "}${text}`,
      ),
    );
    const primaryKey = entry.primaryKey.flatMap((key) => entry.columns.filter((each) => each.name === key));
    const parents = entry.references.map(({ table }) => table).filter((parent) => parent !== name);
    const { columns, constraints, unvalidated } = entry;
    tables.push({ name, column, columns, primaryKey, parents, constraints, unvalidated, isPlatform });
  }
  for (const [name, entry] of found) {
    if (wanted.has(name)) continue;
    for (const { table } of entry.references) {
      if (wanted.has(table))
        problems.push(
          `table ${name} refers to ${table}, which is sharded: shard ${name} by the same key, or drop the reference`,
        );
    }
  }
  if (problems.length > 0) throw new StartError("SHARD_TABLE_WRONG", problems);
  return inOrder(tables);
}

interface Entry {
  readonly kind: string;
  readonly columns: readonly (Column & { readonly notNull: boolean; readonly draws: boolean })[];
  readonly primaryKey: readonly string[];
  readonly uniques: readonly {
    readonly name: string;
    readonly columns: readonly string[];
    readonly primary: boolean;
  }[];
  readonly references: readonly {
    readonly name: string;
    readonly table: string;
    readonly pairs: readonly (readonly [own: string, theirs: string])[];
  }[];
  readonly triggers: readonly string[];
  readonly constraints: readonly string[];
  readonly unvalidated: readonly string[];
}

const keyTypes = /^(?:text|character varying(?:\(\d+\))?|uuid|smallint|integer|bigint)$/;

function problemsOf(
  entry: Entry,
  column: string,
  isPlatform: boolean,
  wanted: ReadonlyMap<string, { readonly column: string }>,
): string[] {
  const problems: string[] = [];
  if (entry.kind !== "r") problems.push("is no plain table: partitions and views cannot be moved; make it a table");
  if (entry.primaryKey.length === 0) problems.push("has no primary key: a move finds rows by it; add one");
  const key = entry.columns.find((each) => each.name === column);
  if (!key) return [...problems, `has no column ${column}: add it, or name another in shardBy`];
  if (!keyTypes.test(key.type))
    problems.push(`.${column} is ${key.type}: a shard key is text, varchar, uuid or an integer`);
  if (!key.notNull && !isPlatform) problems.push(`.${column} may be NULL: declare it not null`);
  for (const { name } of entry.columns.filter((each) => each.draws && !isPlatform))
    problems.push(
      `.${name} draws from a sequence, and each shard has its own: two rows would get one number. Use an id from newId()`,
    );
  for (const { name, columns, primary } of entry.uniques) {
    if (primary || isPlatform || columns.includes(column)) continue;
    problems.push(
      `is unique by ${name} (${columns.join(", ")}) within one shard only: put ${column} into the index, or use directory.claim`,
    );
  }
  for (const { name, table, pairs } of entry.references) {
    const parent = wanted.get(table);
    if (!parent)
      problems.push(
        `refers to ${table} (${name}), which is not sharded and has other rows on each shard: drop the reference`,
      );
    else if (!pairs.some(([own, theirs]) => own === column && theirs === parent.column))
      problems.push(
        `refers to ${table} (${name}) without its shard key: make it (${column}, …) references ${table} (${parent.column}, …)`,
      );
  }
  for (const name of entry.triggers)
    problems.push(
      `has the trigger ${name}, which would fire again when its rows move: do it in the program, or on update only`,
    );
  return problems;
}

/** Parents first. Among tables that refer to each other in a circle there is no such order. */
function inOrder(tables: readonly ShardedTable[]): readonly ShardedTable[] {
  const ordered: ShardedTable[] = [];
  let left = [...tables];
  while (left.length > 0) {
    const free = left.filter(({ parents }) => parents.every((parent) => !left.some(({ name }) => name === parent)));
    if (free.length === 0) {
      const names = left.map(({ name }) => name).join(", ");
      throw new StartError("SHARD_TABLE_WRONG", `tables ${names} refer to each other in a circle: drop one reference`);
    }
    ordered.push(...free);
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

async function readCatalogue(database: Database): Promise<ReadonlyMap<string, Entry>> {
  const rows = await database.sql<{ name: string; entry: Entry }>`
    select c.relname as name, json_build_object(
      'kind', c.relkind,
      'columns', coalesce((
        select json_agg(json_build_object(
          'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'isGenerated', a.attgenerated <> '',
          'notNull', a.attnotnull,
          'draws', a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) like '%nextval(%', false)
        ) order by a.attnum)
        from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'::json),
      'primaryKey', coalesce((
        select json_agg(a.attname order by k.place)
        from pg_index i, unnest((i.indkey::int[])[0:i.indnkeyatts - 1]) with ordinality k(num, place), pg_attribute a
        where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.num), '[]'::json),
      'uniques', coalesce((
        -- Columns that an index only includes make nothing unique.
        select json_agg(json_build_object('name', x.relname, 'primary', i.indisprimary, 'columns', (
          select coalesce(json_agg(a.attname), '[]'::json) from pg_attribute a
          where a.attrelid = c.oid and a.attnum = any((i.indkey::int[])[0:i.indnkeyatts - 1]))))
        from pg_index i join pg_class x on x.oid = i.indexrelid
        where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)), '[]'::json),
      'references', coalesce((
        select json_agg(json_build_object('name', f.conname, 'table', p.relname, 'pairs', (
          select json_agg(json_build_array(own.attname, theirs.attname))
          from unnest(f.conkey, f.confkey) k(own, theirs)
          join pg_attribute own on own.attrelid = f.conrelid and own.attnum = k.own
          join pg_attribute theirs on theirs.attrelid = f.confrelid and theirs.attnum = k.theirs)))
        from pg_constraint f join pg_class p on p.oid = f.confrelid
        where f.conrelid = c.oid and f.contype = 'f'), '[]'::json),
      'constraints', coalesce((
        select json_agg(rule.text order by rule.text collate "C") from (
          select pg_get_constraintdef(r.oid) as text from pg_constraint r
          where r.conrelid = c.oid and r.contype in ('c', 'f')
          union all
          select 'UNIQUE' || substring(pg_get_indexdef(i.indexrelid) from ' USING .*') from pg_index i
          where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
        ) rule), '[]'::json),
      'unvalidated', coalesce((
        select json_agg(rule.name order by rule.name) from (
          select r.conname as name from pg_constraint r where r.conrelid = c.oid and not r.convalidated
          union all
          select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
          where i.indrelid = c.oid and i.indisunique and not i.indisvalid
        ) rule), '[]'::json),
      'triggers', coalesce((
        select json_agg(t.tgname) from pg_trigger t
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgname not like 'plinth\\_%' and t.tgtype & (4 | 8) <> 0
      ), '[]'::json)
    ) as entry
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${database.schema} and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and c.relname not like 'plinth\\_move\\_%' and c.relname not like 'plinth\\_gone\\_%'`;
  return new Map(rows.map(({ name, entry }) => [name, entry]));
}

/** What two copies of a table must agree on, as text: rows travel as a whole, column by column, and none may be refused. */
export function shapeOf(tables: readonly ShardedTable[]): string {
  return tables
    .map(
      ({ name, columns, primaryKey, constraints }) =>
        `${name}(${columns.map((each) => `${each.name} ${each.type}`).join(", ")}; ${primaryKey.map((each) => each.name).join(", ")}; ${constraints.join(", ")})`,
    )
    .join("\n");
}

/** A name of at most 63 bytes for something that belongs to a table. */
export function nameFor(prefix: string, table: string): string {
  const plain = `${prefix}_${table}`;
  if (Buffer.byteLength(plain) <= 63) return plain;
  const hash = createHash("sha256").update(table).digest("hex").slice(0, 8);
  return `${prefix}_${hash}`;
}

export function qualified(schema: string, name: string): string {
  return `${quoteName(schema)}.${quoteName(name)}`;
}
