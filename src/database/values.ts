import { error } from "../base/index.ts";

/**
 * Values between the program and PostgreSQL, the same for every engine. Both directions are PostgreSQL's own text.
 *
 * | SQL | from the database | to the database |
 * |---|---|---|
 * | int2, int4, oid, float4, float8 | `number` | `number` |
 * | int8 (`bigint`, `count(*)`, `sum(int)`) | `number` while exact, beyond ±(2^53 - 1) a `bigint`: never rounded | both |
 * | numeric | `string`, exact | `string` or `number` |
 * | text, varchar, uuid, enum, time, interval and all others | `string` | `string` |
 * | bool | `boolean` | `boolean` |
 * | timestamptz | ISO 8601 `string` in UTC, microseconds kept: `2026-11-22T10:20:30.123456Z` | `string` or `Date` |
 * | timestamp, date | ISO 8601 `string` without a zone | `string` |
 * | json, jsonb | parsed | an object, or `sql.json(value)` for arrays and scalars |
 * | bytea | `Uint8Array` | `Uint8Array` |
 * | arrays of the above | array, nested as in SQL | array; `null` inside is NULL |
 * | NULL | `null` | `null` |
 *
 * Times are strings because a `Date` would drop the microseconds that a compare-and-set on `updated_at` needs, and
 * because they are JSON as they are. A time whose microseconds are zero has exactly three decimals, so that a `Date`
 * comes back as its own `toISOString()`.
 *
 * `undefined`, functions, symbols and invalid dates are refused (`SQL_VALUE_UNSUPPORTED`): an absent value that turns
 * silently into NULL has deleted tables. Arrays of enums and other types of your own come as text: cast to `text[]`.
 */
export type SqlText = string | null;

/** Marks a value that goes as JSON, whatever it is. */
export class JsonValue {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

/** PostgreSQL's text for a value. `place` names it in the refusal: "$3". */
export function encodeValue(value: unknown, place: string): SqlText {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "bigint":
      return String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      return value === null ? null : encodeObject(value, place);
    default:
      throw unsupported(place, typeof value === "undefined" ? "undefined: write null for NULL" : `a ${typeof value}`);
  }
}

function encodeObject(value: object, place: string): string {
  if (Array.isArray(value)) return encodeArray(value, place);
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw unsupported(place, "an invalid Date");
    return value.toISOString();
  }
  if (value instanceof Uint8Array)
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.length).toString("hex")}`;
  const json = JSON.stringify(value instanceof JsonValue ? value.value : value);
  if (json === undefined) throw unsupported(place, "nothing that JSON can hold");
  return json;
}

function encodeArray(items: readonly unknown[], place: string): string {
  const parts = items.map((item, i) => {
    if (Array.isArray(item)) return encodeArray(item, `${place}[${i}]`);
    const text = encodeValue(item, `${place}[${i}]`);
    return text === null ? "NULL" : `"${text.replace(/[\\"]/g, "\\$&")}"`;
  });
  return `{${parts.join(",")}}`;
}

function unsupported(place: string, what: string): Error {
  return error("internal", `The value ${place} of the statement is ${what}.`, {
    reason: "SQL_VALUE_UNSUPPORTED",
    executed: "no",
  });
}

type Parser = (text: string) => unknown;

const asText: Parser = (text) => text;
const asJson: Parser = (text) => JSON.parse(text);
const asBoolean: Parser = (text) => text === "t";
const asBytes: Parser = (text) => new Uint8Array(Buffer.from(text.slice(2), "hex"));
const asInt8: Parser = (text) => {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
};

/** `2026-11-22 10:20:30.12+00` → `2026-11-22T10:20:30.120Z`. What has no such form (`infinity`, BC) stays as it is. */
const asTime: Parser = (text) => {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:([+-]\d\d)(?::?(\d\d))?)?$/.exec(text);
  if (!match) return text;
  const [, day, time, fraction = "", hours, minutes = "00"] = match;
  const decimals = fraction.length > 3 ? fraction.padEnd(6, "0") : fraction.padEnd(3, "0");
  const zone = hours === undefined ? "" : hours === "+00" && minutes === "00" ? "Z" : `${hours}:${minutes}`;
  return `${day}T${time}.${decimals}${zone}`;
};

// Type ids are fixed in PostgreSQL's catalogue (src/include/catalog/pg_type.dat): [id, id of its array, parser].
const types: readonly (readonly [number, number, Parser])[] = [
  [16, 1000, asBoolean],
  [17, 1001, asBytes],
  [20, 1016, asInt8],
  [21, 1005, Number],
  [23, 1007, Number],
  [26, 1028, Number],
  [700, 1021, Number],
  [701, 1022, Number],
  [114, 199, asJson],
  [3802, 3807, asJson],
  [1114, 1115, asTime],
  [1184, 1185, asTime],
  [25, 1009, asText],
  [18, 1002, asText],
  [19, 1003, asText],
  [1042, 1014, asText],
  [1043, 1015, asText],
  [1082, 1182, asText],
  [1083, 1183, asText],
  [1186, 1187, asText],
  [1700, 1231, asText],
  [2950, 2951, asText],
];

const parsers = new Map<number, Parser>();
for (const [id, arrayId, parse] of types) {
  parsers.set(id, parse);
  parsers.set(arrayId, (text) => parseArray(text, parse));
}

/** How the text of a column of this type becomes a value. */
export function parserOf(typeId: number): Parser {
  return parsers.get(typeId) ?? asText;
}

/** Every type with a parser of its own, for a client that wants a table of them. */
export const parsedTypeIds: readonly number[] = [...parsers.keys()];

/** PostgreSQL's array text: `{1,NULL,"a \"b\""}`, nested, with `[2:3]=` bounds ignored. */
function parseArray(text: string, parse: Parser): unknown[] {
  let at = text.indexOf("{");
  const list = (): unknown[] => {
    const items: unknown[] = [];
    at++;
    while (text[at] !== "}") {
      if (text[at] === ",") at++;
      else if (text[at] === "{") items.push(list());
      else if (text[at] === '"') items.push(parse(quoted()));
      else {
        const start = at;
        while (text[at] !== "," && text[at] !== "}") at++;
        const word = text.slice(start, at);
        items.push(word === "NULL" ? null : parse(word));
      }
    }
    at++;
    return items;
  };
  const quoted = (): string => {
    let out = "";
    for (at++; text[at] !== '"'; at++) {
      if (text[at] === "\\") at++;
      out += text[at];
    }
    at++;
    return out;
  };
  return list();
}
