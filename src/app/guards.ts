import type { Clock, Policy, Random } from "../base/index.ts";
import type { BreakerState, StreamPolicy } from "../resilience/index.ts";
import {
  compose,
  composeStreams,
  createBulkhead,
  createCircuitBreaker,
  createRetryBudget,
  deadline,
  deadlineStream,
  retry,
} from "../resilience/index.ts";
import type { Operation } from "../service/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";

/**
 * What stands around the calls from this process to one callee: one retry budget, one breaker and one bulkhead, shared
 * by all who call it here, so that a sick callee takes its own share and not the process.
 */
export interface Guard {
  policy(operation: Operation): Policy;
  stream(): StreamPolicy;
}

export interface GuardOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const stateValue: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2 };

/** Answers the guard of a callee, always the same one. */
export function createGuards(options: GuardOptions): (callee: string) => Guard {
  const { clock, metrics } = options;
  const guards = new Map<string, Guard>();
  const state = metrics.gauge("plinth_breaker_state", "Circuit breaker of a callee: 0 closed, 1 half-open, 2 open.", [
    "callee",
  ]);
  const running = metrics.gauge("plinth_bulkhead_running", "Calls that a callee holds now.", ["callee"]);
  const refused = metrics.gauge("plinth_bulkhead_queued", "Calls that wait for a callee.", ["callee"]);
  const retries = metrics.counter("plinth_retries_total", "Attempts after the first.", ["callee"]);

  const createGuard = (callee: string): Guard => {
    const breaker = createCircuitBreaker({
      name: callee,
      clock,
      onChange: (now, before) => options.log.warn({ callee, from: before, to: now }, `breaker of ${callee}: ${now}`),
    });
    const bulkhead = createBulkhead({ name: callee, clock });
    const budget = createRetryBudget({ clock });
    const retried = retries.with({ callee });
    metrics.collect(() => {
      state.with({ callee }).set(stateValue[breaker.state]);
      running.with({ callee }).set(bulkhead.runningCount);
      refused.with({ callee }).set(bulkhead.queuedCount);
    });
    const around = [breaker.policy, bulkhead.policy, deadline({ clock })];
    const aroundStream = composeStreams([breaker.stream, bulkhead.stream, deadlineStream({ clock })]);
    return {
      policy: ({ idempotent, keyed }) =>
        compose([
          retry({ idempotent, keyed, budget, clock, random: options.random, onRetry: () => retried.add() }),
          ...around,
        ]),
      stream: () => aroundStream,
    };
  };

  return (callee) => {
    const guard = guards.get(callee) ?? createGuard(callee);
    guards.set(callee, guard);
    return guard;
  };
}
