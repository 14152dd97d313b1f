import type { CryptoKey, JWK } from "jose";
import { importJWK } from "jose";
import type { Algorithm } from "./algorithm.ts";
import { algorithmsOf } from "./algorithm.ts";

/** A JWK Set as an issuer publishes it. */
export interface Jwks {
  readonly keys: readonly JWK[];
}

/** A public key, and the one algorithm that it is for. */
export interface SigningKey {
  readonly kid: string | undefined;
  readonly alg: Algorithm;
  readonly key: CryptoKey;
  /** What it is made of, to see whether it changed. */
  readonly material: string;
}

/** The keys of one issuer that can be used, by id. */
export class KeySet {
  readonly #keys: readonly SigningKey[];
  /** Keys that were left out, and why: for the log. */
  readonly refused: readonly string[];

  constructor(keys: readonly SigningKey[], refused: readonly string[]) {
    this.#keys = keys;
    this.refused = refused;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The key for a token's header. A token that names none finds one only where there is no choice. */
  find(kid: string | undefined, alg: string): SigningKey | undefined {
    if (kid === undefined) return this.#keys.length === 1 && this.#keys[0]?.alg === alg ? this.#keys[0] : undefined;
    return this.#keys.find((each) => each.kid === kid && each.alg === alg);
  }

  /** Whether every key of this set is in the other one, unchanged: tokens checked with this one are then still good. */
  isWithin(other: KeySet): boolean {
    return this.#keys.every((mine) =>
      other.#keys.some((each) => each.kid === mine.kid && each.alg === mine.alg && each.material === mine.material),
    );
  }
}

/** Keys above this count are not looked at. */
const keyCountMax = 100;

/**
 * Takes the keys of a set that can be used: for signatures, public, long enough, and for exactly one of `allowed`
 * (RFC 8725bis: a key is used with one algorithm). What a key says of itself decides (`alg`), otherwise its form.
 */
export async function importKeys(jwks: Jwks, allowed: readonly Algorithm[]): Promise<KeySet> {
  const keys: SigningKey[] = [];
  const refused: string[] = [];
  for (const jwk of jwks.keys.slice(0, keyCountMax)) {
    const found = await importKey(jwk, allowed);
    if (typeof found === "string") refused.push(found);
    else keys.push(found);
  }
  return new KeySet(keys, refused);
}

async function importKey(jwk: JWK, allowed: readonly Algorithm[]): Promise<SigningKey | string> {
  if (typeof jwk !== "object" || jwk === null) return "no key";
  const { kid } = jwk;
  const name = typeof kid === "string" ? JSON.stringify(kid.slice(0, 64)) : "a key without kid";
  if (kid !== undefined && typeof kid !== "string") return `${name}: its kid is no text`;
  if ("d" in jwk || jwk.kty === "oct") return `${name}: it is no public key`;
  if (jwk.use !== undefined && jwk.use !== "sig") return `${name}: it is not for signatures`;
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify")))
    return `${name}: it is not for verifying`;
  const fitting = algorithmsOf(jwk).filter(
    (alg) => (jwk.alg === undefined || jwk.alg === alg) && allowed.includes(alg),
  );
  const [alg] = fitting;
  if (alg === undefined) return `${name}: it is for none of the algorithms ${allowed.join(", ")}`;
  if (fitting.length > 1) return `${name}: it does not say which of ${fitting.join(", ")} it is for`;
  try {
    const key = (await importJWK({ ...jwk, alg }, alg)) as CryptoKey;
    return { kid, alg, key, material: JSON.stringify([jwk.kty, jwk.crv, jwk.x, jwk.y, jwk.n, jwk.e]) };
  } catch (thrown) {
    return `${name}: ${(thrown as Error).message}`;
  }
}
