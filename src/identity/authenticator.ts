import type { Clock, Principal } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import type { Challenge } from "./challenge.ts";
import { createChallenge } from "./challenge.ts";
import type { VerifiedClaims } from "./claims.ts";
import { authorizationMalformed, schemeUnknown, TokenFault, tokenInvalid } from "./errors.ts";
import type { Presented } from "./presented.ts";
import { readCredential, schemeOf } from "./presented.ts";
import { TokenMemory } from "./token-memory.ts";
import type { TrustedIssuer } from "./token-verifier.ts";
import { createTokenVerifier } from "./token-verifier.ts";

/**
 * Who calls: turns what a request shows into a principal.
 *
 * Promises
 * - A token is believed only when an issuer that the app declared signed it, with a key of that issuer, by an algorithm
 *   that was declared for it, for this app, for access, now (RFC 9068, RFC 8725). What the token says of its own key is
 *   never followed. Everything that costs nothing is looked at before any key: length, alphabet, JSON, claims.
 * - What cannot be checked is refused: with 401 when it is not good, with 503 while nobody can know. Nothing that fails
 *   lets anybody in.
 * - A verified token is remembered for a bounded time, never past its end, and shared by all requests that wait for it.
 *
 * Not promised: that two issuers mean two people by one subject. `claims.iss` says who spoke; `subjectPrefix` of an
 * issuer keeps them apart.
 *
 * Limits: a token of 8 KiB, JSON of 8 levels, 100 keys of an issuer, 10,000 remembered tokens for 5 min.
 */
export interface Authenticator {
  /** The principal of an `Authorization` header that was verified a short while ago, and needs nothing beside it. */
  recall(authorization: string): Principal | undefined;
  /** Rejects with `unauthenticated`, `invalid_argument` (not readable) or `unavailable` (nobody can know). */
  authenticate(presented: Presented): Promise<Principal>;
  /** What a refused client is told. */
  readonly challenge: Challenge;
  /** Forgets every verified token: after a change of keys. */
  forget(): void;
}

export interface AuthenticatorOptions {
  readonly issuers: readonly TrustedIssuer[];
  /** Named in `WWW-Authenticate`. Default "api". */
  readonly realm?: string;
  /** Verified tokens that are remembered. Default 10000. */
  readonly rememberedCount?: number;
  /** How long at most; never past a token's own end. Default 5 min. */
  readonly rememberMs?: number;
  readonly clock?: Clock;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const clock = options.clock ?? systemClock;
  const rememberMs = options.rememberMs ?? 300_000;
  const memory = new TokenMemory(clock, rememberMs, options.rememberedCount ?? 10_000);
  const verify = createTokenVerifier(options.issuers, clock);
  const underWay = new Map<string, Promise<VerifiedClaims>>();
  for (const { keys } of options.issuers) keys.onKeysGone = () => memory.clear();

  const verifyAnew = async (authorization: string, token: string): Promise<VerifiedClaims> => {
    const claims = await verify(token);
    memory.keep(authorization, claims, rememberMs);
    return claims;
  };
  /** Many requests with one new token share one verification. */
  const claimsOf = (authorization: string, token: string): Promise<VerifiedClaims> => {
    const running = underWay.get(authorization);
    if (running) return running;
    const begun = verifyAnew(authorization, token).finally(() => underWay.delete(authorization));
    underWay.set(authorization, begun);
    return begun;
  };
  const authenticate = async ({ authorization = "" }: Presented): Promise<Principal> => {
    if (schemeOf(authorization) !== "bearer") throw schemeUnknown("Bearer");
    const credential = readCredential(authorization);
    if (!credential) throw authorizationMalformed();
    const claims = memory.find(authorization) ?? (await claimsOf(authorization, credential.token));
    if (claims.confirmation) throw new TokenFault("bound to a key");
    return claims.principal;
  };
  return {
    recall: (authorization) => memory.recall(authorization),
    async authenticate(presented) {
      try {
        return await authenticate(presented);
      } catch (thrown) {
        if (thrown instanceof TokenFault) throw tokenInvalid(thrown.isExpired, thrown);
        throw thrown;
      }
    },
    challenge: createChallenge({ realm: options.realm ?? "api" }),
    forget: () => memory.clear(),
  };
}
