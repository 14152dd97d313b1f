import type { App, Stores } from "../app/index.ts";
import { buildModel, readProcessSettings } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { Database, DatabaseDriver, MigrationSource } from "../database/index.ts";
import type { ShardBy } from "../shards/index.ts";
import { withDatabase } from "./app-stores.ts";
import { environmentOf } from "./environment.ts";
import type { Terminal } from "./terminal.ts";

/** A sharded service of an app, and where its shards are, for a tool that works on them without running the app. */
export interface ShardedService {
  readonly service: string;
  readonly shardBy: ShardBy;
  readonly migrations: MigrationSource | undefined;
  readonly directory: Database;
  /** The service's database on each shard that is open. */
  readonly shards: ReadonlyMap<string, Database>;
  /** Shards that could not be opened, and why. */
  readonly unreachable: ReadonlyMap<string, string>;
  /** What becomes of migrations that would lock a large table or break the running version. */
  readonly lint: "refuse" | "off";
}

/** Runs with the directory and all shards open, and closes them whatever happens. */
export async function withShards<R>(
  app: App,
  terminal: Terminal,
  only: string | undefined,
  run: (services: readonly ShardedService[]) => Promise<R>,
): Promise<R> {
  const declared = shardedServices(app, only);
  const settings = readProcessSettings(environmentOf(terminal));
  const lint = settings.mode === "production" ? "refuse" : "off";
  return withDatabase(
    buildModel(app),
    settings,
    terminal,
    async (stores) => {
      const others = [...stores.shards].filter(([, driver]) => driver !== stores.database);
      const unreachable = await openAll(others);
      try {
        return await run(declared.map((each) => ({ ...each, lint, ...placesOf(each.service, stores, unreachable) })));
      } finally {
        for (const [, driver] of others) await driver.close();
      }
    },
    "main",
  );
}

type Declared = Pick<ShardedService, "service" | "shardBy" | "migrations">;

function shardedServices(app: App, only: string | undefined): readonly Declared[] {
  const found = app.services.flatMap((each): Declared[] => {
    if (each.kind !== "service" || (only !== undefined && each.contract.name !== only)) return [];
    const need = Object.values(each.needs).find((one) => one.kind === "database");
    if (!need?.shardBy) return [];
    return [{ service: each.contract.name, shardBy: need.shardBy, migrations: need.migrations }];
  });
  if (found.length > 0) return found;
  const who = only === undefined ? `no service of "${app.name}" is` : `--service ${only}: that is no service which is`;
  throw new StartError(
    "SHARDS_ABSENT",
    `${who} sharded; say by which columns: needs: { db: database({ migrations, shardBy: { accounts: "id" } }) }.`,
  );
}

/** Why some could not be opened, by name. */
async function openAll(drivers: readonly (readonly [string, DatabaseDriver])[]): Promise<ReadonlyMap<string, string>> {
  const failed = new Map<string, string>();
  await Promise.all(
    drivers.map(async ([name, driver]) => {
      try {
        await driver.open();
      } catch (thrown) {
        failed.set(name, thrown instanceof Error ? thrown.message : String(thrown));
      }
    }),
  );
  return failed;
}

function placesOf(
  service: string,
  stores: Stores,
  unreachable: ReadonlyMap<string, string>,
): Pick<ShardedService, "directory" | "shards" | "unreachable"> {
  const shards = new Map([...stores.shardsOf(service)].filter(([name]) => !unreachable.has(name)));
  return { directory: stores.directory(), shards, unreachable };
}
