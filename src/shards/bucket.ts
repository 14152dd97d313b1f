import { createHash } from "node:crypto";
import { keyInvalid } from "./errors.ts";

/**
 * From a key to its bucket: 1,024 buckets, for ever. Shards come and go, buckets move between them, and no key is ever
 * hashed anew.
 *
 *     bucket(key) = last two of the first eight bytes of SHA-256(UTF-8(key)), big-endian, & 1023
 *
 * SHA-256, because PostgreSQL, every language and every shell has it: `bucketSql` is the same in SQL, and
 * `bucketVectors` says so for anyone who writes a third. A key is compared byte by byte: "É" written in two ways is two
 * keys, and a uuid is one key only in PostgreSQL's own spelling, small letters with dashes.
 */
export const bucketCount = 1024;

export function bucketOf(key: string): number {
  assertKeyText(key);
  const hash = createHash("sha256").update(key, "utf8").digest();
  return hash.readUInt16BE(6) & (bucketCount - 1);
}

/** What PostgreSQL could not hold, or UTF-8 not say, would hash to one thing here and to another there. */
function assertKeyText(key: string): void {
  if (typeof key !== "string") throw keyInvalid(`is text, not ${key === null ? "null" : typeof key}`);
  if (key.includes("\0")) throw keyInvalid("holds no NUL");
  if (/\p{Surrogate}/u.test(key)) throw keyInvalid("holds no half of a surrogate pair");
}

/** Longest key that a database is opened for, in UTF-16 units. */
export const keyLengthMax = 1024;

export function assertKey(key: string): void {
  assertKeyText(key);
  if (key.length > keyLengthMax) throw keyInvalid(`has at most ${keyLengthMax} characters, this one ${key.length}`);
}

/** The same function in SQL, for the schema that unqualified names lie in. NULL stays NULL. */
export const bucketSql = `
create or replace function plinth_bucket(key text) returns integer
language sql immutable strict parallel safe as $$
  select ('x' || encode(substring(sha256(convert_to(key, 'UTF8')) from 7 for 2), 'hex'))::bit(16)::int & ${bucketCount - 1}
$$`;
