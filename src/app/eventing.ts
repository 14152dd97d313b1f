import type { Clock, Random } from "../base/index.ts";
import type { Cache } from "../cache/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import type { Broker, Consumer, CrashPoint, EventType, Publisher, Relay, Subscription } from "../events/index.ts";
import { createConsumer, createPublisher, createRelay } from "../events/index.ts";
import { compile } from "../schema/index.ts";
import type { EventDefinition, Publish, ServiceDefinition, ServiceUnit } from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { announceInvalidation, invalidationSubscription, needsInvalidation } from "./invalidation.ts";

/**
 * The events of one process: for each service here that announces any, a publisher and a relay; for each that subscribes,
 * a consumer. Types are made once for each event. A service with a database and a cache has an event of the platform's, of
 * which `invalidation.ts` tells.
 */
export interface EventingOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly crashPoint: CrashPoint;
  /** False leaves the inbox out. For the tests that show what it is for. */
  readonly inbox: boolean;
  databaseOf(service: string): Database;
  /** Of a sharded service. */
  shardsOf(service: string): ReadonlyMap<string, Database>;
  cacheOf(service: string): Cache;
}

export interface Eventing {
  publisherOf(service: string): Publish;
  /** Writes down in a transaction of the service what its cache has to forget. */
  invalidateIn(service: string, tx: Transaction, tags: readonly string[]): Promise<void>;
  /** All that were made so far. */
  relays(): readonly Relay[];
  /** One for each database that the service has. */
  relaysOf(service: ServiceDefinition): readonly Relay[];
  consumerOf(service: ServiceDefinition, unit: ServiceUnit): Consumer;
}

export function createEventing(options: EventingOptions): Eventing {
  const { broker, clock, random, log, crashPoint, databaseOf } = options;
  const types = new Map<string, EventType>();
  const relays = new Map<string, readonly Relay[]>();
  const publishers = new Map<string, Publisher>();

  const typeOf = (event: EventDefinition): EventType => {
    const known = types.get(event.id);
    if (known) return known;
    const { key, payload } = event.options;
    const type: EventType = {
      name: event.id,
      service: event.service,
      payload: compile(payload),
      keyOf: (value: Readonly<Record<string, unknown>>) => String(value[key]),
    };
    types.set(event.id, type);
    return type;
  };
  const publisherFor = (service: string): Publisher => {
    const known = publishers.get(service);
    if (known) return known;
    const wake = () => {
      for (const relay of relays.get(service) ?? []) relay.wake();
    };
    const publisher = createPublisher({ service, database: databaseOf(service), clock, random, wake, crashPoint });
    publishers.set(service, publisher);
    return publisher;
  };

  return {
    publisherOf: (service) => async (event, payload, tx, scope) => {
      await publisherFor(service).publish(typeOf(event), payload, { in: tx, trace: scope.trace });
    },
    invalidateIn: (service, tx, tags) => announceInvalidation(publisherFor(service), service, tx, tags),
    relays: () => [...relays.values()].flat(),
    relaysOf({ contract: { name }, needs }) {
      const isSharded = Object.values(needs).some((need) => need.kind === "database" && need.shardBy);
      const databases = isSharded ? [...options.shardsOf(name).values()] : [databaseOf(name)];
      const own = databases.map((database) =>
        createRelay({ service: name, database, broker, clock, random, log, crashPoint }),
      );
      relays.set(name, own);
      return own;
    },
    consumerOf(service, unit) {
      const { name } = service.contract;
      return createConsumer({
        service: name,
        broker,
        database: databaseOf(name),
        clock,
        random,
        log: log.child({ service: name }),
        crashPoint,
        subscriptions: [
          ...Object.entries(service.subscriptions).map(([subscription, { event, handle: _handle, ...rest }]) => ({
            ...rest,
            name: `${name}.${subscription}`,
            types: [typeOf(event)],
            inbox: options.inbox,
            handle: runOf(unit, subscription),
          })),
          ...(needsInvalidation(service) ? [invalidationSubscription(name, options.cacheOf(name))] : []),
        ],
      });
    },
  };
}

function runOf(unit: ServiceUnit, subscription: string): Subscription["handle"] {
  return async (payload, { tx, scope, message: { id: eventId, sequence }, replayed }) => {
    await unit.subscriptions.get(subscription)?.(payload, { scope, tx, eventId, sequence, replayed });
  };
}
