import { createHash } from "node:crypto";
import type { CryptoKey, JWK } from "jose";
import { calculateJwkThumbprint, importJWK } from "jose";
import type { Clock, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Algorithm } from "./algorithm.ts";
import { algorithms, algorithmsOf, isAlgorithm } from "./algorithm.ts";
import type { CompactToken } from "./compact-token.ts";
import { parseCompact } from "./compact-token.ts";
import { TokenFault } from "./errors.ts";
import type { Presented } from "./presented.ts";
import type { ReplayStore } from "./replay-store.ts";
import { checkSignature } from "./token-verifier.ts";

/** What DPoP proofs may look like. */
export interface DpopOptions {
  /** Default `["ES256", "EdDSA", "Ed25519"]`. */
  readonly algorithms?: readonly Algorithm[];
}

/** The algorithms of proofs, or undefined where none are taken. Notes what is wrong in `problems`. */
export function resolveDpop(options: boolean | DpopOptions, problems: string[]): readonly Algorithm[] | undefined {
  if (options === false) return undefined;
  const named = (options === true ? undefined : options.algorithms) ?? proofAlgorithmsDefault;
  if (named.length === 0 || !named.every(isAlgorithm))
    problems.push(`gateway: identity: dpop: algorithms: give some of ${algorithms.join(", ")}.`);
  return named;
}

/** Checks that the sender of a token has the key that the token is bound to. Rejects with PROOF_INVALID. */
export type ProofCheck = (presented: Presented, token: string, thumbprint: string) => Promise<void>;

const proofAlgorithmsDefault: readonly Algorithm[] = ["ES256", "EdDSA", "Ed25519"];

/** A proof is good for so long after it was made, and may come from a clock that goes ahead by the leeway. */
const windowMs = 60_000;
const leewayMs = 5000;
const proofLengthMax = 4096;
const idLengthMax = 256;

export interface ProofCheckOptions {
  readonly clock: Clock;
  readonly replays: ReplayStore;
  readonly algorithms: readonly Algorithm[];
}

/**
 * The checks of RFC 9449, 4.3, in the order of what they cost: one header, form, type, algorithm, the key's thumbprint,
 * method and address, the token's hash, time, signature, and last that it was never used before.
 */
export function createProofCheck({ clock, replays, algorithms: allowed }: ProofCheckOptions): ProofCheck {
  const check = async (presented: Presented, token: string, thumbprint: string): Promise<void> => {
    const { dpop } = presented;
    if (dpop === undefined) throw new TokenFault("no proof");
    const proof = parseCompact(dpop, { lengthMax: proofLengthMax, embedsKey: true });
    const { header, payload } = proof;
    if (header.typ !== "dpop+jwt") throw new TokenFault("no proof by its type");
    const { jwk, alg } = keyOf(proof, allowed);
    if ((await calculateJwkThumbprint(jwk)) !== thumbprint) throw new TokenFault("another key than the token's");
    if (payload.htm !== presented.method) throw new TokenFault("for another method");
    if (!isSameAddress(payload.htu, presented.url())) throw new TokenFault("for another address");
    if (payload.ath !== createHash("sha256").update(token).digest("base64url"))
      throw new TokenFault("for another token");
    checkTime(payload, clock.wallNow());
    const { jti } = payload;
    if (typeof jti !== "string" || jti === "" || jti.length > idLengthMax) throw new TokenFault("no jti");
    await checkSignature(proof, { key: await importPublic(jwk, alg), alg });
    // Longer than any proof that was accepted can be presented again.
    if (!(await replays.firstUse(thumbprint, jti, windowMs + 2 * leewayMs))) throw new TokenFault("used before");
  };
  return async (presented, token, thumbprint) => {
    try {
      await check(presented, token, thumbprint);
    } catch (thrown) {
      if (thrown instanceof TokenFault) throw proofInvalid(thrown);
      throw thrown;
    }
  };
}

/** PROOF_INVALID: the DPoP proof is none, or for another key, request, token or time, or was used before. */
const proofInvalid = (cause: unknown): PlinthError =>
  error("unauthenticated", "The DPoP proof is not valid.", { reason: "PROOF_INVALID", executed: "no", cause });

function keyOf(
  { header }: CompactToken,
  allowed: readonly Algorithm[],
): { readonly jwk: JWK; readonly alg: Algorithm } {
  const jwk = header.members.jwk as JWK | undefined;
  if (typeof jwk !== "object" || jwk === null) throw new TokenFault("a proof without key");
  for (const name of ["jku", "x5u", "x5c"]) {
    if (Object.hasOwn(header.members, name)) throw new TokenFault(`it has a "${name}" header`);
  }
  if ("d" in jwk || "k" in jwk) throw new TokenFault("it shows a private key");
  const alg = allowed.find((each) => each === header.alg);
  if (alg === undefined || !algorithmsOf(jwk).includes(alg)) throw new TokenFault("of another alg");
  return { jwk, alg };
}

async function importPublic(jwk: JWK, alg: Algorithm): Promise<CryptoKey> {
  const { kty, crv, x, y, n, e } = jwk;
  try {
    return (await importJWK({ kty, crv, x, y, n, e } as JWK, alg)) as CryptoKey;
  } catch (cause) {
    throw new TokenFault("no key", { cause });
  }
}

function checkTime(payload: CompactToken["payload"], now: number): void {
  const { iat } = payload;
  if (typeof iat !== "number" || !Number.isFinite(iat)) throw new TokenFault("without time");
  const age = now - iat * 1000;
  if (age > windowMs + leewayMs || age < -leewayMs) throw new TokenFault("of another time");
}

/** Whether `htu` is the address of the request: without query and fragment, both in their normal form (RFC 3986, 6.2). */
export function isSameAddress(htu: unknown, address: string): boolean {
  if (typeof htu !== "string" || !URL.canParse(htu) || !URL.canParse(address)) return false;
  return normalForm(htu) === normalForm(address);
}

function normalForm(text: string): string {
  const { origin, pathname } = new URL(text);
  const path = pathname.replace(/%[0-9a-f]{2}/gi, (octet) => {
    const character = String.fromCharCode(Number.parseInt(octet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : octet.toUpperCase();
  });
  return origin + path;
}
