import type { Clock, Policy, Random } from "../base/index.ts";
import type { BreakerState, Bulkhead, StreamPolicy } from "../resilience/index.ts";
import {
  compose,
  composeStreams,
  createBulkhead,
  createCircuitBreaker,
  createRetryBudget,
  deadline,
  deadlineStream,
  guarded,
  hedge,
  inFlightMaxDefault,
  retry,
} from "../resilience/index.ts";
import type { Operation } from "../service/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";

/**
 * What stands around the calls from this process to one callee: one retry budget, one breaker, and one bulkhead each for
 * calls (1,000) and streams (5,000), shared by all who call it here, so that a sick callee takes its own share and not the
 * process, and streams that stay open for minutes take no call's place. A callee's share is half of what the process takes
 * on at most: how much a callee bears is its own to say, and it does (`overload.ts` of the resilience room).
 */
export interface Guard {
  policy(operation: Operation, place?: CalleePlace): Policy;
  stream(): StreamPolicy;
}

/**
 * Where a callee lives: in this process; in others of the app, of which another may be faster, and whose calls end when
 * their scope does (the rpc room sees to that); or outside.
 */
export type CalleePlace = "here" | "peer" | "outside";

export interface GuardOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Half of what a process takes on (`inFlightMaxDefault`). */
const callsMax = inFlightMaxDefault / 2;
/** As many as the gateway lets in. */
const streamsMax = 5000;

const stateValue: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2 };

/** Answers the guard of a callee, always the same one. */
export function createGuards(options: GuardOptions): (callee: string) => Guard {
  const { clock, metrics } = options;
  const guards = new Map<string, Guard>();
  const state = metrics.gauge("plinth_breaker_state", "Circuit breaker of a callee: 0 closed, 1 half-open, 2 open.", [
    "callee",
  ]);
  const measureBulkhead = createBulkheadMeasure(metrics);
  const retries = metrics.counter("plinth_retries_total", "Attempts after the first.", ["callee"]);
  const hedges = metrics.counter("plinth_hedges_total", "Second tries because the first was late.", ["callee"]);
  const unretried = metrics.counter("plinth_retries_refused_total", "Attempts that the retry budget refused.", [
    "callee",
  ]);
  const broken = metrics.counter("plinth_breaker_refused_total", "Calls that an open breaker refused.", ["callee"]);

  const createGuard = (callee: string): Guard => {
    const breaker = createCircuitBreaker({
      name: callee,
      clock,
      onChange: (now, before) => options.log.warn({ callee, from: before, to: now }, `breaker of ${callee}: ${now}`),
    });
    const bulkhead = createBulkhead({ name: callee, concurrentMax: callsMax, clock });
    const streams = createBulkhead({ name: callee, concurrentMax: streamsMax, queueMax: 0, clock });
    const budget = createRetryBudget({ clock });
    const retried = retries.with({ callee });
    const hedged = hedges.with({ callee });
    metrics.collect(() => {
      state.with({ callee }).set(stateValue[breaker.state]);
      broken.with({ callee }).advanceTo(breaker.refusedCount);
      unretried.with({ callee }).advanceTo(budget.refusedCount);
      measureBulkhead(bulkhead, "call");
      measureBulkhead(streams, "stream");
    });
    const aroundStream = composeStreams([breaker.stream, streams.stream, deadlineStream({ clock })]);
    return {
      policy({ idempotent, keyed, hedgeMs }, place = "here") {
        const retryOptions = { idempotent, keyed, budget, clock, random: options.random, onRetry: () => retried.add() };
        if (place === "here" || hedgeMs === undefined) {
          return guarded({ retry: retryOptions, breaker, bulkhead, endsItself: place === "peer", clock });
        }
        return compose([
          retry(retryOptions),
          hedge({ afterMs: hedgeMs, budget, clock, onHedge: () => hedged.add() }),
          breaker.policy,
          bulkhead.policy,
          deadline({ clock }),
        ]);
      },
      stream: () => aroundStream,
    };
  };

  return (callee) => {
    const guard = guards.get(callee) ?? createGuard(callee);
    guards.set(callee, guard);
    return guard;
  };
}

function createBulkheadMeasure(metrics: Metrics): (bulkhead: Bulkhead, kind: "call" | "stream") => void {
  const labels = ["callee", "kind"] as const;
  const running = metrics.gauge("plinth_bulkhead_running", "Calls and streams that a callee holds now.", labels);
  const queued = metrics.gauge("plinth_bulkhead_queued", "Calls that wait for a callee.", labels);
  const refused = metrics.counter("plinth_bulkhead_refused_total", "Calls that found a callee's places taken.", labels);
  return (bulkhead, kind) => {
    const of = { callee: bulkhead.name, kind };
    running.with(of).set(bulkhead.runningCount);
    queued.with(of).set(bulkhead.queuedCount);
    refused.with(of).advanceTo(bulkhead.refusedCount);
  };
}
