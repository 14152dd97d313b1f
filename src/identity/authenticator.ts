import type { Clock, Principal } from "../base/index.ts";
import type { ApiKeyCheck } from "./api-keys.ts";
import type { Challenge } from "./challenge.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { ProofCheck } from "./dpop-proof.ts";
import { authorizationMalformed, credentialsAmbiguous, schemeUnknown, TokenFault, tokenInvalid } from "./errors.ts";
import type { Credential, Presented, Scheme } from "./presented.ts";
import { readCredential, schemeOf } from "./presented.ts";
import type { RevocationStore } from "./revocation.ts";
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
 * - A verified token is remembered for a bounded time, never past its end nor its revocation, and shared by all requests
 *   that wait for it. One that is bound to a key is good only with the proof of that key, each time anew (RFC 9449), or on a
 *   connection with its certificate (RFC 8705).
 *
 * Not promised: that two issuers mean two people by one subject. `claims.iss` says who spoke; `subjectPrefix` of an
 * issuer keeps them apart.
 *
 * Limits: a token of 8 KiB, JSON of 8 levels, 100 keys of an issuer, 10,000 remembered tokens for 5 min.
 */
export interface Authenticator {
  /** The principal of an `Authorization` header that was verified a short while ago, and needs nothing beside it. */
  recall(authorization: string): Principal | undefined;
  /** The header for API keys, in small letters; undefined where none are taken. */
  readonly apiKeyHeader: string | undefined;
  /** The principal of an API key that was looked up a moment ago. */
  recallKey(apiKey: string): Principal | undefined;
  /** Rejects with `unauthenticated`, `invalid_argument` (not readable) or `unavailable` (nobody can know). */
  authenticate(presented: Presented): Promise<Principal>;
  /** What a refused client is told. */
  readonly challenge: Challenge;
  /** Forgets every verified token: after a change of keys. */
  forget(): void;
}

export interface AuthenticatorOptions {
  readonly issuers: readonly TrustedIssuer[];
  readonly challenge: Challenge;
  /** Tokens that were taken back; undefined: none can be. */
  readonly revocations?: RevocationStore | undefined;
  /** Undefined: a token that is bound to a DPoP key is refused. */
  readonly proofs?: ProofCheck | undefined;
  readonly apiKeys?: { readonly header: string; readonly check: ApiKeyCheck } | undefined;
  /** Verified tokens that are remembered. Default 10000. */
  readonly rememberedCount?: number;
  /** How long at most; never past a token's own end. Default 5 min. */
  readonly rememberMs?: number;
  readonly clock: Clock;
  /** Told why a token was refused, in words of ours: its sender is not. */
  readonly onRefused?: ((why: string) => void) | undefined;
}

const rememberMsDefault = 300_000;
const rememberedCountDefault = 10_000;

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { apiKeys, proofs } = options;
  const tokens = createTokens(options);
  const schemes: ReadonlySet<Scheme> = new Set<Scheme>([
    "bearer",
    ...(proofs ? (["dpop"] as const) : []),
    ...(apiKeys ? (["apikey"] as const) : []),
  ]);
  const names = [...schemes].map((scheme) => schemeNames[scheme]).join(" or ");

  const authenticate = async (presented: Presented): Promise<Principal> => {
    const { authorization, apiKey } = presented;
    if (apiKey !== undefined && apiKeys) {
      if (authorization !== undefined) throw credentialsAmbiguous();
      return apiKeys.check.authenticate(apiKey);
    }
    const text = authorization ?? "";
    const scheme = schemeOf(text);
    if (scheme === undefined || !schemes.has(scheme)) throw schemeUnknown(names);
    const credential = readCredential(text);
    if (!credential) throw authorizationMalformed();
    if (scheme === "apikey" && apiKeys) return apiKeys.check.authenticate(credential.token);
    const claims = await tokens.claimsOf(text, credential.token);
    await checkHolder(claims, credential, presented, proofs);
    return claims.principal;
  };
  return {
    recall: tokens.recall,
    recallKey: (apiKey) => apiKeys?.check.recall(apiKey),
    apiKeyHeader: apiKeys?.header.toLowerCase(),
    async authenticate(presented) {
      try {
        return await authenticate(presented);
      } catch (thrown) {
        if (!(thrown instanceof TokenFault)) throw thrown;
        options.onRefused?.(thrown.message);
        throw tokenInvalid(thrown.isExpired, thrown);
      }
    },
    challenge: options.challenge,
    forget: tokens.forget,
  };
}

const schemeNames: Readonly<Record<Scheme, string>> = { bearer: "Bearer", dpop: "DPoP", apikey: "ApiKey" };

/** Verifies tokens, once for all who wait, and remembers them. */
function createTokens(options: AuthenticatorOptions) {
  const { clock, revocations, rememberMs = rememberMsDefault, issuers } = options;
  const memory = new TokenMemory(clock, rememberMs, options.rememberedCount ?? rememberedCountDefault);
  const verify = createTokenVerifier(issuers, clock);
  const underWay = new Map<string, Promise<VerifiedClaims>>();
  const freshMs = revocations?.freshMs ?? Number.POSITIVE_INFINITY;
  for (const { keys } of issuers) keys.onKeysGone = () => memory.clear();
  if (revocations) revocations.onRevoked = () => memory.doubt();

  const refuseRevoked = async (claims: VerifiedClaims): Promise<void> => {
    if (await revocations?.has(claims)) throw new TokenFault("revoked");
  };
  const look = async (authorization: string, token: string): Promise<VerifiedClaims> => {
    const found = memory.find(authorization);
    const { mark } = memory;
    if (found) {
      await refuseRevoked(found.claims);
      memory.renew(authorization, freshMs, mark);
      return found.claims;
    }
    const claims = await verify(token);
    await refuseRevoked(claims);
    memory.keep(authorization, claims, freshMs, mark);
    return claims;
  };
  return {
    recall: (authorization: string) => memory.recall(authorization),
    forget: () => memory.clear(),
    claimsOf(authorization: string, token: string): VerifiedClaims | Promise<VerifiedClaims> {
      const found = memory.find(authorization);
      if (found?.isFresh) return found.claims;
      const running = underWay.get(authorization);
      if (running) return running;
      const begun = look(authorization, token).finally(() => underWay.delete(authorization));
      underWay.set(authorization, begun);
      return begun;
    },
  };
}

/** Whether the sender has the key that the token is bound to. A scheme must be that of its token: a stolen bound token is no bearer token. */
async function checkHolder(
  { confirmation }: VerifiedClaims,
  { scheme, token }: Credential,
  presented: Presented,
  proofs: ProofCheck | undefined,
): Promise<void> {
  if (scheme === "dpop") {
    if (confirmation?.kind !== "dpop" || !proofs) throw new TokenFault("not bound to a DPoP key");
    return proofs(presented, token, confirmation.thumbprint);
  }
  if (confirmation === undefined) return;
  if (confirmation.kind === "dpop") throw new TokenFault("bound to a DPoP key, and sent without");
  if (presented.certificate() !== confirmation.thumbprint) throw new TokenFault("bound to another certificate");
}
