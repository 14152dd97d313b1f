import type { DatabaseDriver } from "../database/index.ts";
import type { Broker, Consumer, DeadLetters, Relay } from "../events/index.ts";
import type { RpcServer } from "../rpc/index.ts";
import type { Metrics } from "../telemetry/index.ts";
import type { Peers } from "./peers.ts";
import type { Stores } from "./stores.ts";

/**
 * What the parts of a process count of themselves, as metrics. They are read when somebody scrapes and never before; what
 * has to be asked of the database is asked by one scrape at a time.
 */
export interface MeasuredParts {
  readonly stores: Stores;
  readonly peers: Peers;
  /** Undefined where nobody calls this process. */
  readonly rpc: RpcServer | undefined;
}

export function measureProcess(metrics: Metrics, { stores, peers, rpc }: MeasuredParts): void {
  if (stores.database) measureDatabase(metrics, stores.database);
  if (stores.cache) measureCaches(metrics, stores.caches);
  if (rpc) measureRpcServer(metrics, rpc);
  measureRpcClients(metrics, peers);
}

function measureDatabase(metrics: Metrics, database: DatabaseDriver): void {
  const sessions = metrics.gauge("plinth_database_sessions", "Sessions of the database pool.", ["state"]);
  const limit = metrics.gauge("plinth_database_sessions_limit", "Sessions that the pool may have.");
  const waiting = metrics.gauge("plinth_database_waiting", "Who waits for a session.");
  const handles = { used: sessions.with({ state: "used" }), idle: sessions.with({ state: "idle" }) };
  metrics.collect(() => {
    const { open, idle, waiting: queued, size } = database.stats;
    handles.used.set(open - idle);
    handles.idle.set(idle);
    limit.with().set(size);
    waiting.with().set(queued);
  });
}

function measureCaches(metrics: Metrics, caches: Stores["caches"]): void {
  const reads = metrics.counter("plinth_cache_reads_total", "Reads of a cache.", ["service", "outcome"]);
  const loads = metrics.counter("plinth_cache_loads_total", "Loads to fill a cache.", ["service"]);
  const failures = metrics.counter("plinth_cache_failures_total", "What failed around a cache.", ["service", "what"]);
  metrics.collect(() => {
    for (const [service, { stats }] of caches) {
      reads.with({ service, outcome: "hit" }).advanceTo(stats.hitCount);
      reads.with({ service, outcome: "miss" }).advanceTo(stats.missCount);
      loads.with({ service }).advanceTo(stats.loadCount);
      failures.with({ service, what: "load" }).advanceTo(stats.loadErrorCount);
      failures.with({ service, what: "engine" }).advanceTo(stats.errorCount);
    }
  });
}

function measureRpcServer(metrics: Metrics, rpc: RpcServer): void {
  const connections = metrics.gauge("plinth_rpc_server_connections", "Connections of processes that call this one.");
  const running = metrics.gauge("plinth_rpc_server_running", "Calls from other processes that run now.");
  const calls = metrics.counter("plinth_rpc_server_calls_total", "Calls from other processes.");
  const refused = metrics.counter("plinth_rpc_server_refused_total", "Calls and connections refused.", ["what"]);
  metrics.collect(() => {
    const { stats } = rpc;
    connections.with().set(stats.connections);
    running.with().set(stats.inFlight);
    calls.with().advanceTo(stats.calls);
    refused.with({ what: "call" }).advanceTo(stats.refusedCalls);
    refused.with({ what: "connection" }).advanceTo(stats.refusedConnections);
  });
}

const linkStates = ["idle", "connecting", "ready", "waiting", "closed"] as const;

function measureRpcClients(metrics: Metrics, peers: Peers): void {
  const connections = metrics.gauge("plinth_rpc_client_connections", "Connections to a group, by state.", [
    "group",
    "state",
  ]);
  const running = metrics.gauge("plinth_rpc_client_running", "Calls to a group that run now.", ["group"]);
  const queued = metrics.gauge("plinth_rpc_client_queued", "Calls that wait for a connection to a group.", ["group"]);
  metrics.collect(() => {
    for (const [group, state] of peers.states()) {
      for (const each of linkStates) {
        const count = state.connections.filter((connection) => connection.state === each).length;
        connections.with({ group, state: each }).set(count);
      }
      running.with({ group }).set(state.connections.reduce((sum, { inFlight }) => sum + inFlight, 0));
      queued.with({ group }).set(state.queued);
    }
  });
}

export interface MeasuredEvents {
  readonly broker: Broker;
  readonly relays: readonly Relay[];
  readonly consumers: readonly Consumer[];
  /** By service. */
  readonly letters: ReadonlyMap<string, DeadLetters>;
}

/** From now on; the returned function takes it back, before the database goes away. */
export function measureEvents(metrics: Metrics, events: MeasuredEvents): () => void {
  const tasks = [measureOutboxes(metrics, events), measureSubscriptions(metrics, events)];
  const stops = tasks.map((task) => metrics.collect(oneAtATime(task)));
  return () => {
    for (const stop of stops) stop();
  };
}

function measureOutboxes(metrics: Metrics, { relays }: MeasuredEvents): () => Promise<void> {
  const waiting = metrics.gauge("plinth_outbox_unpublished", "Events that wait for the broker.", ["service"]);
  const age = metrics.gauge("plinth_outbox_oldest_age_seconds", "Age of the oldest of them.", ["service"]);
  const published = metrics.counter("plinth_outbox_published_total", "Events handed to the broker.", ["service"]);
  const failed = metrics.counter("plinth_outbox_failures_total", "Attempts that the broker did not take.", ["service"]);
  return async () => {
    for (const { service, ...stats } of await Promise.all(relays.map((relay) => relay.stats()))) {
      waiting.with({ service }).set(stats.unpublishedCount);
      age.with({ service }).set(stats.oldestAgeMs / 1000);
      published.with({ service }).advanceTo(stats.publishedCount);
      failed.with({ service }).advanceTo(stats.failedCount);
    }
  };
}

function measureSubscriptions(metrics: Metrics, { broker, consumers, letters }: MeasuredEvents): () => Promise<void> {
  const labels = ["subscription"] as const;
  const pending = metrics.gauge("plinth_subscription_pending", "Events published and not yet acknowledged.", labels);
  const age = metrics.gauge("plinth_subscription_oldest_age_seconds", "Age of the oldest of them.", labels);
  const events = metrics.counter("plinth_subscription_events_total", "Events by what became of them here.", [
    "subscription",
    "outcome",
  ]);
  const dead = metrics.gauge("plinth_dead_letters", "Events that a service gave up on, until somebody decides.", [
    "service",
  ]);
  return async () => {
    for (const { subscription, ...counts } of consumers.flatMap((consumer) => consumer.stats())) {
      events.with({ subscription, outcome: "handled" }).advanceTo(counts.handledCount);
      events.with({ subscription, outcome: "duplicate" }).advanceTo(counts.duplicateCount);
      events.with({ subscription, outcome: "retried" }).advanceTo(counts.retriedCount);
      events.with({ subscription, outcome: "dead" }).advanceTo(counts.deadCount);
    }
    for (const { subscription, pendingCount, oldestAgeMs } of await broker.stats()) {
      pending.with({ subscription }).set(pendingCount);
      age.with({ subscription }).set(oldestAgeMs / 1000);
    }
    for (const [service, store] of letters) dead.with({ service }).set(await store.count());
  };
}

/** A database that is slow is not asked again before it has answered. */
function oneAtATime(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= task().finally(() => {
      running = undefined;
    });
    return running;
  };
}
