import { SignJWT } from "jose";
import type { Clock, Duration, Json, Random } from "../base/index.ts";
import { createIds, error, parseDuration, systemClock, systemRandom } from "../base/index.ts";
import type { RevocationStore } from "./revocation.ts";
import type { TokenKeys } from "./token-keys.ts";

/** Signs tokens with the app's own key. */
export interface TokenIssuer {
  /** A signed access token for `subject`, good for `ttl` (default 1 h). */
  issue(token: TokenRequest): Promise<{
    readonly token: string;
    /** Its `jti`, by which it can be taken back. */
    readonly id: string;
    /** ISO time. */
    readonly expiresAt: string;
  }>;
  /**
   * Takes back one token, or all that a subject was given so far. Every process hears of it within 5 s, this one at once.
   * Rejects with `unavailable` when the others could not be told.
   */
  revoke(what: TokenRevocation): Promise<void>;
}

/** Of this app's own tokens; of another issuer's with `issuer`, as the principal's `claims.iss` names it. */
export type TokenRevocation =
  | { readonly id: string; readonly issuer?: string }
  | { readonly subject: string; readonly issuer?: string };

export interface TokenRequest {
  readonly subject: string;
  readonly scopes?: readonly string[];
  /** What access rules ask for by `role`. */
  readonly roles?: readonly string[];
  /** Any other claims, such as `tenant`; those that tokens have anyway are refused. */
  readonly claims?: Readonly<Record<string, Json>>;
  readonly ttl?: Duration;
}

export interface TokenIssuerOptions {
  readonly keys: TokenKeys;
  /** Who signs, and for whom: `iss` and `aud`, the same that the verifier asks for. */
  readonly issuer: string;
  readonly audience: string;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Where tokens are taken back. Default: nowhere, and `revoke` is refused. */
  readonly revocations?: Pick<RevocationStore, "add"> | undefined;
}

const ttlMsDefault = 3_600_000;
const ttlMsMax = 86_400_000;
const own: ReadonlySet<string> = new Set([
  "iss",
  "aud",
  "sub",
  "exp",
  "nbf",
  "iat",
  "jti",
  "client_id",
  "scope",
  "roles",
]);

/**
 * Signs access tokens (RFC 9068: `typ: at+jwt`). A token lives at most 24 h.
 * Throws `invalid_argument` TOKEN_REQUEST_INVALID for an empty subject, a scope with spaces, or a wrong `ttl`.
 */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { keys, revocations } = options;
  const clock = options.clock ?? systemClock;
  const newTokenId = createIds(clock, options.random ?? systemRandom);
  return {
    async issue({ subject, scopes = [], roles = [], claims = {}, ttl = ttlMsDefault }) {
      const ttlMs = parseDuration(ttl);
      if (subject === "") throw wrongRequest("the subject is empty");
      if (ttlMs === undefined || ttlMs < 1000 || ttlMs > ttlMsMax) throw wrongRequest('ttl is between "1s" and "24h"');
      const badScope = scopes.find((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope));
      if (badScope !== undefined) throw wrongRequest(`${JSON.stringify(badScope)} is no scope`);
      const taken = Object.keys(claims).find((name) => own.has(name));
      if (taken !== undefined) throw wrongRequest(`the claim "${taken}" is the issuer's own to set`);
      const issuedAt = Math.floor(clock.wallNow() / 1000);
      const expiresAt = issuedAt + Math.floor(ttlMs / 1000);
      const id = newTokenId();
      const token = await new SignJWT({
        ...claims,
        client_id: options.issuer,
        ...(roles.length > 0 && { roles }),
        ...(scopes.length > 0 && { scope: scopes.join(" ") }),
      })
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: keys.signingKeyId })
        .setIssuer(options.issuer)
        .setAudience(options.audience)
        .setSubject(subject)
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .setJti(id)
        .sign(keys.signingKey);
      return { token, id, expiresAt: new Date(expiresAt * 1000).toISOString() };
    },
    async revoke(what) {
      if (!revocations) throw revocationUnheard();
      const { issuer = options.issuer } = what;
      await revocations.add(
        "id" in what ? { issuer, tokenId: what.id } : { issuer, subject: what.subject, before: clock.wallNow() },
      );
    },
  };
}

function wrongRequest(what: string) {
  return error("invalid_argument", `No token can be signed: ${what}.`, {
    reason: "TOKEN_REQUEST_INVALID",
    executed: "no",
  });
}

/** REVOCATION_UNHEARD: nobody who checks tokens would hear of it. */
const revocationUnheard = () =>
  error("failed_precondition", "Nobody who checks tokens would hear that they are taken back; set CACHE_URL.", {
    reason: "REVOCATION_UNHEARD",
    executed: "no",
  });
