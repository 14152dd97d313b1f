import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { App, Model, Settings, Stores } from "../app/index.ts";
import { buildModel, createRuntime, describeProcessSettings, readProcessSettings } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import { generateTokenSecret } from "../identity/index.ts";
import { loadAppOf } from "./app-model.ts";
import { createAppStores } from "./app-stores.ts";
import { environmentOf } from "./environment.ts";
import { pendingMigrations } from "./migrations.ts";
import { refusalOfPort } from "./ports.ts";
import { straySettings, tellStray } from "./stray-settings.ts";
import type { Terminal } from "./terminal.ts";

/** What `plinth doctor` found. Never the value of a secret. */
export interface Report {
  readonly findings: readonly Finding[];
  readonly settings: readonly SettingReport[];
}

export interface Finding {
  readonly what: string;
  readonly level: "ok" | "warn" | "fail";
  readonly text: string;
}

export interface SettingReport {
  readonly variable: string;
  /** As text; "set" for a secret; null when nothing is set and nothing holds by default. */
  readonly value: string | null;
  readonly isSet: boolean;
  readonly description: string;
}

const nodeMin = [20, 19] as const;

/** Looks at everything, from what stands on nothing to what stands on it; what cannot be looked at is left out. */
export async function examine(appFile: string | undefined, terminal: Terminal): Promise<Report> {
  const findings: Finding[] = [nodeFinding(process.versions.node)];
  const environment = await attempt("settings", findings, async () => environmentOf(terminal));
  const settings = environment && (await attempt("settings", findings, async () => readProcessSettings(environment)));
  const app = await attempt("app", findings, () => loadAppOf(terminal, appFile));
  const model = app && (await attempt("app", findings, async () => buildModel(app)));
  if (model) findings.push({ what: "app", level: "ok", text: `${model.name} ${model.version}, ${countOf(model)}` });
  if (environment) {
    const stray = straySettings(environment, app).map((each) => tellStray(each));
    findings.push(...stray.map((text): Finding => ({ what: "settings", level: "warn", text })));
  }
  if (settings) findings.push(...(await portFindings(settings, model)));
  if (app && model && settings && environment) {
    findings.push(...(await startFindings(app, environment)));
    findings.push(...(await storeFindings(app, model, settings, terminal)));
  }
  return { findings, settings: environment ? settingReports(environment) : [] };
}

/** Runs `look`; what it throws is a finding, and each problem of a StartError one of its own. */
async function attempt<R>(what: string, findings: Finding[], look: () => Promise<R>): Promise<R | undefined> {
  try {
    return await look();
  } catch (thrown) {
    findings.push(...problemsOf(thrown).map((text): Finding => ({ what, level: "fail", text })));
    return undefined;
  }
}

function problemsOf(thrown: unknown): readonly string[] {
  if (thrown instanceof StartError) return thrown.problems;
  return [thrown instanceof Error ? thrown.message : String(thrown)];
}

export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isGood = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
  return isGood
    ? { what: "Node", level: "ok", text: version }
    : { what: "Node", level: "fail", text: `${version} is too old; install Node ${nodeMin.join(".")} or later.` };
}

function countOf({ services }: Model): string {
  const methods = services.reduce((sum, service) => sum + service.methods.length, 0);
  return `${services.length} ${services.length === 1 ? "service" : "services"} with ${methods} methods`;
}

/** What a start would refuse before it opens anything: secrets, keys, engines. */
async function startFindings(app: App, environment: Environment): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  // A key of the moment: without one, development would write one into the data folder.
  const { mode, tokenKey } = readProcessSettings(environment);
  const settings = mode === "production" || tokenKey !== undefined ? {} : { tokenKey: generateTokenSecret() };
  await attempt("start", findings, () =>
    createRuntime(app, { environment, settings, listen: false, management: false }),
  );
  return findings;
}

async function portFindings(settings: Settings, model: Model | undefined): Promise<readonly Finding[]> {
  const { host, port, managementHost, managementPort, rpcHost, rpcPort } = settings;
  const ports = [
    { variable: "PORT", host, port },
    { variable: "PLINTH_MANAGEMENT_PORT", host: managementHost, port: managementPort },
    ...((model?.groups.length ?? 1) > 1 ? [{ variable: "PLINTH_RPC_PORT", host: rpcHost, port: rpcPort }] : []),
  ];
  return Promise.all(
    ports.map(async ({ variable, host: at, port: number }): Promise<Finding> => {
      const refusal = number === 0 ? undefined : await refusalOfPort(at, number);
      const place = `${variable}: ${number} on ${at}`;
      if (refusal === undefined) return { what: "port", level: "ok", text: `${place} is free` };
      if (refusal === "EADDRINUSE") {
        return {
          what: "port",
          level: "warn",
          text: `${place} is in use; if not by this app, set ${variable} to another.`,
        };
      }
      return {
        what: "port",
        level: "fail",
        text: `${place} cannot be listened on (${refusal}); set another port or host.`,
      };
    }),
  );
}

async function storeFindings(
  app: App,
  model: Model,
  settings: Settings,
  terminal: Terminal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const stores = await attempt("engines", findings, () => createAppStores(model, settings, terminal));
  if (stores?.cache) findings.push(await cacheFinding(stores.cache, settings));
  if (stores?.database) findings.push(...(await databaseFindings(app, stores, settings, terminal)));
  return findings;
}

async function cacheFinding(cache: NonNullable<Stores["cache"]>, settings: Settings): Promise<Finding> {
  if (settings.cacheUrl === undefined) {
    return { what: "cache", level: "ok", text: "in the memory of each process (CACHE_URL is not set)" };
  }
  try {
    await cache.open();
    await cache.close();
    return { what: "cache", level: "ok", text: "CACHE_URL answers" };
  } catch (thrown) {
    return { what: "cache", level: "fail", text: `CACHE_URL: ${problemsOf(thrown).join(" ")}` };
  }
}

async function databaseFindings(
  app: App,
  stores: Stores,
  settings: Settings,
  { cwd }: Terminal,
): Promise<readonly Finding[]> {
  const { database } = stores;
  if (!database) return [];
  const folder = resolve(cwd, join(settings.dataFolder, "database"));
  const isEmbedded = settings.databaseUrl === undefined;
  const level = isEmbedded && settings.mode === "production" ? "warn" : "ok";
  const caution = level === "warn" ? "; it does not survive a loss of power: set DATABASE_URL to a Postgres" : "";
  if (isEmbedded && !existsSync(folder)) {
    return [
      { what: "database", level, text: `embedded; the first start makes it in ${settings.dataFolder}${caution}` },
    ];
  }
  try {
    await database.open();
  } catch (thrown) {
    // The one process that may have it open is most likely this very app.
    const isOpen = thrown instanceof StartError && thrown.reason === "DATA_DIRECTORY_IN_USE";
    return [{ what: "database", level: isOpen ? "warn" : "fail", text: problemsOf(thrown).join(" ") }];
  }
  const where = isEmbedded ? `embedded, in ${settings.dataFolder}${caution}` : `${database.name} answers`;
  try {
    return [{ what: "database", level, text: where }, await migrationFinding(app, stores, settings)];
  } finally {
    await database.close();
  }
}

async function migrationFinding(app: App, stores: Stores, settings: Settings): Promise<Finding> {
  const what = "migrations";
  try {
    const pending = (await pendingMigrations(app, stores)).flatMap(({ service, names }) =>
      names.map((name) => `${service} ${name}`),
    );
    if (pending.length === 0) return { what, level: "ok", text: "every service is up to date" };
    const text = `${pending.length} pending: ${pending.join(", ")}`;
    return settings.migrateAtStart
      ? { what, level: "warn", text: `${text}; starting the app applies them, or plinth migrate.` }
      : { what, level: "fail", text: `${text}; run plinth migrate.` };
  } catch (thrown) {
    return { what, level: "fail", text: problemsOf(thrown).join(" ") };
  }
}

function settingReports(environment: Environment): readonly SettingReport[] {
  return describeProcessSettings().map(({ variable, secret, default: fallback, description }) => {
    const given = environment[variable];
    const isSet = given !== undefined && given !== "";
    return { variable, isSet, value: isSet ? (secret ? "set" : given) : fallback, description };
  });
}
