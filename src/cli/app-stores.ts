import type { Model, Settings, Stores } from "../app/index.ts";
import { createStores } from "../app/index.ts";
import { StartError, systemClock, systemRandom } from "../base/index.ts";
import { createLogger } from "../telemetry/index.ts";
import type { Terminal } from "./terminal.ts";

/** The engines of an app, for a tool that works on them without running the app. Nothing is opened yet. */
export function createAppStores(model: Model, settings: Settings, terminal: Terminal): Promise<Stores> {
  const needs = (kind: string) => model.services.some((service) => service.needs.some((need) => need.kind === kind));
  return createStores({
    settings,
    needsDatabase: needs("database") || model.identity.provider,
    needsShards: model.services.some(({ needs }) => needs.some(({ shardBy }) => shardBy !== null)),
    needsCache: needs("cache"),
    applicationName: `${model.name}/cli`,
    clock: systemClock,
    random: systemRandom,
    log: createLogger({ level: "warn", service: `${model.name}/cli`, destination: terminal.err }),
  });
}

/** Runs with the app's database open, and closes it whatever happens. StartError DATABASE_ABSENT for an app without one. */
export async function withDatabase<R>(
  model: Model,
  settings: Settings,
  terminal: Terminal,
  run: (stores: Stores) => Promise<R>,
  /** "main": whoever runs opens the others, and bears that one is away. */
  shards: "all" | "main" = "all",
): Promise<R> {
  const stores = await createAppStores(model, settings, terminal);
  const { database } = stores;
  if (!database) {
    throw new StartError(
      "DATABASE_ABSENT",
      `No service of "${model.name}" has a database; give one to a service with needs: { db: database() }.`,
    );
  }
  // The first of the shards is this one.
  const drivers = stores.shards.size > 0 && shards === "all" ? [...stores.shards.values()] : [database];
  try {
    for (const driver of drivers) await driver.open();
    return await run(stores);
  } finally {
    for (const driver of drivers) await driver.close();
  }
}

/** Several processes need a database that several processes can open. */
export async function requireSharedDatabase(
  what: string,
  model: Model,
  settings: Settings,
  terminal: Terminal,
): Promise<void> {
  const { database, cache } = await createAppStores(model, settings, terminal);
  if (database && !database.flags.multipleProcesses) {
    throw new StartError(
      "DATABASE_EMBEDDED",
      `${what}: "${model.name}" would run in several processes, and ${database.name}, the embedded database, lives in one; set DATABASE_URL=postgres://user:password@host:5432/name`,
    );
  }
  if (cache && settings.cacheUrl === undefined) {
    terminal.err.write(
      `${terminal.err.style("yellow", "note:")} each process has a cache of its own, and does not hear what another invalidates; set CACHE_URL=redis://host:6379 to share one\n`,
    );
  }
}
