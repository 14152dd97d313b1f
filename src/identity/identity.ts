import type { Clock } from "../base/index.ts";
import type { ApiKeyStore } from "./api-key-store.ts";
import type { ApiKeysDefinition } from "./api-keys.ts";
import { apiKeyHeaderDefault, checkApiKeys, createApiKeyCheck } from "./api-keys.ts";
import type { Authenticator } from "./authenticator.ts";
import { createAuthenticator } from "./authenticator.ts";
import { createChallenge } from "./challenge.ts";
import type { FetchJson } from "./discovery.ts";
import { discoverKeys } from "./discovery.ts";
import type { DpopOptions } from "./dpop-proof.ts";
import { createProofCheck, resolveDpop } from "./dpop-proof.ts";
import { wrongIdentity } from "./errors.ts";
import type { IssuerDefinition } from "./issuer.ts";
import { resolveIssuer } from "./issuer.ts";
import { localKeySource } from "./key-source.ts";
import type { RemoteKeysFetch } from "./remote-keys.ts";
import { remoteKeySource } from "./remote-keys.ts";
import type { ReplayStore } from "./replay-store.ts";
import type { ResourceMetadata } from "./resource-metadata.ts";
import { describeResource } from "./resource-metadata.ts";
import type { RevocationStore } from "./revocation.ts";
import type { TokenKeys } from "./token-keys.ts";
import type { TrustedIssuer } from "./token-verifier.ts";

/** Whom the gateway believes: `app({ gateway: { identity } })`. */
export interface IdentityOptions {
  /** Whose access tokens are taken, beside the app's own. */
  readonly issuers?: readonly IssuerDefinition[];
  /**
   * Whether the tokens that the app signs itself are taken. Default true; in production, beside others that are believed,
   * only when `PLINTH_TOKEN_KEY` is set or a service signs tokens.
   */
  readonly ownTokens?: boolean;
  /** Callers with an API key: kept, hashed, in the app's database. */
  readonly apiKeys?: ApiKeysDefinition;
  /** Tokens that are bound to a key of the client (RFC 9449), which proves each time that it has it. Default false: refused. */
  readonly dpop?: boolean | DpopOptions;
  /**
   * The address of the app as its clients know it, `https://api.example.com`. With it the gateway says at
   * `/.well-known/oauth-protected-resource` whose tokens it takes (RFC 9728). `PLINTH_URL` sets another one.
   */
  readonly url?: string;
}

/** What a declaration needs to become real. */
export interface IdentityParts {
  readonly realm: string;
  /** The app's own tokens, where it takes them: `iss` and `aud` are both this name. */
  readonly own: { readonly name: string; readonly keys: TokenKeys } | undefined;
  readonly fetchJson: FetchJson;
  /** Plain HTTP to this machine is good enough for an issuer. */
  readonly allowsLoopback: boolean;
  readonly clock: Clock;
  readonly revocations?: RevocationStore | undefined;
  /** Needed with `dpop`. */
  readonly replays?: ReplayStore | undefined;
  /** Needed with `apiKeys`. */
  readonly keyStore?: Pick<ApiKeyStore, "find"> | undefined;
  /** The scopes that the app's methods ask for, for the metadata. */
  readonly scopes?: readonly string[];
  /** Where the plan of a caller stands; API keys have theirs there, too. */
  readonly planClaim?: string | undefined;
  /** Told of each fetch of an issuer's keys. */
  readonly onFetch?: (issuer: string, outcome: RemoteKeysFetch) => void;
  /** Told why a token was refused. */
  readonly onRefused?: (why: string) => void;
}

export interface Identity {
  readonly authenticator: Authenticator;
  /** What `/.well-known/oauth-protected-resource` says; undefined where the app's address is not known. */
  readonly metadata: ResourceMetadata | undefined;
}

/** Makes a declaration real. Fetches nothing yet: an app starts without its issuers. Throws StartError IDENTITY_INVALID. */
export function createIdentity(options: IdentityOptions, parts: IdentityParts): Identity {
  const problems: string[] = [];
  const issuers = trustAll(options, parts, problems);
  const { apiKeys } = options;
  if (apiKeys) checkApiKeys(apiKeys, problems);
  const dpop = resolveDpop(options.dpop ?? false, problems);
  const metadata = describeResource(options, { ...parts, dpop }, problems);
  if (problems.length > 0) throw wrongIdentity("IDENTITY_INVALID", problems);
  const { clock, replays, keyStore, realm, revocations } = parts;
  const header = apiKeys && (apiKeys.header ?? apiKeyHeaderDefault);
  const challenge = createChallenge({
    realm,
    resourceMetadata: metadata?.url,
    dpopAlgorithms: dpop,
    apiKeyHeader: header,
  });
  const authenticator = createAuthenticator({
    issuers,
    challenge,
    clock,
    revocations,
    onRefused: parts.onRefused,
    proofs: dpop && replays && createProofCheck({ clock, replays, algorithms: dpop }),
    apiKeys:
      header !== undefined && keyStore
        ? {
            header,
            check: createApiKeyCheck({ store: keyStore, clock, prefix: apiKeys?.prefix, planClaim: parts.planClaim }),
          }
        : undefined,
  });
  return { authenticator, metadata };
}

function trustAll({ issuers = [] }: IdentityOptions, parts: IdentityParts, problems: string[]): TrustedIssuer[] {
  const trusted = parts.own ? [ownIssuer(parts.own, parts.clock)] : [];
  for (const definition of issuers) {
    const made = trust(definition, parts, problems);
    if (trusted.some(({ rules }) => rules.url === made.rules.url))
      problems.push(`gateway: identity: issuer ${JSON.stringify(definition.url)}: it stands twice; keep one.`);
    trusted.push(made);
  }
  return trusted;
}

function trust(definition: IssuerDefinition, parts: IdentityParts, problems: string[]): TrustedIssuer {
  const { clock, fetchJson, allowsLoopback, onFetch } = parts;
  const rules = resolveIssuer(definition, allowsLoopback, problems);
  if (definition.keys) return { rules, keys: localKeySource(definition.keys, rules.algorithms, clock) };
  const load = discoverKeys({ issuer: rules.url, jwksUrl: definition.jwksUrl, fetchJson, allowsLoopback });
  const keys = remoteKeySource({
    load,
    algorithms: rules.algorithms,
    clock,
    staleMs: rules.staleMs,
    onFetch: (outcome) => onFetch?.(rules.url, outcome),
  });
  return { rules, keys };
}

/** The app as its own issuer: what it signs, it believes. */
function ownIssuer(own: { readonly name: string; readonly keys: TokenKeys }, clock: Clock): TrustedIssuer {
  const { name, keys } = own;
  const rules = resolveIssuer({ url: name, audience: name, algorithms: ["ES256"], keys: keys.jwks }, false, []);
  return { rules: { ...rules, namesIssuer: false }, keys: ownKeySource(keys, clock) };
}

/** A token of our own always names its key. */
function ownKeySource(keys: TokenKeys, clock: Clock): TrustedIssuer["keys"] {
  const all = localKeySource(keys.jwks, ["ES256"], clock);
  return {
    onKeysGone: undefined,
    keyFor: async (header) => (header.kid === undefined ? undefined : all.keyFor(header)),
  };
}
