import type { CacheDriver } from "../cache/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import type { Broker } from "../events/index.ts";
import { deadLetters } from "../events/index.ts";
import type { Gateway } from "../gateway/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { Overload } from "../resilience/index.ts";
import type { RpcServer } from "../rpc/index.ts";
import type { ServiceDefinition } from "../service/index.ts";
import type { Metrics } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import type { MeasuredEvents } from "./event-measures.ts";
import { measureEvents } from "./event-measures.ts";
import type { Eventing } from "./eventing.ts";
import { migrateService } from "./migrations.ts";
import type { Peers } from "./peers.ts";
import type { Settings } from "./settings.ts";
import type { Signals } from "./signals.ts";
import type { Stores } from "./stores.ts";
import { publishes, subscribes, subscriptionsOf } from "./subscriptions.ts";
import type { Wiring } from "./wiring.ts";

/** The parts of a process as the lifecycle sees them: what each needs, how it starts, takes leave and stops. */

/** Ports that were given: known once the part that listens has started. */
export interface Ports {
  gateway?: number;
  rpc?: number;
  management?: number;
}

/** It stops last: what is measured is measured until then. */
export function telemetryComponent(signals: Signals, overload?: Overload): Component {
  return {
    name: "telemetry",
    stop() {
      overload?.close();
      return signals.close();
    },
  };
}

export function storeComponents(stores: Stores): Component[] {
  return [
    ...(stores.database ? [databaseComponent(stores.database, stores)] : []),
    ...(stores.cache ? [cacheComponent(stores.cache, stores)] : []),
  ];
}

function databaseComponent(database: DatabaseDriver, { replicas, shards }: Stores): Component {
  const others = [...shards.values()].filter((driver) => driver !== database);
  return {
    name: "database",
    needs: ["telemetry"],
    async start() {
      await database.open();
      await Promise.all(others.map((driver) => driver.open()));
      await replicas?.open();
    },
    async stop() {
      await replicas?.close();
      await Promise.all(others.map((driver) => driver.close()));
      await database.close();
    },
  };
}

function cacheComponent(cache: CacheDriver, { near, caches }: Stores): Component {
  return {
    name: "cache",
    needs: ["telemetry"],
    start: () => cache.open(),
    async stop() {
      // What could not be invalidated is tried once more.
      for (const each of caches.values()) await each.close();
      near?.close();
      await cache.close();
    },
  };
}

/** The tables of events and of each service, brought up to date before anything uses them. */
export function migrationComponent(
  services: readonly ServiceDefinition[],
  stores: Stores,
  settings: Settings,
  broker: Broker | undefined,
): Component {
  return {
    name: "migrations",
    needs: ["database", "connection budget"],
    // As long as one statement of a step may take: an index on a large table is built, not given up.
    startTimeoutMs: 600_000,
    async start() {
      if (settings.migrateAtStart) {
        // In production a step that would lock a large table or break the running version is refused.
        const lint = settings.mode === "production" ? "refuse" : "off";
        for (const service of services) await migrateService(service, stores, lint);
      }
      await broker?.open();
    },
    async stop() {
      await broker?.close();
    },
  };
}

export function peersComponent(peers: Peers): Component {
  return {
    name: "peers",
    needs: ["telemetry"],
    start: () => peers.connectAhead(),
    quiesce: () => peers.quiesce(),
    stop: () => peers.close(),
  };
}

export interface EventParts {
  readonly definition: App;
  /** The services of this process that publish or subscribe. */
  readonly services: readonly ServiceDefinition[];
  readonly broker: Broker;
  readonly eventing: Eventing;
  readonly wiring: Wiring;
  readonly stores: Stores;
  readonly metrics: Metrics;
  /** Components that must be up before a handler runs, besides the usual. */
  readonly after: readonly string[];
}

export function eventComponents(parts: EventParts): Component[] {
  const { definition, services, broker, eventing, wiring } = parts;
  const relays = services.filter(publishes).flatMap(eventing.relaysOf);
  const consumers = services.filter(subscribes).flatMap((service) => {
    const unit = wiring.units.get(service.contract.name);
    return unit ? [eventing.consumerOf(service, unit)] : [];
  });
  const drainRelays = once(async () => void (await Promise.all(relays.map((relay) => relay.drain()))));
  const drainConsumers = async (signal?: AbortSignal): Promise<void> => {
    await Promise.all(consumers.map((consumer) => consumer.drain(signal)));
  };
  return [
    {
      name: "relays",
      needs: ["migrations", ...parts.after],
      async start() {
        // Every subscription of the app, wherever it lives: what is published before its consumer's first start is kept.
        await broker.ensure(subscriptionsOf(definition));
        for (const relay of relays) relay.start();
      },
      // What is committed meanwhile stays in the outbox, for the next process or the next start.
      quiesce: () => void drainRelays(),
      drain: drainRelays,
      // After a start that failed there is no drain; nothing may go on looking for work then.
      stop: drainRelays,
    },
    {
      name: "consumers",
      needs: ["relays", "peers"],
      async start() {
        for (const consumer of consumers) await consumer.start();
      },
      quiesce: () => void drainConsumers(),
      drain: drainConsumers,
      stop: () => drainConsumers(),
    },
    eventMeasuresComponent(parts, { broker, relays, consumers }),
  ];
}

/** While the database is open: what is measured is asked of it. */
function eventMeasuresComponent(
  { services, stores, metrics }: EventParts,
  measured: Omit<MeasuredEvents, "letters">,
): Component {
  const subscribers = services.filter(subscribes);
  const letters = new Map(
    subscribers.map(({ contract }) => [contract.name, deadLetters(stores.databaseOf(contract.name))]),
  );
  let stop = () => {};
  return {
    name: "event measures",
    needs: ["relays", "consumers"],
    start() {
      stop = measureEvents(metrics, { ...measured, letters });
    },
    stop: () => stop(),
  };
}

/** The same answer to every caller. */
function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}

export function rpcComponent(rpc: RpcServer, needs: readonly string[], ports: Ports): Component {
  return {
    name: "rpc",
    needs,
    async start() {
      ports.rpc = (await rpc.start()).port;
    },
    drain: () => rpc.drain(),
    open: () => (rpc.stats.inFlight > 0 ? [`${rpc.stats.inFlight} calls`] : []),
    stop: () => rpc.stop(),
  };
}

/** Without `listen` an outer server hands the requests over; they end in the same order. */
export function gatewayComponent(
  gateway: Gateway,
  options: { readonly needs: readonly string[]; readonly ports: Ports; readonly listen: boolean },
): Component {
  return {
    name: "gateway",
    needs: options.needs,
    async start() {
      if (options.listen) options.ports.gateway = (await gateway.start()).port;
      else gateway.open();
    },
    drain: () => gateway.drain(),
    open: () => (gateway.stats.inFlight > 0 ? [`${gateway.stats.inFlight} requests`] : []),
    stop: () => gateway.stop(),
  };
}
