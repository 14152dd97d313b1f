import type { Database, PlannedStep } from "../database/index.ts";
import { inspectMigrations, migrate, planMigrations } from "../database/index.ts";
import { eventMigrationSet, eventMigrations, migrateEvents } from "../events/index.ts";
import type { DatabaseNeed, ServiceDefinition, ShardedDatabaseNeed } from "../service/index.ts";
import { migrateShards } from "../shards/index.ts";
import type { Stores } from "./stores.ts";

/** The tables of a service: those of its events, then its own, on every server that it has rows on. */

/** What is pending in one place. */
export interface PendingMigrations {
  /** `"orders"`; of a service that is spread over servers `"accounts@b"`. */
  readonly service: string;
  readonly names: readonly string[];
  /** Of its own steps: the locks they take, and what the lint found. */
  readonly steps: readonly PlannedStep[];
}

export function databaseNeedOf({ needs }: ServiceDefinition): DatabaseNeed | ShardedDatabaseNeed | undefined {
  return Object.values(needs).find((need) => need.kind === "database");
}

/** Changes nothing. Empty for a service without a database. */
export async function pendingOf(service: ServiceDefinition, stores: Stores): Promise<readonly PendingMigrations[]> {
  const need = databaseNeedOf(service);
  if (!need) return [];
  const pending: PendingMigrations[] = [];
  for (const [name, database] of placesOf(service, stores)) {
    const events = await planMigrations(database, eventMigrations, { set: eventMigrationSet, ahead: "allow" });
    const steps = await inspectMigrations(database, need.migrations ?? []);
    const names = [...events.map((step) => `events/${step.name}`), ...steps.map((step) => step.name)];
    pending.push({ service: name, names, steps });
  }
  return pending;
}

/** Applies what is pending. `lint: "refuse"`: nothing that would lock a large table or break the running version. */
export async function migrateService(
  service: ServiceDefinition,
  stores: Stores,
  lint: "refuse" | "off" = "off",
): Promise<void> {
  const need = databaseNeedOf(service);
  if (!need) return;
  const { name } = service.contract;
  const { migrations } = need;
  if (need.shardBy) {
    const shards = stores.shardsOf(name);
    const place = { directory: stores.directory(), shards, service: name, shardBy: need.shardBy };
    await migrateShards({ ...place, prepare: migrateEvents, lint, ...(migrations && { migrations }) });
    return;
  }
  await migrateEventTables(service, stores);
  if (migrations) await migrate(stores.databaseOf(name), migrations, { lint });
}

/** The tables of events alone, which are the platform's. */
export async function migrateEventTables(service: ServiceDefinition, stores: Stores): Promise<void> {
  if (!databaseNeedOf(service)) return;
  for (const [, database] of placesOf(service, stores)) await migrateEvents(database);
}

function placesOf(service: ServiceDefinition, stores: Stores): readonly (readonly [string, Database])[] {
  const { name } = service.contract;
  if (!databaseNeedOf(service)?.shardBy) return [[name, stores.databaseOf(name)]];
  return [...stores.shardsOf(name)].map(([shard, database]) => [`${name}@${shard}`, database]);
}
