import type { Clock } from "../base/index.ts";
import { createHttpFetcher } from "../http/index.ts";
import type { Authenticator, IdentityOptions, TokenKeys } from "../identity/index.ts";
import { createIdentity, createTokenKeys, issuer } from "../identity/index.ts";
import type { IdentityProvider } from "../provider/index.ts";
import type { ServiceDefinition } from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import type { Settings } from "./settings.ts";
import { tokenSecretOf } from "./token-key.ts";

/** Whom the gateway of this process believes: what the app declares, at the addresses that the settings give. */
export interface ProcessIdentity {
  readonly definition: App;
  readonly settings: Settings;
  /** The app's own key, where this process has it. */
  readonly keys: TokenKeys | undefined;
  /** The app's own identity provider. */
  readonly provider: IdentityProvider | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Undefined where every route is public and nobody is declared to be believed. */
export function createProcessIdentity(process: ProcessIdentity): Authenticator | undefined {
  const { definition, settings, keys, provider, clock, log } = process;
  const { issuers: others = [], ...rest } = definition.gateway.identity ?? {};
  const issuers = [...others, ...(provider ? [ownProvider(provider)] : [])];
  const declared = { ...rest, issuers };
  if (!keys && issuers.length === 0) return undefined;
  const fetcher = createHttpFetcher({ clock, egress: { allow: hostsOf(declared) } });
  return createIdentity(declared, {
    realm: definition.name,
    own: keys && { name: definition.name, keys },
    fetchJson: fetcher.getJson,
    allowsLoopback: settings.mode !== "production",
    clock,
    onFetch(issuer, { keyCount, refused, error }) {
      if (error !== undefined) log.warn({ issuer, err: error }, "the keys of an issuer could not be fetched");
      else log.debug({ issuer, keyCount, refused }, "the keys of an issuer were fetched");
    },
  });
}

/** In this process: its keys are asked for, not fetched. */
function ownProvider({ issuer: url, audience, jwks }: IdentityProvider) {
  return issuer({ url, audience, algorithms: ["ES256"], keys: jwks });
}

/** Who declares an issuer means its host, wherever that is; what its metadata names beyond must be public. */
function hostsOf({ issuers = [] }: IdentityOptions): string[] {
  return issuers.flatMap(({ url, jwksUrl, keys }) =>
    keys ? [] : [url, jwksUrl ?? url].filter((each) => URL.canParse(each)).map((each) => new URL(each).hostname),
  );
}

/** The app signs its own tokens, for itself. */
export function ownNameOf({ name }: App): { readonly issuer: string; readonly audience: string } {
  return { issuer: name, audience: name };
}

/** The app's own key, where this process signs tokens or has a route that asks for one. */
export async function ownKeysFor(
  { app, served }: CheckedApp,
  services: readonly ServiceDefinition[],
  members: ReadonlySet<string>,
  settings: Settings,
): Promise<TokenKeys | undefined> {
  const signs = services.some(({ needs }) => Object.values(needs).some((need) => need.kind === "tokens"));
  const asks =
    served.some((operation) => operation.access !== "public") ||
    (app.gateway.mounts ?? []).some((mount) => (mount.access ?? "authenticated") !== "public");
  if (!signs && !(members.has("gateway") && asks && takesOwnTokens(app, settings))) return undefined;
  return createTokenKeys({ secret: await tokenSecretOf(settings) });
}

/** An app that believes somebody else needs no key of its own in production; one that is set is used. */
function takesOwnTokens({ gateway: { identity } }: App, { tokenKey, mode }: Settings): boolean {
  const believes = (identity?.issuers ?? []).length > 0 || identity?.provider !== undefined;
  return !believes || tokenKey !== undefined || mode !== "production";
}
