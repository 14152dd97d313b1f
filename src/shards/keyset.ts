import { error } from "../base/index.ts";
import type { Fragment } from "../database/index.ts";
import { sql } from "../database/index.ts";

/** A column that rows are ordered by, and how its values compare. Text compares byte by byte, as no two servers differ. */
export interface OrderKey {
  readonly column: string;
  readonly type: "text" | "uuid" | "number" | "time";
  /** Default "asc". */
  readonly direction?: "asc" | "desc";
}

/** Pages of several sources in one order: the statement that each is asked, and the merge of what they answer. */
export interface Keyset {
  page(fragment: Fragment, after: string | undefined, limit: number): Fragment;
  merge(lists: readonly (readonly Record<string, unknown>[])[], limit: number): MergedPage;
}

export interface MergedPage {
  readonly rows: readonly Record<string, unknown>[];
  readonly next: string | undefined;
}

/** Each key as the text that is compared and that a cursor holds. Times as seconds, exact to the microsecond. */
const expressions: Readonly<Record<OrderKey["type"], (column: Fragment) => Fragment>> = {
  text: (column) => sql`((${column})::text collate "C")`,
  uuid: (column) => sql`(${column})::uuid`,
  number: (column) => sql`(${column})::numeric`,
  time: (column) => sql`extract(epoch from (${column})::timestamptz)::numeric`,
};

const casts: Readonly<Record<OrderKey["type"], Fragment>> = {
  text: sql`::text collate "C"`,
  uuid: sql`::text::uuid`,
  number: sql`::text::numeric`,
  time: sql`::text::numeric`,
};

const hidden = (i: number): string => `plinth_key_${i}`;

export function createKeyset(keys: readonly OrderKey[]): Keyset {
  if (keys.length < 1 || keys.length > 8) throw invalid("An order has 1 to 8 keys.");
  const shown = keys.map(({ column, type }) => expressions[type](sql.id("plinth_rows", column)));
  const name = keys.map(({ column, type, direction = "asc" }) => `${column} ${type} ${direction}`).join();

  return {
    page(fragment, after, limit) {
      const texts = shown.map((each, i) => sql`(${each})::text as ${sql.id(hidden(i))}`);
      const order = shown.map((each, i) => (keys[i]?.direction === "desc" ? sql`${each} desc` : each));
      const where = after === undefined ? sql`true` : beyond(readCursor(after, name, keys.length));
      return sql`
        select plinth_rows.*, ${sql.join(texts)} from (${fragment}) plinth_rows
        where ${where} order by ${sql.join(order)} limit ${limit}::int`;
    },
    merge(lists, limit) {
      const all = lists.flat().map((row) => ({ row, keys: keys.map(({ column }, i) => keyOf(row, i, column)) }));
      all.sort((a, b) => compare(a.keys, b.keys));
      const page = all.slice(0, limit);
      all.slice(0, limit + 1).forEach(({ keys: own }, i) => {
        const before = all[i - 1];
        if (before && compare(before.keys, own) === 0)
          throw invalid(`Two rows have the keys ${JSON.stringify(own)}: add a key that tells them apart.`);
      });
      const last = page.at(-1);
      const next = all.length > limit && last ? writeCursor(name, last.keys) : undefined;
      for (const { row } of page) for (let i = 0; i < keys.length; i++) delete row[hidden(i)];
      return { rows: page.map(({ row }) => row), next };
    },
  };

  /** (a > x) or (a = x and b > y) …, each in its own direction. */
  function beyond(values: readonly string[]): Fragment {
    const branches = keys.map((key, i) => {
      const value = (at: number) => sql`${values[at]}${casts[(keys[at] as OrderKey).type]}`;
      const equal = shown.slice(0, i).map((each, at) => sql`${each} = ${value(at)}`);
      const further = key.direction === "desc" ? sql`<` : sql`>`;
      return sql`(${sql.join([...equal, sql`${shown[i]} ${further} ${value(i)}`], sql` and `)})`;
    });
    return sql`(${sql.join(branches, sql` or `)})`;
  }

  function compare(a: readonly string[], b: readonly string[]): number {
    for (const [i, { type, direction }] of keys.entries()) {
      const [left, right] = [a[i] as string, b[i] as string];
      const order = type === "number" || type === "time" ? compareNumbers(left, right) : compareTexts(left, right);
      if (order !== 0) return direction === "desc" ? -order : order;
    }
    return 0;
  }
}

function keyOf(row: Record<string, unknown>, i: number, column: string): string {
  const text = row[hidden(i)];
  if (typeof text !== "string") throw invalid(`The key ${column} of a row is NULL: coalesce it in the statement.`);
  if (/^-?(?:Infinity|NaN)$/.test(text)) throw invalid(`The key ${column} of a row is ${text}, which has no place.`);
  return text;
}

/** By code point, which is the order of their bytes in UTF-8; JavaScript's own order is another beyond U+FFFF. */
function compareTexts(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Decimals as PostgreSQL writes them, of any length. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [toScaled(a), toScaled(b)];
  const scale = Math.max(left.scale, right.scale);
  const difference =
    left.digits * 10n ** BigInt(scale - left.scale) - right.digits * 10n ** BigInt(scale - right.scale);
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

function toScaled(text: string): { readonly digits: bigint; readonly scale: number } {
  const [whole = "0", fraction = ""] = text.split(".");
  return { digits: BigInt(whole + fraction), scale: fraction.length };
}

function writeCursor(name: string, keys: readonly string[]): string {
  return Buffer.from(JSON.stringify([name, ...keys])).toString("base64url");
}

function readCursor(cursor: string, name: string, count: number): readonly string[] {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    found = undefined;
  }
  const [order, ...keys] = Array.isArray(found) ? found : [];
  if (order !== name || keys.length !== count || !keys.every((key) => typeof key === "string"))
    throw invalid("This is no place to go on from in this order.");
  return keys as string[];
}

function invalid(message: string) {
  return error("invalid_argument", message, { reason: "SCATTER_INVALID", executed: "no" });
}
