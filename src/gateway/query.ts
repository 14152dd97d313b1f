import { urlMalformed } from "./errors.ts";

/** Text of path parameters and query string by name; a name that comes more than once has an array. */
export type Texts = Record<string, string | string[]>;

/**
 * Adds the pairs of a query string to `texts`. `+` and `%20` are a space; a pair without `=` has the value "". Names in
 * `reserved` (the path's parameters) are left as they are. Malformed percent-encoding is 400.
 *
 * `texts` has no prototype, so a pair named `__proto__` is a name like any other.
 */
export function addQuery(texts: Texts, query: string, reserved: readonly string[]): void {
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf("&", start);
    if (end === -1) end = query.length;
    if (end > start) {
      let equals = query.indexOf("=", start);
      if (equals === -1 || equals > end) equals = end;
      const name = decode(query.slice(start, equals));
      if (!reserved.includes(name)) add(texts, name, equals < end ? decode(query.slice(equals + 1, end)) : "");
    }
    start = end + 1;
  }
}

function add(texts: Texts, name: string, value: string): void {
  const known = texts[name];
  if (known === undefined) texts[name] = value;
  else if (typeof known === "string") texts[name] = [known, value];
  else known.push(value);
}

function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw urlMalformed("the query string has broken percent-encoding");
  }
}

/** An object without prototype that V8 keeps as fast as one with. */
export const EmptyTexts = function EmptyTexts(this: Texts) {} as unknown as { new (): Texts };
EmptyTexts.prototype = Object.create(null);
