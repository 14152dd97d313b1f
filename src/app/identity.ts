import type { Clock, Random } from "../base/index.ts";
import type { Page } from "../gateway/index.ts";
import { createHttpFetcher } from "../http/index.ts";
import type {
  ApiKeyStore,
  Authenticator,
  IdentityOptions,
  ReplayStore,
  RevocationStore,
  TokenIssuer,
  TokenKeys,
} from "../identity/index.ts";
import {
  createApiKeyStore,
  createIdentity,
  createSharedEngine,
  createTokenIssuer,
  createTokenKeys,
  identitySchema,
  memoryReplayStore,
  memoryRevocationStore,
  migrateIdentity,
  sharedReplayStore,
  sharedRevocationStore,
} from "../identity/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { IdentityProvider } from "../provider/index.ts";
import type { ServiceDefinition } from "../service/index.ts";
import { scopesOf } from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import { resolveIssuers } from "./identity-issuers.ts";
import { providerOf } from "./provider.ts";
import { withProviderRevocations } from "./provider-revocation.ts";
import type { Settings } from "./settings.ts";
import type { Stores } from "./stores.ts";
import { tokenSecretOf } from "./token-key.ts";

/** What a process has to do with identity: what it signs with, what it believes, and what it keeps of both. */
export interface ProcessTrust {
  /** The app's own key, where this process signs with it or checks with it. */
  readonly keys: TokenKeys | undefined;
  readonly tokens: TokenIssuer | undefined;
  readonly revocations: RevocationStore;
  readonly replays: ReplayStore;
  readonly keyStore: ApiKeyStore | undefined;
}

export interface TrustParts {
  readonly checked: CheckedApp;
  readonly services: readonly ServiceDefinition[];
  readonly members: ReadonlySet<string>;
  readonly settings: Settings;
  readonly stores: Pick<Stores, "cache" | "databaseOf">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

type Place = Pick<TrustParts, "checked" | "services" | "members" | "settings">;

/** Which engines identity needs in a process, beside those that its services name. */
export function identityStoresOf(place: Place): { readonly database: boolean; readonly cache: boolean } {
  const { checked, members, settings } = place;
  const keeps = checked.app.gateway.identity?.apiKeys !== undefined || providerOf(checked.app, settings) !== undefined;
  const checks = members.has("gateway") && asksForTokens(checked);
  return {
    database: members.has("gateway") && keeps,
    // What must be known to all processes is kept where they all look; one process alone remembers it itself.
    cache: settings.cacheUrl !== undefined && (checks || signsTokens(place)),
  };
}

export async function createProcessTrust(parts: TrustParts): Promise<ProcessTrust> {
  const { checked, members, stores, clock, random, log } = parts;
  const { cache } = stores;
  const { apiKeys } = checked.app.gateway.identity ?? {};
  const onError = (thrown: unknown): void => log.warn({ err: thrown }, "the cache failed; identity goes on without it");
  const engine = cache?.flags.shared ? createSharedEngine({ driver: cache, clock, onError }) : undefined;
  const revocations = engine ? sharedRevocationStore(engine, clock) : memoryRevocationStore(clock);
  const keys = await ownKeysFor(parts);
  // Taken back where nobody checks tokens, and told to nobody, it would not be taken back.
  const isHeard = engine !== undefined || members.has("gateway");
  return {
    keys,
    revocations,
    tokens:
      keys &&
      createTokenIssuer({
        keys,
        issuer: checked.app.name,
        audience: checked.app.name,
        clock,
        random,
        revocations: isHeard ? revocations : undefined,
      }),
    replays: engine ? sharedReplayStore(engine, clock) : memoryReplayStore(clock),
    keyStore:
      apiKeys && members.has("gateway")
        ? createApiKeyStore({ database: stores.databaseOf(identitySchema), clock, random, prefix: apiKeys.prefix })
        : undefined,
  };
}

/** Makes the tables of API keys. Undefined where there are none. */
export function identityComponent(
  { keyStore }: ProcessTrust,
  { stores, settings, needs }: Pick<TrustParts, "stores" | "settings"> & { readonly needs: readonly string[] },
): Component | undefined {
  if (!keyStore || !settings.migrateAtStart) return undefined;
  return { name: "identity", needs, start: () => migrateIdentity(stores.databaseOf(identitySchema)) };
}

export interface EdgeIdentity {
  /** Undefined where every route is public and nobody is declared to be believed. */
  readonly authenticator: Authenticator | undefined;
  readonly pages: readonly Page[];
}

export interface EdgeIdentityParts {
  readonly definition: App;
  readonly checked: CheckedApp;
  readonly settings: Settings;
  readonly trust: ProcessTrust;
  /** The app's own identity provider. */
  readonly provider: IdentityProvider | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Whom the gateway of this process believes: what the app declares, at the addresses that the settings give. */
export function createEdgeIdentity(parts: EdgeIdentityParts): EdgeIdentity {
  const { definition, checked, settings, trust, provider, clock, log } = parts;
  const declared = definition.gateway.identity ?? {};
  const url = settings.publicUrl ?? declared.url;
  const options: IdentityOptions = {
    ...declared,
    issuers: resolveIssuers({ definition, settings, provider }),
    ...(url !== undefined && { url }),
  };
  const { keys } = trust;
  const own = keys && declared.ownTokens !== false ? { name: definition.name, keys } : undefined;
  if (!own && options.issuers?.length === 0 && !options.apiKeys) return { authenticator: undefined, pages: [] };
  const fetcher = createHttpFetcher({ clock, egress: { allow: hostsOf(options) } });
  const { authenticator, metadata } = createIdentity(options, {
    realm: definition.name,
    own,
    fetchJson: fetcher.getJson,
    allowsLoopback: settings.mode !== "production",
    clock,
    revocations: provider ? withProviderRevocations(trust.revocations, provider) : trust.revocations,
    replays: trust.replays,
    keyStore: trust.keyStore,
    planClaim: definition.gateway.planOf?.claim,
    scopes: [...new Set(checked.served.flatMap(({ access }) => scopesOf(access)))].sort(),
    onFetch(issuer, { keyCount, refused, error }) {
      if (error !== undefined) log.warn({ issuer, err: error }, "the keys of an issuer could not be fetched");
      else log.debug({ issuer, keyCount, refused }, "the keys of an issuer were fetched");
    },
    // Who sets up an issuer wants to know; in production anybody could fill the log with it.
    onRefused: (why) => log[settings.mode === "development" ? "info" : "debug"]({ why }, "a token was refused"),
  });
  const page = metadata && {
    path: metadata.path,
    contentType: "application/json",
    body: JSON.stringify(metadata.document),
    // Public, and the same for everybody: also for a page of another origin that looks for whom to ask.
    headers: { "access-control-allow-origin": "*", "cache-control": "public, max-age=3600" },
  };
  return { authenticator, pages: page ? [page] : [] };
}

/** Who declares an issuer means its host, wherever that is; what its metadata names beyond must be public. */
function hostsOf({ issuers = [] }: IdentityOptions): string[] {
  return issuers.flatMap(({ url, jwksUrl, keys }) =>
    keys ? [] : [url, jwksUrl ?? url].filter((each) => URL.canParse(each)).map((each) => new URL(each).hostname),
  );
}

function signsTokens({ services }: Pick<Place, "services">): boolean {
  return services.some(({ needs }) => Object.values(needs).some((need) => need.kind === "tokens"));
}

function asksForTokens({ app, served }: CheckedApp): boolean {
  return (
    served.some((operation) => operation.access !== "public") ||
    [...(app.gateway.mounts ?? []), ...(app.gateway.routes ?? [])].some(
      ({ access = "authenticated" }) => access !== "public",
    )
  );
}

/** The app's own key, where this process signs tokens or has a route that asks for one. */
async function ownKeysFor(place: Place): Promise<TokenKeys | undefined> {
  const { checked, members, settings } = place;
  const checks = members.has("gateway") && asksForTokens(checked) && takesOwnTokens(checked.app, settings);
  if (!checks && !signsTokens(place)) return undefined;
  return createTokenKeys({ secret: await tokenSecretOf(settings) });
}

/** An app that believes somebody else needs no key of its own in production; one that is set is used. */
function takesOwnTokens({ gateway: { identity = {} } }: App, settings: Settings): boolean {
  if (identity.ownTokens === false) return false;
  const { issuers = [], provider, apiKeys } = identity;
  const believes = issuers.length > 0 || provider !== undefined || apiKeys !== undefined;
  return !(believes || settings.issuer) || settings.tokenKey !== undefined || settings.mode !== "production";
}
