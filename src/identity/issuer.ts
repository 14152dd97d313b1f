import type { Duration } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";
import type { Algorithm } from "./algorithm.ts";
import { algorithms, isAlgorithm } from "./algorithm.ts";
import { isSafeUrl } from "./discovery.ts";
import type { LocalKeys } from "./key-source.ts";

/**
 * Somebody whose access tokens are believed: an OAuth authorization server or OpenID provider, found by its URL.
 *
 *     issuer({ url: "https://login.example.com", audience: "shop", algorithms: ["ES256"] })
 */
export interface IssuerOptions {
  /** Exactly what its tokens name as `iss`. Its keys are found from here. `PLINTH_ISSUER` sets another one. */
  readonly url: string;
  /** Who the tokens must be for: this app, as the issuer knows it. One of several will do. `PLINTH_AUDIENCE` sets another. */
  readonly audience: string | readonly string[];
  /** Which it is, where there are several: the name in `PLINTH_ISSUERS`. */
  readonly name?: string;
  /**
   * What it signs with; anything else is refused. One of each kind of key, so that a key that does not say what it is for
   * leaves no choice. Default `["ES256", "EdDSA", "RS256"]`.
   */
  readonly algorithms?: readonly Algorithm[];
  /** Where its keys are, for an issuer without metadata. */
  readonly jwksUrl?: string;
  /** Its keys, for an issuer in this process: nothing is fetched. */
  readonly keys?: LocalKeys;
  /**
   * The `typ` that its access tokens have. `"at+jwt"` (RFC 9068) by default; `"any"` for issuers that cannot: then `JWT`
   * and none are taken too, and a token for signing in (an ID token) with our audience cannot be told from one for access.
   */
  readonly typ?: "at+jwt" | "any";
  /** Clocks may differ by so much. Default "5s", at most "5m". */
  readonly leeway?: Duration;
  /** Tokens that live longer are refused. Default "24h". */
  readonly lifetimeMax?: Duration;
  /** How long its keys are used while it is down. Default "24h"; "0s" for not at all. */
  readonly staleKeys?: Duration;
  /** Where its tokens say what. A name, or a path with dots: `"realm_access.roles"`. */
  readonly claims?: ClaimNames;
  /**
   * Put before each subject, so that two issuers cannot speak for one: `"partner:"`. Default: none; the principal's
   * `claims.iss` says who spoke.
   */
  readonly subjectPrefix?: string;
}

export interface ClaimNames {
  /** Default: `scope`, or else `scp`; a text with spaces or a list. */
  readonly scopes?: string;
  /** Default `"roles"`. */
  readonly roles?: string;
  /** Default `"tenant"`. */
  readonly tenant?: string;
}

export interface IssuerDefinition extends IssuerOptions {
  readonly kind: "issuer";
}

/** What is believed of tokens of one issuer, with everything decided. */
export interface IssuerRules {
  readonly url: string;
  readonly audiences: ReadonlySet<string>;
  readonly algorithms: readonly Algorithm[];
  readonly isStrict: boolean;
  readonly leewayMs: number;
  readonly lifetimeMs: number;
  readonly staleMs: number;
  readonly claims: ClaimNames;
  readonly subjectPrefix: string;
  /** Whether principals say who spoke for them. */
  readonly namesIssuer: boolean;
}

export function issuer(options: IssuerOptions): IssuerDefinition {
  return { kind: "issuer", ...options };
}

const algorithmsDefault: readonly Algorithm[] = ["ES256", "EdDSA", "RS256"];
const leewayMsMax = 300_000;

/** Notes what is wrong in `problems`, each with its remedy. */
export function resolveIssuer(options: IssuerOptions, allowsLoopback: boolean, problems: string[]): IssuerRules {
  const { url, typ = "at+jwt" } = options;
  const where = `gateway: identity: issuer ${JSON.stringify(url)}`;
  const wrong = (what: string): void => void problems.push(`${where}: ${what}`);
  const isLocal = options.keys !== undefined;
  if (typeof url !== "string" || (isLocal ? url === "" : !isSafeUrl(url, allowsLoopback) || /[?#]/.test(url))) {
    wrong('url: give its https address, exactly as its tokens name it, such as "https://login.example.com".');
  }
  if (options.jwksUrl !== undefined && (isLocal || !isSafeUrl(options.jwksUrl, allowsLoopback)))
    wrong("jwksUrl: give the https address of its keys, and no keys beside it.");
  const audiences = new Set(typeof options.audience === "string" ? [options.audience] : options.audience);
  if (audiences.size === 0 || [...audiences].some((each) => typeof each !== "string" || each === ""))
    wrong("audience: say who its tokens must be for; without that, tokens for any other app would be taken.");
  const allowed = options.algorithms ?? algorithmsDefault;
  for (const alg of allowed) {
    if (!isAlgorithm(alg)) {
      wrong(
        `algorithms: ${JSON.stringify(alg)} cannot be used; give some of ${algorithms.join(", ")}. Those with a shared secret (HS256) are left out, since whoever checks could sign.`,
      );
    }
  }
  if (allowed.length === 0) wrong("algorithms: name at least one.");
  if (typ !== "at+jwt" && typ !== "any") wrong('typ: write "at+jwt" or "any".');
  const inRange = (field: "leeway" | "lifetimeMax" | "staleKeys", fallbackMs: number, minMs: number, maxMs: number) => {
    const ms = options[field] === undefined ? fallbackMs : parseDuration(options[field]);
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    wrong(`${field}: write a duration from ${minMs} ms to ${maxMs / 1000} s.`);
    return fallbackMs;
  };
  return {
    url,
    audiences,
    algorithms: allowed,
    isStrict: typ === "at+jwt",
    leewayMs: inRange("leeway", 5000, 0, leewayMsMax),
    lifetimeMs: inRange("lifetimeMax", 86_400_000, 1000, 366 * 86_400_000),
    staleMs: inRange("staleKeys", 86_400_000, 0, 7 * 86_400_000),
    claims: options.claims ?? {},
    subjectPrefix: options.subjectPrefix ?? "",
    namesIssuer: true,
  };
}
