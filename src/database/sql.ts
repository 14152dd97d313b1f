import { assert } from "../base/index.ts";
import { encodeValue, JsonValue, type SqlText } from "./values.ts";

/**
 * A piece of SQL with its values apart. What is interpolated is a value, always, unless it is itself a piece of SQL:
 * text that came from outside can never become SQL, because only this room makes `Fragment`s, and JSON cannot.
 *
 *     const open = sql`status = ${"open"}`;
 *     await db.execute(sql`select * from ${sql.id("orders")} where ${open} and id in (${sql.join(ids)})`);
 *
 * At most 65,535 values (PostgreSQL's protocol counts them in 16 bits).
 */
export class Fragment {
  readonly #strings: readonly string[];
  readonly #values: readonly unknown[];

  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.#strings = strings;
    this.#values = values;
  }

  /** The text with `$1`, `$2` …, and the values in PostgreSQL's text. */
  compile(): Statement {
    const values: SqlText[] = [];
    let text = "";
    const add = (fragment: Fragment): void => {
      const strings = fragment.#strings;
      text += strings[0];
      fragment.#values.forEach((value, i) => {
        if (value instanceof Fragment) add(value);
        else text += `$${values.push(encodeValue(value, `$${values.length + 1}`))}`;
        text += strings[i + 1];
      });
    };
    add(this);
    assert(values.length <= 65_535, `a statement takes at most 65535 values, this one has ${values.length}`);
    return { text, values };
  }
}

export interface Statement {
  readonly text: string;
  readonly values: readonly SqlText[];
}

export interface SqlBuilder {
  (strings: TemplateStringsArray, ...values: readonly unknown[]): Fragment;
  /** A quoted name: `sql.id("orders", "id")` is `"orders"."id"`. */
  id(...names: readonly string[]): Fragment;
  /** Values or fragments with `separator` between them; `, ` unless told. An empty list is refused: `in ()` is no SQL. */
  join(items: readonly unknown[], separator?: Fragment): Fragment;
  /** The value as JSON: needed for arrays and scalars that go into a json column. */
  json(value: unknown): JsonValue;
  /** Text that becomes SQL as it stands. Never with anything that came from outside. */
  unsafe(text: string): Fragment;
}

const comma = new Fragment([", "], []);

export const sql: SqlBuilder = Object.assign(
  (strings: TemplateStringsArray, ...values: readonly unknown[]) => new Fragment(strings, values),
  {
    id: (...names: readonly string[]) => new Fragment([names.map(quoteName).join(".")], []),
    join(items: readonly unknown[], separator: Fragment = comma) {
      assert(items.length > 0, "sql.join got an empty list: leave the clause out, or use `= any(…)`");
      const parts: unknown[] = [];
      for (const item of items) parts.push(...(parts.length === 0 ? [item] : [separator, item]));
      return new Fragment(new Array(parts.length + 1).fill(""), parts);
    },
    json: (value: unknown) => new JsonValue(value),
    unsafe: (text: string) => new Fragment([text], []),
  },
);

/** A name in double quotes, those inside doubled. */
export function quoteName(name: string): string {
  assert(name !== "" && !name.includes("\0"), "a SQL name is not empty and holds no NUL");
  return `"${name.replaceAll('"', '""')}"`;
}
