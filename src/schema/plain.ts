import { toBase64 } from "./bytes.ts";
import { tooDeep } from "./errors.ts";

/** How deep data may be nested where its schema sets no bound: unknown data, and schemas that refer to themselves. */
export const depthMax = 64;

/**
 * A copy of data that has no schema, as JSON would carry it: own members only, `undefined` members left out, `toJSON`
 * honoured, and null for what JSON has no word for (functions, symbols). Bytes are copied, or written as base64 with
 * `json`. A member named `__proto__` is left out: it is never data that somebody meant. Deeper than 64 levels (a cycle
 * is) it throws VALUE_TOO_DEEP.
 */
export function copyPlain(value: unknown, depth: number, json: boolean): unknown {
  if (value === null || typeof value !== "object") {
    return typeof value === "function" || typeof value === "symbol" ? null : value;
  }
  if (depth >= depthMax) throw tooDeep();
  if (Array.isArray(value)) {
    const copy = new Array(value.length);
    for (let i = 0; i < value.length; i++) copy[i] = copyPlain(value[i], depth + 1, json) ?? null;
    return copy;
  }
  if (value instanceof Uint8Array) return json ? toBase64(value) : new Uint8Array(value);
  if (hasToJson(value)) return copyPlain(value.toJSON(), depth + 1, json);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (key === "__proto__") continue;
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined) copy[key] = copyPlain(member, depth + 1, json);
  }
  return copy;
}

/**
 * What stands where the schema has a string, number, boolean or null. An object there has no declared field at all, so
 * nothing of it goes out but what its `toJSON` says (a Date gives its ISO text); otherwise null.
 */
export function copyScalar(value: unknown): unknown {
  if (value === null || (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol")) {
    return value;
  }
  if (!hasToJson(value)) return null;
  const text = value.toJSON();
  return typeof text === "object" || typeof text === "function" || typeof text === "symbol" ? null : text;
}

function hasToJson(value: object | symbol): value is { toJSON(): unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}
