import type { App, Stores } from "../app/index.ts";
import { systemClock, systemRandom } from "../base/index.ts";
import type { MigrateOptions, MigrationSource, PlannedStep } from "../database/index.ts";
import { inspectMigrations, migrate, planMigrations } from "../database/index.ts";
import { createDatabaseBroker, eventMigrationSet, eventMigrations, migrateEvents } from "../events/index.ts";

/** What is pending of one service: the tables of its events, then its own. */
export interface PendingMigrations {
  readonly service: string;
  readonly names: readonly string[];
  /** Of its own steps: the locks they take, and what the lint found. */
  readonly steps: readonly PlannedStep[];
}

interface Migrated {
  readonly service: string;
  readonly own: MigrationSource;
}

/** Per service, in the order of the app; those that are up to date have no names. Changes nothing. */
export async function pendingMigrations(app: App, stores: Stores): Promise<readonly PendingMigrations[]> {
  const pending: PendingMigrations[] = [];
  for (const { service, own } of migratedServices(app)) {
    const database = stores.databaseOf(service);
    const events = await planMigrations(database, eventMigrations, { set: eventMigrationSet, ahead: "allow" });
    const steps = await inspectMigrations(database, own);
    const names = [...events.map(({ name }) => `events/${name}`), ...steps.map(({ name }) => name)];
    pending.push({ service, names, steps });
  }
  return pending;
}

/** Brings every service up to date, and the broker's tables; answers what was pending before. */
export async function applyMigrations(
  app: App,
  stores: Stores,
  options: Pick<MigrateOptions, "lint"> = {},
): Promise<readonly PendingMigrations[]> {
  const pending = await pendingMigrations(app, stores);
  for (const { service, own } of migratedServices(app)) {
    const database = stores.databaseOf(service);
    await migrateEvents(database);
    await migrate(database, own, options);
  }
  if (app.services.some(({ contract }) => Object.keys(contract.events).length > 0)) {
    const database = stores.databaseOf("plinth_broker");
    const broker = createDatabaseBroker({ database, clock: systemClock, random: systemRandom });
    await broker.open();
    await broker.close();
  }
  return pending;
}

function migratedServices(app: App): readonly Migrated[] {
  return app.services.flatMap((service): Migrated[] => {
    if (service.kind !== "service") return [];
    const need = Object.values(service.needs).find((each) => each.kind === "database");
    return need ? [{ service: service.contract.name, own: need.migrations ?? [] }] : [];
  });
}
