import { createHash, timingSafeEqual } from "node:crypto";
import type { Random } from "../base/index.ts";

/**
 * The form of an API key: `plk_<id>_<secret><checksum>`. The prefix lets scanners find one that leaked, the id says which
 * it is without giving anything away, the secret has 256 bits, and the checksum tells a typing error, or a text that only
 * looks like a key, without a look into the database.
 */
export interface ApiKeyText {
  readonly id: string;
  readonly text: string;
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const idLength = 12;
const secretBytes = 32;
/** 62^43 > 2^256. */
const secretLength = 43;
const checksumLength = 6;

export const apiKeyPrefixDefault = "plk";
export const apiKeyPrefixPattern = /^[a-z][a-z0-9]{1,15}$/;

export function newApiKey(random: Random, prefix: string = apiKeyPrefixDefault): ApiKeyText {
  const id = base62(random.fill(new Uint8Array(10)), 14).slice(-idLength);
  const secret = base62(random.fill(new Uint8Array(secretBytes)), secretLength);
  const body = `${prefix}_${id}_${secret}`;
  return { id, text: body + checksumOf(body) };
}

/** Reads a key; undefined for what is none, by its form or its checksum. */
export function parseApiKey(text: string, prefix: string = apiKeyPrefixDefault): ApiKeyText | undefined {
  if (text.length !== prefix.length + 2 + idLength + secretLength + checksumLength) return undefined;
  const parts = /^([a-z0-9]+)_([0-9A-Za-z]{12})_([0-9A-Za-z]{49})$/.exec(text);
  if (!parts || parts[1] !== prefix) return undefined;
  const end = text.length - checksumLength;
  return checksumOf(text.slice(0, end)) === text.slice(end) ? { id: parts[2] as string, text } : undefined;
}

/** What is kept of a key: SHA-256 of it all. A secret of 256 random bits needs no slower hash. */
export function hashOfApiKey(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** In a time that does not depend on where they differ. */
export function isSameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** 32 bits of SHA-256: it guards against mistakes, not against attackers. */
function checksumOf(body: string): string {
  return base62(createHash("sha256").update(`plinth api key ${body}`).digest().subarray(0, 4), checksumLength);
}

function base62(bytes: Uint8Array, length: number): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  let text = "";
  for (; value > 0n; value /= 62n) text = (digits[Number(value % 62n)] as string) + text;
  return text.padStart(length, "0");
}
