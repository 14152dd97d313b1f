import type { Clock } from "../base/index.ts";
import type { Authenticator } from "./authenticator.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { FetchJson } from "./discovery.ts";
import { discoverKeys } from "./discovery.ts";
import { wrongIdentity } from "./errors.ts";
import type { IssuerDefinition } from "./issuer.ts";
import { resolveIssuer } from "./issuer.ts";
import { localKeySource } from "./key-source.ts";
import type { RemoteKeysFetch } from "./remote-keys.ts";
import { remoteKeySource } from "./remote-keys.ts";
import type { TokenKeys } from "./token-keys.ts";
import type { TrustedIssuer } from "./token-verifier.ts";

/** Whom the gateway believes: `app({ gateway: { identity } })`. */
export interface IdentityOptions {
  /** Whose access tokens are taken, beside the app's own. */
  readonly issuers?: readonly IssuerDefinition[];
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
  /** Told of each fetch of an issuer's keys. */
  readonly onFetch?: (issuer: string, outcome: RemoteKeysFetch) => void;
}

/** Makes a declaration real. Fetches nothing yet: an app starts without its issuers. Throws StartError IDENTITY_INVALID. */
export function createIdentity(options: IdentityOptions, parts: IdentityParts): Authenticator {
  const problems: string[] = [];
  const issuers = [...(parts.own ? [ownIssuer(parts.own)] : [])];
  for (const definition of options.issuers ?? []) {
    const made = trust(definition, parts, problems);
    if (issuers.some(({ rules }) => rules.url === made.rules.url))
      problems.push(`gateway: identity: issuer ${JSON.stringify(definition.url)}: it stands twice; keep one.`);
    issuers.push(made);
  }
  if (problems.length > 0) throw wrongIdentity("IDENTITY_INVALID", problems);
  return createAuthenticator({ issuers, realm: parts.realm, clock: parts.clock });
}

function trust(definition: IssuerDefinition, parts: IdentityParts, problems: string[]): TrustedIssuer {
  const { clock, fetchJson, allowsLoopback, onFetch } = parts;
  const rules = resolveIssuer(definition, allowsLoopback, problems);
  if (definition.keys) return { rules, keys: localKeySource(definition.keys, rules.algorithms) };
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
function ownIssuer({ name, keys }: { readonly name: string; readonly keys: TokenKeys }): TrustedIssuer {
  const rules = resolveIssuer({ url: name, audience: name, algorithms: ["ES256"], keys: keys.jwks }, false, []);
  return { rules: { ...rules, namesIssuer: false }, keys: ownKeySource(keys) };
}

/** A token of our own always names its key. */
function ownKeySource(keys: TokenKeys): TrustedIssuer["keys"] {
  const all = localKeySource(keys.jwks, ["ES256"]);
  return {
    onKeysGone: undefined,
    keyFor: async (header) => (header.kid === undefined ? undefined : all.keyFor(header)),
  };
}
