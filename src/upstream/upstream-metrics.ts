import type { EjectionReason } from "../balancing/index.ts";
import type { BreakerState } from "../resilience/index.ts";
import type { Counter, Metrics } from "../telemetry/index.ts";
import type { TargetState } from "./upstream.ts";

export type AttemptOutcome =
  | "2xx"
  | "3xx"
  | "4xx"
  | "5xx"
  | "unreachable"
  | "timeout"
  | "broken"
  | "cancelled"
  | "upgraded";

export type RetryCause = "status" | "timeout" | "broken" | "unreachable" | "hedge";

/** What an upstream tells about itself. Targets are named as they were declared, so that addresses that come and go add nothing. */
export interface UpstreamMetrics {
  /** One attempt is decided. */
  count(target: string, outcome: AttemptOutcome): void;
  observeHead(seconds: number): void;
  countRetry(cause: RetryCause): void;
  /** The budget was spent. */
  countRefusedRetry(): void;
  countEjection(target: string, reason: EjectionReason): void;
  countRefusal(reason: string): void;
  countLookup(ok: boolean): void;
  close(): void;
}

/** Read at each scrape. */
export interface UpstreamGauges {
  states(): readonly TargetState[];
  readonly inFlight: number;
  readonly tunnels: number;
  readonly isPanicking: boolean;
  readonly breaker: BreakerState;
}

export function createUpstreamMetrics(name: string, metrics: Metrics, read: () => UpstreamGauges): UpstreamMetrics {
  const upstream = name;
  const counterOf = (end: string, help: string, ...labelNames: readonly string[]) => {
    const family = metrics.counter<string>(`plinth_upstream_${end}_total`, help, ["upstream", ...labelNames]);
    const known = new Map<string, Counter>();
    return (...values: readonly string[]): Counter => {
      const key = values.join(" ");
      let counter = known.get(key);
      if (!counter) {
        const labels = Object.fromEntries(labelNames.map((label, i) => [label, values[i] as string]));
        counter = family.with({ upstream, ...labels });
        known.set(key, counter);
      }
      return counter;
    };
  };
  const attemptCounters = new Map<string, Map<AttemptOutcome, Counter>>();
  const attempts = counterOf("attempts", "Tries at targets, by what became of them.", "target", "outcome");
  const retries = counterOf("retries", "Further tries and hedges, by what they were for.", "cause");
  const ejections = counterOf(
    "ejections",
    "Targets left out because requests to them failed.",
    ...["target", "reason"],
  );
  const refusals = counterOf("refusals", "Requests that went to no target, by the reason.", "reason");
  const lookups = counterOf("lookups", "Names looked up, by result.", "result");
  const head = metrics
    .histogram("plinth_upstream_head_seconds", "Until a target's answer begins.", ["upstream"])
    .with({ upstream });
  const refusedRetries = metrics
    .counter("plinth_upstream_retries_refused_total", "Further tries that the budget did not allow.", ["upstream"])
    .with({ upstream });
  const stopCollecting = collectGauges(upstream, metrics, read);
  return {
    count(target, outcome) {
      let counters = attemptCounters.get(target);
      if (!counters) {
        counters = new Map();
        attemptCounters.set(target, counters);
      }
      let counter = counters.get(outcome);
      if (!counter) {
        counter = attempts(target, outcome);
        counters.set(outcome, counter);
      }
      counter.add();
    },
    observeHead: (seconds) => head.observe(seconds),
    countRetry: (cause) => retries(cause).add(),
    countRefusedRetry: () => refusedRetries.add(),
    countEjection: (target, reason) => ejections(target, reason).add(),
    countRefusal: (reason) => refusals(reason).add(),
    countLookup: (ok) => lookups(ok ? "ok" : "failed").add(),
    close: stopCollecting,
  };
}

const stateNames = ["available", "ejected", "unhealthy"] as const;
const breakerNames = ["closed", "open", "half-open"] as const;

function collectGauges(upstream: string, metrics: Metrics, read: () => UpstreamGauges): () => void {
  const targets = metrics.gauge("plinth_upstream_targets", "Addresses of targets, by state.", [
    "upstream",
    "target",
    "state",
  ]);
  const inFlight = metrics.gauge("plinth_upstream_in_flight", "Requests under way.", ["upstream"]).with({ upstream });
  const tunnels = metrics.gauge("plinth_upstream_tunnels", "Open tunnels.", ["upstream"]).with({ upstream });
  const panic = metrics
    .gauge("plinth_upstream_panic", "1 while ejections or health are ignored, because too few targets are left.", [
      "upstream",
    ])
    .with({ upstream });
  const breaker = metrics.gauge("plinth_upstream_breaker", "1 for the state that the circuit breaker is in.", [
    "upstream",
    "state",
  ]);
  // Targets that are gone stay as zeros.
  const known = new Set<string>();
  return metrics.collect(() => {
    const now = read();
    const counts = new Map<string, number>();
    for (const { target, state } of now.states()) {
      known.add(target);
      counts.set(`${state} ${target}`, (counts.get(`${state} ${target}`) ?? 0) + 1);
    }
    for (const target of known)
      for (const state of stateNames)
        targets.with({ upstream, target, state }).set(counts.get(`${state} ${target}`) ?? 0);
    for (const state of breakerNames) breaker.with({ upstream, state }).set(state === now.breaker ? 1 : 0);
    inFlight.set(now.inFlight);
    tunnels.set(now.tunnels);
    panic.set(now.isPanicking ? 1 : 0);
  });
}
