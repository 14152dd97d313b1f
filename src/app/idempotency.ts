import type { Clock, Random } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { CrashPoint, IdempotencyStore } from "../events/index.ts";
import { createIdempotencyStore, createIdempotencySweeper } from "../events/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { Keeper, Operation, ServiceDefinition } from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { Databases } from "./databases.ts";

/** Where the services of a process remember their answers to calls with an idempotency key, and what forgets them. */

/** The keeper of a service; its need for a database has been checked. */
export function createKeeper(service: ServiceDefinition, databases: Databases, crashPoint: CrashPoint): Keeper {
  const { name } = service.contract;
  const shardBy = Object.values(service.needs).find((need) => need.kind === "database")?.shardBy;
  if (shardBy) {
    const sharded = databases.shardedOf(name, shardBy);
    return {
      isSharded: true,
      crashPoint,
      at(shardKey) {
        const database = sharded.at(shardKey ?? "");
        return { database, store: (keep) => createIdempotencyStore(database, { keep }) };
      },
    };
  }
  const database = databases.databaseOf(name);
  const storeOf = new Map<number, IdempotencyStore>();
  const place = {
    database,
    store(keep: number) {
      const store = storeOf.get(keep) ?? createIdempotencyStore(database, { keep });
      storeOf.set(keep, store);
      return store;
    },
  };
  return { isSharded: false, crashPoint, at: () => place };
}

/** For a test that gives a service a database of its own making: effects happen in it, and nothing is remembered. */
export function createForgetfulKeeper(double: unknown): Keeper {
  const { at } = double as { readonly at?: (shardKey: string) => Database };
  const forgetful: IdempotencyStore = {
    claim: async (entry) => ({ state: "new", claim: { entry, token: "" } }),
    finish: async () => {},
    fail: async () => {},
    release: async () => {},
    deleteExpired: async () => 0,
  };
  return {
    isSharded: at !== undefined,
    crashPoint: () => {},
    at(shardKey) {
      const database = at ? at(shardKey ?? "") : (double as Database);
      return { database: { ...database, bind: () => database }, store: () => forgetful };
    },
  };
}

export interface SweepingParts {
  readonly services: readonly ServiceDefinition[];
  readonly operations: ReadonlyMap<string, ReadonlyMap<string, Operation>>;
  readonly databases: Databases;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Deletes keys that have expired, in each database of each service that takes keys; undefined where none does. */
export function keySweepComponent(parts: SweepingParts): Component | undefined {
  const { services, databases, clock, random, log } = parts;
  const sweepers = services
    .filter(({ contract }) => takesKeys(parts.operations.get(contract.name)))
    .flatMap((service) =>
      placesOf(service, databases).map((database) =>
        createIdempotencySweeper({
          store: createIdempotencyStore(database),
          service: service.contract.name,
          clock,
          random,
          log,
        }),
      ),
    );
  if (sweepers.length === 0) return undefined;
  return {
    name: "idempotency keys",
    needs: ["migrations"],
    start() {
      for (const sweeper of sweepers) sweeper.start();
    },
    async stop() {
      await Promise.all(sweepers.map((sweeper) => sweeper.stop()));
    },
  };
}

export function takesKeys(operations: ReadonlyMap<string, Operation> | undefined): boolean {
  return [...(operations?.values() ?? [])].some(({ keys }) => keys !== undefined);
}

function placesOf({ contract: { name }, needs }: ServiceDefinition, databases: Databases): readonly Database[] {
  const isSharded = Object.values(needs).some((need) => need.kind === "database" && need.shardBy);
  return isSharded ? [...databases.shardsOf(name).values()] : [databases.databaseOf(name)];
}
