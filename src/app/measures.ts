import type { NearTier } from "../cache/index.ts";
import type { DatabaseDriver, Replicas } from "../database/index.ts";
import type { Scheduler } from "../events/index.ts";
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
  /** By service. */
  readonly schedulers: ReadonlyMap<string, Scheduler>;
}

export function measureProcess(metrics: Metrics, { stores, peers, rpc, schedulers }: MeasuredParts): void {
  if (stores.database) measureDatabase(metrics, stores.database);
  if (stores.replicas) measureReplicas(metrics, stores.replicas);
  if (stores.shards.size > 0) measureShards(metrics, stores.sharded);
  if (stores.cache) measureCaches(metrics, stores);
  if (rpc) measureRpcServer(metrics, rpc);
  measureRpcClients(metrics, peers);
  if (schedulers.size > 0) measureSchedules(metrics, schedulers);
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

function measureReplicas(metrics: Metrics, replicas: Replicas): void {
  const labels = ["replica"] as const;
  const ready = metrics.gauge("plinth_replica_ready", "1 where reads may go to the replica.", labels);
  const lag = metrics.gauge("plinth_replica_lag_seconds", "What the replica lacks at most, when last asked.", labels);
  const reads = metrics.counter("plinth_replica_reads_total", "Reads on a replica.", labels);
  const failures = metrics.counter("plinth_replica_failures_total", "Reads that failed on it.", labels);
  const primary = metrics.counter("plinth_replica_primary_reads_total", "Reads that the primary had to answer.");
  metrics.collect(() => {
    for (const [i, stats] of replicas.stats.entries()) {
      const replica = String(i + 1);
      ready.with({ replica }).set(stats.state === "ready" ? 1 : 0);
      if (stats.lagMs !== undefined) lag.with({ replica }).set(stats.lagMs / 1000);
      reads.with({ replica }).advanceTo(stats.readCount);
      failures.with({ replica }).advanceTo(stats.failureCount);
    }
    primary.with().advanceTo(replicas.primaryReadCount);
  });
}

function measureShards(metrics: Metrics, sharded: Stores["sharded"]): void {
  const waiting = metrics.gauge("plinth_shards_waiting", "Callers that wait for a bucket on its way.", ["service"]);
  const stale = metrics.counter("plinth_shards_stale_uses_total", "Uses of a map that was no longer right.", [
    "service",
  ]);
  const failed = metrics.counter("plinth_shards_map_failures_total", "Maps that could not be read.", ["service"]);
  metrics.collect(() => {
    for (const [service, { stats }] of sharded) {
      waiting.with({ service }).set(stats.waiting);
      stale.with({ service }).advanceTo(stats.staleUses);
      failed.with({ service }).advanceTo(stats.mapFailures);
    }
  });
}

function measureCaches(metrics: Metrics, { caches, near }: Stores): void {
  const reads = metrics.counter("plinth_cache_reads_total", "Reads of a cache.", ["service", "outcome"]);
  const stale = metrics.counter("plinth_cache_stale_reads_total", "Reads answered beyond their time.", [
    "service",
    "why",
  ]);
  const loads = metrics.counter("plinth_cache_loads_total", "Loads to fill a cache.", ["service"]);
  const failures = metrics.counter("plinth_cache_failures_total", "What failed around a cache.", ["service", "what"]);
  const samples = metrics.counter("plinth_cache_samples_total", "Hits compared with the truth.", ["service"]);
  const wrong = metrics.counter("plinth_cache_mismatches_total", "Those that were wrong, by age.", ["service", "age"]);
  metrics.collect(() => {
    for (const [service, { stats }] of caches) {
      reads.with({ service, outcome: "hit" }).advanceTo(stats.hitCount);
      reads.with({ service, outcome: "miss" }).advanceTo(stats.missCount);
      stale.with({ service, why: "refresh" }).advanceTo(stats.staleHitCount);
      stale.with({ service, why: "error" }).advanceTo(stats.staleErrorCount);
      loads.with({ service }).advanceTo(stats.loadCount);
      failures.with({ service, what: "load" }).advanceTo(stats.loadErrorCount);
      failures.with({ service, what: "refused" }).advanceTo(stats.refusedLoadCount);
      failures.with({ service, what: "engine" }).advanceTo(stats.errorCount);
      samples.with({ service }).advanceTo(stats.sampleCount);
      for (const [age, count] of Object.entries(stats.mismatchCounts)) wrong.with({ service, age }).advanceTo(count);
    }
  });
  if (near) measureNear(metrics, near);
}

function measureNear(metrics: Metrics, near: NearTier): void {
  const hits = metrics.counter("plinth_cache_near_hits_total", "Reads answered by a copy in this process.");
  const lost = metrics.counter("plinth_cache_near_lost_total", "Times that all copies were dropped, to be safe.");
  const bytes = metrics.gauge("plinth_cache_near_bytes", "Memory that copies take, estimated.");
  const watching = metrics.gauge("plinth_cache_near_watching", "1 while the engine tells of removals.");
  metrics.collect(() => {
    hits.with().advanceTo(near.stats.hitCount);
    lost.with().advanceTo(near.stats.lostCount);
    bytes.with().set(near.stats.bytes);
    watching.with().set(near.isWatching ? 1 : 0);
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

function measureSchedules(metrics: Metrics, schedulers: MeasuredParts["schedulers"]): void {
  const leads = metrics.gauge("plinth_schedules_leading", "1 where this process runs a service's schedules.", [
    "service",
  ]);
  const lost = metrics.counter("plinth_schedules_lead_lost_total", "Times that the lead was lost.", ["service"]);
  const labels = ["service", "schedule", "outcome"] as const;
  const ticks = metrics.counter("plinth_schedule_ticks_total", "Ticks by what became of them here.", labels);
  const late = metrics.gauge("plinth_schedule_late_seconds", "How late the last tick began.", ["service", "schedule"]);
  metrics.collect(() => {
    for (const [service, scheduler] of schedulers) {
      const stats = scheduler.stats();
      leads.with({ service }).set(stats.leads ? 1 : 0);
      lost.with({ service }).advanceTo(stats.lostCount);
      for (const { schedule, lateMs, ...counts } of stats.schedules) {
        ticks.with({ service, schedule, outcome: "done" }).advanceTo(counts.doneCount);
        ticks.with({ service, schedule, outcome: "retried" }).advanceTo(counts.retriedCount);
        ticks.with({ service, schedule, outcome: "failed" }).advanceTo(counts.failedCount);
        ticks.with({ service, schedule, outcome: "taken over" }).advanceTo(counts.lostCount);
        ticks.with({ service, schedule, outcome: "skipped" }).advanceTo(counts.skippedCount);
        if (lateMs !== undefined) late.with({ service, schedule }).set(lateMs / 1000);
      }
    }
  });
}
