import type { Clock, Random } from "../base/index.ts";
import type { PartitionReport, SlowQueryLog } from "../database/index.ts";
import { createSlowQueryLog, maintainPartitions } from "../database/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { ServiceDefinition } from "../service/index.ts";
import { createMover } from "../shards/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { Databases } from "./databases.ts";
import type { Settings } from "./settings.ts";

/** What a process does for its databases besides using them: watches statements, makes partitions, ends moves that were left
 * behind. */

export interface SlowQueryParts {
  readonly settings: Pick<Settings, "mode" | "slowQueryMs">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Known once the databases are made; they are handed what this answers. */
  readonly databases: () => Databases | undefined;
}

/** What is to be told of each statement; undefined where nobody wants to hear of slow ones. */
export function createStatementWatch({ settings, clock, log, databases }: SlowQueryParts): SlowQueryLog | undefined {
  const isDevelopment = settings.mode === "development";
  const thresholdMs = settings.slowQueryMs ?? (isDevelopment ? 100 : undefined);
  if (thresholdMs === undefined) return undefined;
  return createSlowQueryLog({
    clock,
    thresholdMs,
    log: ({ kind, traceId, ...report }) =>
      log.warn(
        { ...report, ...(traceId !== undefined && { trace_id: traceId }) },
        kind === "slow" ? "a statement was slow" : "a call runs the same statement again and again",
      ),
    ...(isDevelopment && { explain: (schema: string) => databases()?.unwatched(schema) }),
  });
}

const upkeepEveryMs = 3_600_000;

export interface PartitionParts {
  readonly services: readonly ServiceDefinition[];
  readonly databases: Databases;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Makes the partitions that services declare, at start and every hour; undefined where none does. */
export function partitionComponent({ services, databases, clock, log }: PartitionParts): Component | undefined {
  const declared = services.flatMap(({ contract, needs }) =>
    Object.values(needs).flatMap((need) =>
      need.kind === "database" && need.partitions ? [{ service: contract.name, partitions: need.partitions }] : [],
    ),
  );
  if (declared.length === 0) return undefined;
  const maintain = async (): Promise<void> => {
    for (const { service, partitions } of declared) {
      const reports = await maintainPartitions(databases.databaseOf(service), partitions, { clock });
      for (const report of reports) tell(service, report, log);
    }
  };
  const hourly = repeated(clock, upkeepEveryMs, maintain, (thrown) =>
    log.error({ err: thrown }, "partitions could not be kept up; it is tried again in an hour"),
  );
  return {
    name: "partitions",
    needs: ["migrations"],
    async start() {
      // Before the first request: a row without a partition would be refused.
      await maintain();
      hourly.start();
    },
    stop: () => hourly.stop(),
  };
}

export interface MoverParts {
  readonly services: readonly ServiceDefinition[];
  readonly databases: Databases;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const resumeEveryMs = 10_000;

/**
 * Goes on with moves of buckets whose mover died, and drops old archives; undefined where no service is sharded. Any
 * number of processes may try: a move has one mover.
 */
export function moverComponent({ services, databases, clock, random, log }: MoverParts): Component | undefined {
  const movers = services.flatMap(({ contract: { name: service }, needs }) =>
    Object.values(needs).flatMap((need) => {
      if (need.kind !== "database" || !need.shardBy) return [];
      const shards = databases.shardsOf(service);
      return [createMover({ directory: databases.directory(), shards, service, shardBy: need.shardBy, clock, random })];
    }),
  );
  if (movers.length === 0) return undefined;
  const leaving = new AbortController();
  const resume = async (): Promise<void> => {
    // One service's trouble is not another's.
    const outcomes = await Promise.allSettled(
      movers.map(async (mover) => {
        const moves = await mover.resume({ signal: leaving.signal });
        if (moves.length > 0) log.info({ moves: moves.length }, "moves of buckets that were left behind were ended");
        await mover.expire();
      }),
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
  };
  const tries = repeated(clock, resumeEveryMs, resume, (thrown) =>
    log.warn({ err: thrown }, "moves of buckets that were left behind could not be looked for; it is tried again"),
  );
  return {
    name: "bucket moves",
    needs: ["migrations"],
    start: () => tries.start(),
    // A long copy is left to the next process at once; a fence that is closed is seen through.
    quiesce: () => leaving.abort(),
    async stop() {
      leaving.abort();
      await tries.stop();
    },
  };
}

/** Work that is done again and again, one at a time. */
function repeated(clock: Clock, everyMs: number, work: () => Promise<void>, onError: (thrown: unknown) => void) {
  let stopClock = () => {};
  let running: Promise<void> | undefined;
  return {
    start(): void {
      stopClock = clock.every(everyMs, () => {
        running ??= work()
          .catch(onError)
          .finally(() => {
            running = undefined;
          });
      });
    },
    async stop(): Promise<void> {
      stopClock();
      await running;
    },
  };
}

function tell(service: string, report: PartitionReport, log: Logger): void {
  const { table, created, dropped, defaultRows, waiting } = report;
  if (created.length + dropped.length > 0) log.info({ service, table, created, dropped }, "partitions were kept up");
  if (waiting !== undefined) log.warn({ service, table, waiting }, "partitions wait for the next hour");
  if (defaultRows) {
    log.warn(
      { service, table, defaultRows },
      "rows came for a time that had no partition; they are in the default one",
    );
  }
}
