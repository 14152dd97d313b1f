import type { Database, DatabaseDriver, Migration } from "../../src/database/index.ts";
import { createDatabase } from "../../src/database/index.ts";
import postgres from "../../src/engines/postgres/index.ts";
import type { Broker, EventType } from "../../src/events/index.ts";
import { createDatabaseBroker, migrateEvents } from "../../src/events/index.ts";
import type { ShardedDatabase, ShardedDatabaseOptions } from "../../src/shards/index.ts";
import { createShardedDatabase, migrateShards } from "../../src/shards/index.ts";

/** A service with accounts by key: each write makes a new version of an account, an entry with its number, and an event. */
const migrations: readonly Migration[] = [
  {
    name: "0001-bank",
    sql: `
      create table accounts (id text primary key, version int not null default 0);
      create table entries (
        account text not null references accounts (id), id text not null, version int not null, primary key (account, id)
      );
      create table notes (account text not null, n int not null, body text not null, primary key (account, n));`,
  },
];

export const shardBy = { accounts: "id", entries: "account", notes: "account" } as const;

/** Where a bank is, as a process is told. */
export interface BankAddress {
  /** Also the name of the service. */
  readonly schema: string;
  /** Of the directory, the broker, and the service that listens. */
  readonly hub: string;
  /** By the name of the shard. */
  readonly shards: Readonly<Record<string, string>>;
  /** Connections of each process to each shard. Default 6. */
  readonly poolSize?: number;
}

/** A bank as one process sees it. */
export interface Bank {
  readonly name: string;
  readonly directory: Database;
  /** The service's database on each shard, past the router. */
  readonly databases: ReadonlyMap<string, Database>;
  /** The schema of the service that listens to the bank's events. */
  readonly reader: Database;
  router(options?: Partial<ShardedDatabaseOptions>): ShardedDatabase;
  /** A broker in the hub, not yet opened. */
  broker(): Broker;
  close(): Promise<void>;
}

export async function openBank({ schema, hub, shards, poolSize = 6 }: BankAddress): Promise<Bank> {
  const drivers = new Map<string, DatabaseDriver>();
  const open = async (address: string): Promise<DatabaseDriver> => {
    const url = new URL(address);
    url.searchParams.set("pool_size", String(poolSize));
    const driver = postgres.ports.database?.(url);
    if (!driver) throw new Error("the engine has no database");
    await driver.open();
    return driver;
  };
  for (const [name, url] of Object.entries(shards)) drivers.set(name, await open(url));
  const middle = await open(hub);
  const directory = createDatabase({ driver: middle, schema: `${schema}_directory` });
  return {
    name: schema,
    directory,
    databases: new Map([...drivers].map(([name, driver]) => [name, createDatabase({ driver, schema })])),
    reader: createDatabase({ driver: middle, schema: `${schema}_reader` }),
    router: (options) =>
      createShardedDatabase({ schema, service: schema, directory, shards: drivers, shardBy, ...options }),
    broker: () => createDatabaseBroker({ database: createDatabase({ driver: middle, schema: `${schema}_broker` }) }),
    async close() {
      for (const driver of [...drivers.values(), middle]) await driver.close();
    },
  };
}

/** Makes what the bank needs on all shards that this process knows; those that are there already stay as they are. */
export async function prepareBank({ name, directory, databases, reader }: Bank): Promise<void> {
  await migrateShards({
    directory,
    shards: databases,
    service: name,
    shardBy,
    migrations,
    spread: true,
    prepare: migrateEvents,
  });
  await migrateEvents(reader);
  await reader.sql`
    create table if not exists effects (
      id bigint generated always as identity primary key, key text not null, sequence int not null, version int not null
    )`;
}

export interface Written {
  readonly account: string;
  readonly version: number;
}

export function writtenBy(service: string): EventType<Written> {
  return {
    name: `${service}.Written`,
    service,
    payload: {
      native: true,
      parse: (value) => value as Written,
      stringify: (value) => JSON.stringify(value),
    },
    keyOf: ({ account }: Written) => account,
  };
}
