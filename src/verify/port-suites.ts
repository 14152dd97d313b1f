import { newId, systemClock } from "../base/index.ts";
import type { CacheDriver } from "../cache/index.ts";
import { createMemoryCache } from "../cache/index.ts";
import { cacheSuite } from "../cache/testing.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, quoteName } from "../database/index.ts";
import { databaseSuite } from "../database/testing.ts";
import type { Broker, BrokerFlags } from "../events/index.ts";
import { createDatabaseBroker, createMemoryBroker } from "../events/index.ts";
import type { BrokerCase, BrokerWorld } from "../events/testing.ts";
import { brokerSuite } from "../events/testing.ts";
import type { LimitDriver } from "../limits/index.ts";
import { createMemoryLimits } from "../limits/index.ts";
import { limitSuite } from "../limits/testing.ts";

/** One claim of a port about an engine. */
export interface PortCase {
  readonly name: string;
  /** Why this engine cannot be asked. */
  readonly skip?: string | undefined;
  run(): Promise<void>;
}

/** A port's suite on one engine: opened once, its cases run in any order, closed in the end. */
export interface PortSuite {
  readonly port: "database" | "broker" | "cache" | "limiter";
  readonly cases: readonly PortCase[];
  open(): Promise<void>;
  /** Removes what the cases left. */
  close(): Promise<void>;
}

const noSuite = { open: async () => {}, close: async () => {} };

export function databasePort(makeDriver: () => DatabaseDriver): PortSuite {
  const keeper = makeDriver();
  return {
    port: "database",
    cases: databaseSuite({ flags: keeper.flags, makeDriver }),
    open: () => keeper.open(),
    close: () => keeper.close(),
  };
}

export function cachePort(makeDriver: () => CacheDriver): PortSuite {
  return { port: "cache", cases: cacheSuite({ makeDriver, wait: (ms) => systemClock.sleep(ms) }), ...noSuite };
}

export const memoryCachePort = (): PortSuite => cachePort(() => createMemoryCache());

export function limiterPort(makeDriver: () => LimitDriver): PortSuite {
  return { port: "limiter", cases: limitSuite({ makeDriver, wait: (ms) => systemClock.sleep(ms) }), ...noSuite };
}

export const memoryLimiterPort = (): PortSuite => limiterPort(() => createMemoryLimits());

/** The default broker, whose tables are in the database: each case in a schema of its own. */
export function databaseBrokerPort(makeDriver: () => DatabaseDriver): PortSuite {
  const driver = makeDriver();
  const schemas: string[] = [];
  const { flags } = createDatabaseBroker({ database: createDatabase({ driver, schema: "public" }) });
  const make = async (): Promise<BrokerWorld> => {
    const schema = `plinth_suite_${newId().replaceAll("-", "")}`;
    schemas.push(schema);
    return createWorld(driver, schema);
  };
  return {
    port: "broker",
    cases: brokerCases(flags, true, make),
    open: () => driver.open(),
    async close() {
      const database = createDatabase({ driver, schema: "public" });
      for (const schema of schemas) {
        await database.session((session) => session.script(`drop schema if exists ${quoteName(schema)} cascade`));
      }
      await driver.close();
    },
  };
}

export function memoryBrokerPort(): PortSuite {
  const { flags } = createMemoryBroker();
  const make = async (): Promise<BrokerWorld> => {
    const broker = createMemoryBroker();
    await broker.open();
    return { connect: async () => broker, dispose: () => broker.close() };
  };
  return {
    port: "broker",
    cases: brokerCases(flags, false, make),
    ...noSuite,
  };
}

/** All cases; those that the broker does not promise are skipped with the flags that it lacks, not left out. */
function brokerCases(flags: BrokerFlags, kills: boolean, make: () => Promise<BrokerWorld>): readonly PortCase[] {
  const given: Readonly<Record<string, boolean>> = { ...flags, kills };
  const suite = (lacks: string | undefined): readonly BrokerCase[] => {
    const all = { ...flags };
    for (const flag of Object.keys(flags) as (keyof BrokerFlags)[]) Object.assign(all, { [flag]: flag !== lacks });
    return brokerSuite({ flags: all, kills: lacks !== "kills", make });
  };
  const reasons = new Map<string, string[]>();
  const whole = suite(undefined);
  for (const lacking of Object.keys(given).filter((flag) => !given[flag])) {
    const left = new Set(suite(lacking).map(({ name }) => name));
    for (const { name } of whole) if (!left.has(name)) reasons.set(name, [...(reasons.get(name) ?? []), lacking]);
  }
  return whole.map((each) => {
    const lacks = reasons.get(each.name);
    return lacks ? { ...each, skip: lackText(lacks) } : each;
  });
}

function lackText(flags: readonly string[]): string {
  const named = flags.filter((flag) => flag !== "kills");
  return named.length > 0
    ? `this broker does not have the flag ${named.join(", ")}`
    : "it lives in this process alone, where no part of it can be killed";
}

/** Several brokers on one schema, each of which can be cut off as if its process had been killed. */
function createWorld(driver: DatabaseDriver, schema: string): BrokerWorld {
  const brokers: Broker[] = [];
  const dead = new Set<Broker>();
  return {
    async connect() {
      const cuttable: DatabaseDriver = {
        name: driver.name,
        flags: driver.flags,
        get stats() {
          return driver.stats;
        },
        open: () => driver.open(),
        close: () => driver.close(),
        acquire: (options) =>
          dead.has(broker) ? Promise.reject(new Error("this process is dead")) : driver.acquire(options),
      };
      const broker: Broker = createDatabaseBroker({
        database: createDatabase({ driver: cuttable, schema }),
        lease: "1s",
      });
      await broker.open();
      brokers.push(broker);
      return broker;
    },
    async kill(broker) {
      dead.add(broker);
    },
    async dispose() {
      for (const broker of brokers) await broker.close();
    },
  };
}
