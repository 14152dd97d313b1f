import type { KeyObject } from "node:crypto";
import type { JWTHeaderParameters, JWTPayload } from "jose";
import { errors, jwtVerify } from "jose";
import type { Clock, Principal } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import { authorizationMalformed, tokenInvalid } from "./errors.ts";
import type { TokenKeys } from "./token-keys.ts";
import { TwoGenerations } from "./two-generations.ts";

/** Turns an `Authorization` header into a principal. */
export interface TokenVerifier {
  /** What the header means, if it was verified a short while ago. */
  recall(authorization: string): Principal | undefined;
  /** Verifies it. Rejects with `unauthenticated`. */
  verify(authorization: string): Promise<Principal>;
  /** Forgets every verified token: after a change of keys. */
  forget(): void;
}

export interface TokenVerifierOptions {
  readonly keys: TokenKeys;
  readonly issuer: string;
  readonly audience: string;
  /** Verified tokens that are remembered. Default 10000. */
  readonly rememberedCount?: number;
  /** How long at most; never past a token's own end. Default 5 min. */
  readonly rememberMs?: number;
  /** How far clocks may differ. Default 5 s. */
  readonly leewaySeconds?: number;
  readonly clock?: Clock;
}

interface Remembered {
  readonly authorization: string;
  readonly principal: Principal;
  /** `clock.wallNow()` milliseconds. */
  readonly until: number;
}

/** Longest token that is looked at. */
const tokenLengthMax = 8192;
const bearerPattern = /^bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
/** A header in which a token brings or names its own key: never followed, and reason enough to refuse. */
const keyHeaders = ["jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256", "crit"] as const;

/**
 * Verifies the app's own access tokens (RFC 9068 profile, RFC 8725 rules): ES256 only, key by `kid` from our own set,
 * `typ` at+jwt, `iss`, `aud`, `exp`, `nbf`, `sub` and `iat` checked; a token that carries its own key is refused.
 *
 * Verifying costs five to ten times a request, so what was verified is remembered: keyed by the whole header, bounded,
 * for 5 minutes at most and never past `exp`. Refusals are not remembered. Many requests with one new token share one
 * verification.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const clock = options.clock ?? systemClock;
  const rememberMs = options.rememberMs ?? 300_000;
  const { publicKeys } = options.keys;
  let remembered = new TwoGenerations<Remembered>(options.rememberedCount ?? 10_000);
  const underWay = new Map<string, Promise<Principal>>();

  const keyOf = (header: JWTHeaderParameters): KeyObject => {
    for (const name of keyHeaders) if (name in header) throw new errors.JWSInvalid(`the token has a "${name}" header`);
    const key = typeof header.kid === "string" ? publicKeys.get(header.kid) : undefined;
    if (!key) throw new errors.JWKSNoMatchingKey();
    return key;
  };

  const check = async (authorization: string): Promise<Principal> => {
    const token = bearerPattern.exec(authorization)?.[1];
    if (token === undefined) throw shapeError(authorization);
    if (token.length > tokenLengthMax) throw tokenInvalid(false, "longer than allowed");
    const into = remembered;
    try {
      const { payload } = await jwtVerify(token, keyOf, {
        algorithms: ["ES256"],
        typ: "at+jwt",
        issuer: options.issuer,
        audience: options.audience,
        requiredClaims: ["exp", "sub", "iat"],
        clockTolerance: options.leewaySeconds ?? 5,
        currentDate: new Date(clock.wallNow()),
      });
      const principal = principalOf(payload);
      const until = Math.min((payload.exp as number) * 1000, clock.wallNow() + rememberMs);
      into.set(tailOf(authorization), { authorization, principal, until });
      return principal;
    } catch (thrown) {
      throw tokenInvalid(thrown instanceof errors.JWTExpired, thrown);
    }
  };

  return {
    recall(authorization) {
      const found = remembered.get(tailOf(authorization));
      if (found === undefined || found.authorization !== authorization) return undefined;
      return clock.wallNow() < found.until ? found.principal : undefined;
    },
    verify(authorization) {
      const running = underWay.get(authorization);
      if (running) return running;
      const begun = check(authorization).finally(() => underWay.delete(authorization));
      underWay.set(authorization, begun);
      return begun;
    },
    forget() {
      remembered = new TwoGenerations<Remembered>(options.rememberedCount ?? 10_000);
    },
  };
}

/**
 * The end of a signature finds the entry, the whole header then decides: hashing hundreds of characters anew for each
 * request would be the dearest step of the pipeline, comparing them costs nothing.
 */
function tailOf(authorization: string): string {
  return authorization.slice(-24);
}

/** A header that is not `Bearer` and one word is malformed; a word that is no JWT is an invalid token. */
function shapeError(authorization: string) {
  return /^bearer +[A-Za-z0-9._~+/-]+=*$/i.test(authorization)
    ? tokenInvalid(false, "no JWT")
    : authorizationMalformed();
}

const registered: ReadonlySet<string> = new Set(["iss", "aud", "exp", "nbf", "iat", "sub", "scope"]);

function principalOf(payload: JWTPayload): Principal {
  const { scope, sub } = payload;
  if (typeof sub !== "string" || sub === "") throw new errors.JWTInvalid("the token has no subject");
  const claims: Record<string, unknown> = {};
  for (const name of Object.keys(payload))
    if (!registered.has(name) && name !== "__proto__") claims[name] = payload[name];
  return Object.freeze({
    kind: "user",
    subject: sub,
    scopes: Object.freeze(typeof scope === "string" ? scope.split(" ").filter((name) => name !== "") : []),
    claims: Object.freeze(claims),
  });
}
