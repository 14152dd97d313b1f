import type { Duration } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";

/**
 * An identity provider inside the app: people and machines sign in here, and get tokens for the app's own methods. For
 * development and for small installations; the app does not notice when an outside one takes its place.
 *
 * **Promises.** OpenID Connect and OAuth 2.1 by the package `oidc-provider`, narrowed to what is sound today: the
 * authorization code with PKCE (S256) for everybody, client credentials for machines, refresh tokens that are good once.
 * A code or a refresh token that is used a second time ends everything that came of its sign-in. Redirect addresses are
 * compared exactly; the port of a loopback address alone is free, for native clients (RFC 8252). Access tokens are JWTs
 * after RFC 9068, signed with ES256 and meant for this app alone. Signing keys are changed by themselves: each is
 * published before it signs, and stays published until what it signed has ended. Everything that lets somebody in is at
 * rest a hash (passwords by scrypt, tokens, codes, sessions and client secrets by SHA-256) or sealed (signing keys). Any
 * number of gateway processes share it through the app's database.
 *
 * **Not promised.** Access tokens cannot be called back on other resource servers before they end: they live ten minutes.
 * There are no second factors, no mails, no registration by users, no federation: for these, use an outside provider.
 *
 * **Limits.** A form 16 KiB, a password 10 to 200 characters, 2 password checks at a time in a process and 32 in line,
 * then 503; sign-ins per account and per address, begun or tried, as `sign-in-limits.ts` says, then 429.
 */
export interface ProviderOptions {
  /** Programs that people sign in with, and machines. More can be added with `plinth clients add`. */
  readonly clients?: readonly ClientOptions[];
  /**
   * What tokens can allow: a name, and what a person reads where consent is asked for. A person is given what
   * `plinth users add --scope` granted, and what is for `everyone`.
   */
  readonly scopes?: Readonly<Record<string, string | ScopeOptions>>;
  /** Whom access tokens are for: their `aud`. Default: the app's name. */
  readonly audience?: string;
  /** Where it is served. Default "/auth". */
  readonly path?: string;
  readonly ttl?: ProviderTtl;
  /** How long a key signs. Default "30d", 1 h at least. */
  readonly rotateKeysEvery?: Duration;
}

export interface ScopeOptions {
  readonly description: string;
  /** Every user may have it. Default false: only whom it was granted to. */
  readonly everyone?: boolean;
}

export interface ProviderTtl {
  /** Default "10m", at most "1h": nobody can call it back. */
  readonly accessToken?: Duration;
  /** Of a refresh token, from its last use. Default "14d". Without `offline_access` it ends with the session. */
  readonly refreshToken?: Duration;
  /** How long somebody stays signed in. Default "12h". */
  readonly session?: Duration;
}

/**
 * `browser`: a page in a browser, which keeps no secret. `native`: a program on a person's own machine, which keeps none
 * either. `server`: a web application with a secret. `machine`: acts for itself, with a secret.
 */
export type ClientKind = "browser" | "native" | "server" | "machine";

export interface ClientOptions {
  /** Letters, digits and `._-`. */
  readonly id: string;
  readonly kind: ClientKind;
  /** What people read. Default: the id. */
  readonly name?: string;
  /** Where people come back to, compared exactly. For `native` a loopback address has a free port. Not for machines. */
  readonly redirectUris?: readonly string[];
  /** Where people may be sent after signing out. */
  readonly signOutUris?: readonly string[];
  /** The most that its tokens can allow. Default: none for machines, every declared scope for others. */
  readonly scopes?: readonly string[];
  /** Of others: people are asked whether they want to share. Default false. */
  readonly thirdParty?: boolean;
}

export interface ProviderDefinition {
  readonly kind: "identity provider";
  readonly clients: readonly ClientOptions[];
  readonly scopes: ReadonlyMap<string, Required<ScopeOptions>>;
  readonly audience: string | undefined;
  readonly path: string;
  readonly accessTokenMs: number;
  readonly refreshTokenMs: number;
  readonly sessionMs: number;
  readonly rotateKeysMs: number;
  /** What is wrong with the options: told when the app starts. */
  readonly problems: readonly string[];
}

const dayMs = 86_400_000;

/** `app({ gateway: { identity: { provider: provider({ clients: […] }) } } })`. */
export function provider(options: ProviderOptions = {}): ProviderDefinition {
  const { clients = [], scopes = {}, audience, path = "/auth", ttl = {} } = options;
  const problems: string[] = [];
  const problem = (text: string) => void problems.push(`identity provider: ${text}`);
  const duration = (name: string, value: Duration | undefined, limits: DurationLimits): number => {
    const ms = value === undefined ? limits.default : parseDuration(value);
    if (ms !== undefined && ms >= limits.min && ms <= limits.max) return ms;
    problem(`${name}: ${JSON.stringify(value)}: write a duration from ${limits.words}.`);
    return limits.default;
  };
  const declared = new Map(
    Object.entries(scopes).map(([name, scope]) => {
      const { description, everyone = false } = typeof scope === "string" ? { description: scope } : scope;
      return [name, { description, everyone }] as const;
    }),
  );
  for (const name of declared.keys()) {
    if (!scopePattern.test(name) || reservedScopes.has(name)) {
      problem(`scopes: ${JSON.stringify(name)} is no scope of an app; use printable ASCII, such as "orders:write".`);
    }
  }
  if (!pathPattern.test(path)) {
    problem(`path: ${JSON.stringify(path)}: it begins with "/" and does not end with it, such as "/auth".`);
  }
  const seen = new Set<string>();
  for (const client of clients) {
    if (seen.has(client.id)) problem(`clients: two have the id "${client.id}"; rename one.`);
    seen.add(client.id);
    for (const text of clientProblems(client, declared)) problem(`clients: ${client.id}: ${text}`);
  }
  return {
    kind: "identity provider",
    clients,
    scopes: declared,
    audience,
    path,
    accessTokenMs: duration("ttl.accessToken", ttl.accessToken, limitsOf.accessToken),
    refreshTokenMs: duration("ttl.refreshToken", ttl.refreshToken, limitsOf.refreshToken),
    sessionMs: duration("ttl.session", ttl.session, limitsOf.session),
    rotateKeysMs: duration("rotateKeysEvery", options.rotateKeysEvery, limitsOf.rotateKeys),
    problems,
  };
}

interface DurationLimits {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly words: string;
}

const limitsOf = {
  accessToken: { default: 600_000, min: 1_000, max: 3_600_000, words: '"1s" to "1h"' },
  refreshToken: { default: 14 * dayMs, min: 1_000, max: 365 * dayMs, words: '"1s" to "365d"' },
  session: { default: dayMs / 2, min: 1_000, max: 90 * dayMs, words: '"1s" to "90d"' },
  rotateKeys: { default: 30 * dayMs, min: 3_600_000, max: 365 * dayMs, words: '"1h" to "365d"' },
} as const;

const pathPattern = /^(?:\/[A-Za-z0-9._~-]+)+$/;
const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/;
/** Of OpenID Connect: they are the provider's own. */
export const reservedScopes: ReadonlySet<string> = new Set(["openid", "offline_access", "profile", "email"]);
const idPattern = /^[A-Za-z0-9._-]{1,100}$/;

/** What is wrong with a client, as ends of sentences that name it. */
export function clientProblems(client: ClientOptions, scopes: ReadonlyMap<string, unknown>): readonly string[] {
  const { id, kind, redirectUris = [], signOutUris = [] } = client;
  const problems: string[] = [];
  if (!idPattern.test(id)) problems.push("id: use 1 to 100 letters, digits and ._-");
  if (kind === "machine") {
    if (redirectUris.length > 0) problems.push("redirectUris: nobody signs in with a machine; leave them out.");
  } else if (redirectUris.length === 0) {
    problems.push('redirectUris: say where people come back to, such as "https://shop.example.com/callback".');
  }
  for (const uri of [...redirectUris, ...signOutUris]) {
    const wrong = addressProblem(uri, kind);
    if (wrong) problems.push(`${JSON.stringify(uri)}: ${wrong}`);
  }
  for (const scope of client.scopes ?? []) {
    if (!scopes.has(scope) && !reservedScopes.has(scope))
      problems.push(`scopes: "${scope}" is not among the provider's scopes; declare it there.`);
  }
  return problems;
}

/** Over plain HTTP a code would be anybody's: only to this very machine. */
function addressProblem(uri: string, kind: ClientKind): string | undefined {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (!url || uri.includes("*") || uri.includes("#")) return "write a whole address without * and #.";
  const isLoopback = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback)) return undefined;
  // RFC 8252, 7.1: a scheme that is a domain of the program's maker, the other way round.
  if (kind === "native" && /^[a-z][a-z0-9+-]*\.[a-z0-9.+-]+:$/.test(url.protocol)) return undefined;
  return kind === "native"
    ? 'use https, a loopback address, or a scheme of your own such as "com.example.app:/callback".'
    : "use https; http is for this machine alone.";
}
