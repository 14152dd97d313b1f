import type { App, Settings } from "../app/index.ts";
import { createStores, readProcessSettings } from "../app/index.ts";
import { systemClock, systemRandom } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { createLogger } from "../telemetry/index.ts";
import { environmentOf } from "./environment.ts";
import type { Terminal } from "./terminal.ts";

/** Runs with one of the platform's own schemas in the app's database, and closes that whatever happens. */
export async function withOwnDatabase(
  app: App,
  terminal: Terminal,
  schema: string,
  run: (own: Database, settings: Settings) => Promise<void>,
): Promise<void> {
  const settings = readProcessSettings(environmentOf(terminal));
  const { database, databaseOf } = await createStores({
    settings,
    needsDatabase: true,
    needsShards: false,
    needsCache: false,
    applicationName: `${app.name}/cli`,
    clock: systemClock,
    random: systemRandom,
    log: createLogger({ level: "warn", service: `${app.name}/cli`, destination: terminal.err }),
  });
  await database?.open();
  try {
    await run(databaseOf(schema), settings);
  } finally {
    await database?.close();
  }
}
