import type { Duration } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";
import { keyInvalid, wrongUse } from "./errors.ts";

export const keyBytesMax = 512;
export const tagBytesMax = 256;
export const tagsPerEntryMax = 16;
export const keysPerReadMax = 100;
export const namesPerRemovalMax = 1000;
export const ttlMsMax = 30 * 86_400_000;

/** A name that UTF-8 cannot hold would become another one on its way, and so read another entry. */
const loneSurrogate = /\p{Surrogate}/u;

export function checkKey(key: string): void {
  checkName("key", key, keyBytesMax);
}

export function checkKeys(keys: readonly string[], countMax: number): void {
  checkCount("keys", keys, countMax);
  for (const key of keys) checkKey(key);
}

export function checkTags(tags: readonly string[], countMax: number): void {
  checkCount("tags", tags, countMax);
  for (const tag of tags) checkName("tag", tag, tagBytesMax);
}

/** Milliseconds of a time to live. */
export function ttlMsOf(ttl: Duration): number {
  const ms = parseDuration(ttl);
  if (ms === undefined || ms < 1 || ms > ttlMsMax) {
    throw wrongUse("CACHE_TTL_INVALID", `ttl ${JSON.stringify(ttl)} must be between 1 ms and 30 days, such as "30s"`);
  }
  return ms;
}

export function checkVersion(version: number | undefined): void {
  if (version === undefined || (Number.isSafeInteger(version) && version >= 0)) return;
  throw wrongUse("CACHE_VERSION_INVALID", `version ${version} must be a whole number from 0 to 2^53 - 1`);
}

function checkName(what: "key" | "tag", name: string, bytesMax: number): void {
  if (name === "") throw keyInvalid(what, "must not be empty");
  // No character takes more than three bytes per unit of length: most names need no counting.
  if (name.length * 3 > bytesMax && Buffer.byteLength(name) > bytesMax) {
    throw keyInvalid(what, `must not be longer than ${bytesMax} bytes`);
  }
  if (loneSurrogate.test(name)) throw keyInvalid(what, "must be valid Unicode");
}

function checkCount(what: string, list: readonly string[], countMax: number): void {
  if (list.length > countMax) throw wrongUse("CACHE_LIMIT", `${list.length} ${what} at once, the limit is ${countMax}`);
}
