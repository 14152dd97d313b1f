import type { KeyObject } from "node:crypto";
import { createHash, createHmac, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";

/** Makes tokens of every kind, good and bad, byte by byte: no library that would refuse to. */

/** A private key, how it signs, and what it is called. */
export interface Signer {
  readonly kid: string;
  readonly alg: string;
  readonly key: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
}

export type Kind = "P-256" | "P-384" | "P-521" | "secp256k1" | "RSA" | "RSA-1024" | "Ed25519";

/** Made once: RSA keys take their time. */
const pairs = new Map<string, KeyObject>();

export function signer(kind: Kind, kid: string, alg: string): Signer {
  const key = pairs.get(`${kind} ${kid}`) ?? newKey(kind);
  pairs.set(`${kind} ${kid}`, key);
  return { kid, alg, key, jwk: { ...publicJwk(key), kid, alg, use: "sig" } };
}

function newKey(kind: Kind): KeyObject {
  if (kind === "Ed25519") return generateKeyPairSync("ed25519").privateKey;
  if (kind === "RSA" || kind === "RSA-1024")
    return generateKeyPairSync("rsa", { modulusLength: kind === "RSA" ? 2048 : 1024 }).privateKey;
  return generateKeyPairSync("ec", { namedCurve: kind }).privateKey;
}

export function publicJwk(key: KeyObject): Record<string, unknown> {
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...rest } = key.export({ format: "jwk" });
  return rest;
}

export function privateJwk(key: KeyObject): Record<string, unknown> {
  return { ...key.export({ format: "jwk" }) };
}

export function signerFromJwk(jwk: Record<string, unknown>, kid: string, alg: string): Signer {
  const key = createPrivateKey({ key: jwk as never, format: "jwk" });
  return { kid, alg, key, jwk: { ...publicJwk(key), kid, alg } };
}

export const b64 = (value: string | Uint8Array): string => Buffer.from(value).toString("base64url");

/** JSON of an object; text stays as it is. Members that are undefined are left out. */
export const part = (value: object | string | Uint8Array): string =>
  b64(typeof value === "string" || value instanceof Uint8Array ? value : JSON.stringify(value));

const hashes: Readonly<Record<string, string>> = { "256": "sha256", "384": "sha384", "512": "sha512" };

/** The signature of a text, by an algorithm's rules. */
export function signature(text: string, alg: string, key: KeyObject): Buffer {
  const hash = hashes[alg.slice(2)] ?? "sha256";
  if (alg.startsWith("Ed")) return sign(null, Buffer.from(text), key);
  if (alg.startsWith("ES")) return sign(hash, Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  if (alg.startsWith("PS"))
    return sign(hash, Buffer.from(text), { key, padding: 6, saltLength: Number(alg.slice(2)) / 8 });
  return sign(hash, Buffer.from(text), key);
}

/** A token of these two parts, as they are given. */
export function compact(
  header: object | string | Uint8Array,
  payload: object | string | Uint8Array,
  by: Pick<Signer, "alg" | "key">,
): string {
  const text = `${part(header)}.${part(payload)}`;
  return `${text}.${b64(signature(text, by.alg, by.key))}`;
}

/** A token with a shared secret, which none of our issuers has. */
export function hmac(header: object, payload: object, secret: string | Uint8Array): string {
  const bits = (header as { alg: string }).alg.slice(2);
  const text = `${part(header)}.${part(payload)}`;
  return `${text}.${b64(
    createHmac(hashes[bits] ?? "sha256", secret)
      .update(text)
      .digest(),
  )}`;
}

/** RFC 7638, of a public key of one of the kinds above. */
export function thumbprint(jwk: Readonly<Record<string, unknown>>): string {
  const { crv, e, kty, n, x, y } = jwk;
  const members = kty === "RSA" ? { e, kty, n } : kty === "OKP" ? { crv, kty, x } : { crv, kty, x, y };
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("base64url");
