import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import type { Clock, Random } from "../base/index.ts";
import { StartError, systemRandom } from "../base/index.ts";
import type { Mount } from "../gateway/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { IdentityProvider, ProviderDefinition } from "../provider/index.ts";
import { createIdentityProvider, providerSchema } from "../provider/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import { keptSecret } from "./kept-secret.ts";
import { seedDevelopmentUser } from "./provider-user.ts";
import type { Settings } from "./settings.ts";
import type { Stores } from "./stores.ts";

/** The identity provider that an app declares for its gateway; undefined where it declares none, or another issuer takes its place. */
export function providerOf(
  definition: App,
  settings: Partial<Pick<Settings, "issuer">> = {},
): ProviderDefinition | undefined {
  return settings.issuer === undefined ? definition.gateway.identity?.provider : undefined;
}

export interface AppProviderParts {
  readonly definition: App;
  readonly settings: Settings;
  readonly stores: Pick<Stores, "databaseOf">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** The provider of a process that has the gateway. Throws StartError ISSUER_URL_MISSING, ISSUER_URL_INVALID, PROVIDER_SECRET_MISSING. */
export async function createAppProvider(parts: AppProviderParts): Promise<IdentityProvider | undefined> {
  const { definition, settings, stores, clock, random, log } = parts;
  const declared = providerOf(definition, settings);
  if (!declared) return undefined;
  return createIdentityProvider({
    definition: declared,
    issuer: issuerUrlOf(declared, settings, definition.gateway.tls !== undefined),
    audience: declared.audience ?? definition.name,
    title: definition.name.charAt(0).toUpperCase() + definition.name.slice(1),
    secrets: await providerSecretsOf(settings),
    database: stores.databaseOf(providerSchema),
    clock,
    random,
    log,
    addressOf: clientAddressOf,
    migrates: settings.migrateAtStart,
  });
}

/** What stands between a provider and its users: its tables, its keys and, in development, somebody to sign in as. */
export function providerComponent(provider: IdentityProvider, { settings, log, needs }: ComponentParts): Component {
  return {
    name: "identity provider",
    needs,
    async start() {
      await provider.start();
      if (settings.mode === "development") await seedDevelopmentUser(provider, { settings, log });
    },
    stop: () => provider.stop(),
  };
}

interface ComponentParts {
  readonly settings: Settings;
  readonly log: Logger;
  readonly needs: readonly string[];
}

/** Whoever comes to sign in has no token yet, and clients show their secrets as Basic: the provider looks after itself. */
export function providerMounts({ mounts }: IdentityProvider): readonly Mount[] {
  return mounts.map((mount) => ({ ...mount, access: "public", authorization: "own" }));
}

/** The gateway says there who asks, whatever the client had written. */
function clientAddressOf({ headers, socket }: IncomingMessage): string {
  const told = headers["x-forwarded-for"];
  return typeof told === "string" ? told : (socket.remoteAddress ?? "unknown");
}

/**
 * Tokens name the gateway's address. Where it may be any that is free, in development and in tests, one is chosen before
 * the gateway listens.
 */
export async function withKnownPort(definition: App, settings: Settings, listens: boolean): Promise<Settings> {
  const { mode, port, issuerUrl, publicUrl } = settings;
  const isKnown = port !== 0 || issuerUrl !== undefined || publicUrl !== undefined;
  if (isKnown || mode === "production" || !listens || !providerOf(definition, settings)) return settings;
  return { ...settings, port: await freePort(settings.host) };
}

/** One that was free a moment ago. */
async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Tokens name it, so it is the same for every process and every restart, and never taken from a request. */
function issuerUrlOf({ path }: ProviderDefinition, settings: Settings, declaresTls: boolean): string {
  const { publicUrl, mode, host, port } = settings;
  const issuerUrl = settings.issuerUrl ?? (publicUrl === undefined ? undefined : publicUrl.replace(/\/$/, "") + path);
  if (issuerUrl !== undefined) return checkIssuerUrl(issuerUrl, path, mode);
  // What stands in its certificate nobody can guess.
  const hasTls = declaresTls || settings.tlsCertificates !== undefined;
  if (mode === "production" || port === 0 || hasTls) {
    throw new StartError(
      "ISSUER_URL_MISSING",
      `PLINTH_ISSUER_URL: it is not set, so the identity provider does not know its own address; set it, or PLINTH_URL, to where browsers reach it, such as "https://shop.example.com${path}".`,
    );
  }
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}${path}`;
}

function checkIssuerUrl(text: string, path: string, mode: Settings["mode"]): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (!isPlain || !url.pathname.endsWith(path) || url.href !== text) {
    throw new StartError(
      "ISSUER_URL_INVALID",
      `PLINTH_ISSUER_URL: ${JSON.stringify(text)}: write the whole address in small letters with the provider's path, without anything behind it: "https://shop.example.com${path}".`,
    );
  }
  const isLoopback = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && (isLoopback || mode !== "production"))) return text;
  throw new StartError(
    "ISSUER_URL_INVALID",
    `PLINTH_ISSUER_URL: ${JSON.stringify(text)}: passwords go there, so it begins with https://.`,
  );
}

/** The first is used for what is new. Throws StartError PROVIDER_SECRET_MISSING, PROVIDER_SECRET_UNUSABLE. */
export async function providerSecretsOf(settings: SecretSettings): Promise<readonly string[]> {
  return (await providerSecretOf(settings)).split(/\s+/).filter((each) => each !== "");
}

type SecretSettings = Pick<Settings, "providerSecret" | "mode" | "dataFolder">;

async function providerSecretOf(settings: SecretSettings): Promise<string> {
  if (settings.providerSecret !== undefined) return settings.providerSecret;
  if (settings.mode === "production") {
    throw new StartError(
      "PROVIDER_SECRET_MISSING",
      "PLINTH_PROVIDER_SECRET: it is not set, so the identity provider can neither sign cookies nor keep keys; set it to the same value for all gateways (openssl rand -base64 32 makes one).",
    );
  }
  try {
    return await keptSecret(settings.dataFolder, "provider-secret", newSecret);
  } catch (cause) {
    throw new StartError(
      "PROVIDER_SECRET_UNUSABLE",
      `PLINTH_DATA: the identity provider's secret can be neither read nor made in ${settings.dataFolder} (${(cause as Error).message}); let this user write there, or set PLINTH_PROVIDER_SECRET.`,
      { cause },
    );
  }
}

function newSecret(): string {
  return Buffer.from(systemRandom.fill(new Uint8Array(32))).toString("base64url");
}
