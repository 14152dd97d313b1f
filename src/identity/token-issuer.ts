import { SignJWT } from "jose";
import type { Clock, Duration, Random } from "../base/index.ts";
import { createIds, error, parseDuration, systemClock, systemRandom } from "../base/index.ts";
import type { TokenKeys } from "./token-keys.ts";

/** Signs tokens with the app's own key. */
export interface TokenIssuer {
  /** A signed access token for `subject`, good for `ttl` (default 1 h). */
  issue(token: { readonly subject: string; readonly scopes?: readonly string[]; readonly ttl?: Duration }): Promise<{
    readonly token: string;
    /** ISO time. */
    readonly expiresAt: string;
  }>;
}

export interface TokenIssuerOptions {
  readonly keys: TokenKeys;
  /** Who signs, and for whom: `iss` and `aud`, the same that the verifier asks for. */
  readonly issuer: string;
  readonly audience: string;
  readonly clock?: Clock;
  readonly random?: Random;
}

const ttlMsDefault = 3_600_000;
const ttlMsMax = 86_400_000;

/**
 * Signs access tokens (RFC 9068: `typ: at+jwt`). A token lives at most 24 h: it cannot be taken back before its end.
 * Throws `invalid_argument` TOKEN_REQUEST_INVALID for an empty subject, a scope with spaces, or a wrong `ttl`.
 */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { keys } = options;
  const clock = options.clock ?? systemClock;
  const newTokenId = createIds(clock, options.random ?? systemRandom);
  return {
    async issue({ subject, scopes = [], ttl = ttlMsDefault }) {
      const ttlMs = parseDuration(ttl);
      if (subject === "") throw wrongRequest("the subject is empty");
      if (ttlMs === undefined || ttlMs < 1000 || ttlMs > ttlMsMax) throw wrongRequest('ttl is between "1s" and "24h"');
      const badScope = scopes.find((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope));
      if (badScope !== undefined) throw wrongRequest(`${JSON.stringify(badScope)} is no scope`);
      const issuedAt = Math.floor(clock.wallNow() / 1000);
      const expiresAt = issuedAt + Math.floor(ttlMs / 1000);
      const token = await new SignJWT({
        client_id: options.issuer,
        ...(scopes.length > 0 && { scope: scopes.join(" ") }),
      })
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: keys.signingKeyId })
        .setIssuer(options.issuer)
        .setAudience(options.audience)
        .setSubject(subject)
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .setJti(newTokenId())
        .sign(keys.signingKey);
      return { token, expiresAt: new Date(expiresAt * 1000).toISOString() };
    },
  };
}

function wrongRequest(what: string) {
  return error("invalid_argument", `No token can be signed: ${what}.`, {
    reason: "TOKEN_REQUEST_INVALID",
    executed: "no",
  });
}
