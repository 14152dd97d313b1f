import type { Clock, Random } from "../base/index.ts";
import type { Overload, ShedReason } from "../resilience/index.ts";
import { createOverload, criticalities } from "../resilience/index.ts";
import type { Metrics } from "../telemetry/index.ts";

/** What the app says of overload, beside the `criticality` of its methods. */
export interface OverloadGuarding {
  /** `false`: requests are taken on as long as the fixed limits let them in. For comparison, and for a process that something else guards. */
  readonly overload?: false;
}

/** One for a process: its gateway and its RPC server share the processor. Undefined where the app does without. */
export function createProcessOverload(
  { overload }: OverloadGuarding,
  { clock, random, metrics }: { readonly clock: Clock; readonly random: Random; readonly metrics: Metrics },
): Overload | undefined {
  if (overload === false) return undefined;
  const made = createOverload({ clock, random });
  measureOverload(metrics, made);
  return made;
}

const reasons: readonly ShedReason[] = ["limit", "turn", "loop", "wait"];

function measureOverload(metrics: Metrics, overload: Overload): void {
  const limit = metrics.gauge("plinth_overload_limit", "Requests that the process works on at a time, at most.").with();
  const inFlight = metrics.gauge("plinth_overload_in_flight", "Requests and calls that it works on now.").with();
  const queued = metrics.gauge("plinth_overload_queued", "Requests and calls that wait to be taken on.").with();
  const delay = metrics
    .gauge("plinth_overload_loop_delay_seconds", "How late the event loop was on average, when last looked at.")
    .with();
  const shed = metrics.counter("plinth_overload_shed_total", "Requests and calls refused for lack of room.", [
    "criticality",
    "reason",
  ]);
  metrics.collect(() => {
    const { stats } = overload;
    limit.set(stats.limit);
    inFlight.set(stats.inFlight);
    queued.set(stats.queued);
    delay.set(stats.loopDelayMs / 1000);
    for (const [level, criticality] of criticalities.entries()) {
      const counts = stats.shed(level);
      for (const reason of reasons) shed.with({ criticality, reason }).advanceTo(counts[reason]);
    }
  });
}
