import type { App, PendingMigrations, Stores } from "../app/index.ts";
import { migrateEventTables, migrateService, pendingOf } from "../app/index.ts";
import { systemClock, systemRandom } from "../base/index.ts";
import type { MigrateOptions, Migration } from "../database/index.ts";
import { migrate, planMigrations } from "../database/index.ts";
import { createDatabaseBroker } from "../events/index.ts";
import { identityMigrations, identitySchema } from "../identity/index.ts";
import { providerMigrationSet, providerMigrations, providerSchema } from "../provider/index.ts";
import type { ServiceDefinition } from "../service/index.ts";

/** Per service and server, in the order of the app; those that are up to date have no names. Changes nothing. */
export async function pendingMigrations(app: App, stores: Stores): Promise<readonly PendingMigrations[]> {
  const pending: PendingMigrations[] = [];
  for (const service of servicesOf(app)) pending.push(...(await pendingOf(service, stores)));
  pending.push(...(await pendingOfPlatform(app, stores)));
  return pending;
}

/** Brings every service up to date, and the broker's tables; answers what was pending before. */
export async function applyMigrations(
  app: App,
  stores: Stores,
  { lint }: Pick<MigrateOptions, "lint"> = {},
): Promise<readonly PendingMigrations[]> {
  const pending = await pendingMigrations(app, stores);
  for (const service of servicesOf(app)) await migrateService(service, stores, lint);
  if (hasEvents(app)) await openBroker(stores);
  for (const { schema, migrations, options } of platformTables(app)) {
    await migrate(stores.databaseOf(schema), migrations, options);
  }
  return pending;
}

/** What the gateway keeps in the app's database, beside the services. */
function platformTables({ gateway: { identity } }: App): readonly PlatformTables[] {
  const provider: PlatformTables = {
    name: "identity provider",
    schema: providerSchema,
    migrations: providerMigrations,
    options: { set: providerMigrationSet, ahead: "allow" },
  };
  const keys: PlatformTables = {
    name: "API keys",
    schema: identitySchema,
    migrations: identityMigrations,
    options: {},
  };
  return [...(identity?.provider ? [provider] : []), ...(identity?.apiKeys ? [keys] : [])];
}

interface PlatformTables {
  readonly name: string;
  readonly schema: string;
  readonly migrations: readonly Migration[];
  readonly options: Pick<MigrateOptions, "set" | "ahead">;
}

async function pendingOfPlatform(app: App, stores: Stores): Promise<readonly PendingMigrations[]> {
  const pending: PendingMigrations[] = [];
  for (const { name, schema, migrations, options } of platformTables(app)) {
    const steps = await planMigrations(stores.databaseOf(schema), migrations, options);
    pending.push({ service: name, names: steps.map((step) => step.name), steps: [] });
  }
  return pending;
}

/** The platform's own tables of events, for a command that works on them; the services' steps stay as they are. */
export async function prepareEventTables(app: App, stores: Stores): Promise<void> {
  for (const service of servicesOf(app)) await migrateEventTables(service, stores);
  await openBroker(stores);
}

async function openBroker(stores: Stores): Promise<void> {
  const database = stores.databaseOf("plinth_broker");
  const broker = createDatabaseBroker({ database, clock: systemClock, random: systemRandom });
  await broker.open();
  await broker.close();
}

function servicesOf(app: App): readonly ServiceDefinition[] {
  return app.services.filter((service): service is ServiceDefinition => service.kind === "service");
}

function hasEvents(app: App): boolean {
  return app.services.some(({ contract }) => Object.keys(contract.events).length > 0);
}
