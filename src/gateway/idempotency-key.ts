import { idempotencyKeyInvalid } from "./errors.ts";

const lengthMax = 255;

/**
 * The key of an `Idempotency-Key` header: a Structured Field string (`"8e03978e"`, draft-ietf-httpapi-idempotency-key-header),
 * or, leniently, the bare text. 400 when it is empty, longer than 255 characters or not visible ASCII.
 */
export function parseIdempotencyKey(header: string | string[]): string {
  const text = typeof header === "string" ? header.trim() : "";
  const key = text.startsWith('"') ? unquote(text) : /^[\x21-\x7e]+$/.test(text) ? text : "";
  if (key.length < 1 || key.length > lengthMax) throw idempotencyKeyInvalid(lengthMax);
  return key;
}

function unquote(text: string): string {
  return /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$/.test(text)
    ? text.slice(1, -1).replace(/\\(["\\])/g, "$1")
    : "";
}
