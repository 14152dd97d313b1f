import type { CallScope, Clock } from "../base/index.ts";
import type { Metrics, Span, SpanKind, Tracer } from "../telemetry/index.ts";

/** Notes the end of what a service did: how long it took and how it ended. */
export type Measure = (service: string, method: string) => (startedAt: number, code: string) => void;

const buckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMeasure({ metrics, clock }: { readonly metrics: Metrics; readonly clock: Clock }): Measure {
  const histogram = metrics.histogram(
    "rpc_server_call_duration_seconds",
    "Time a method's handler took, by outcome.",
    ["service", "method", "code"],
    buckets,
  );
  return (service, method) => {
    const handles = new Map<string, { observe(value: number): void }>();
    const handleOf = (code: string) => {
      const handle = histogram.with({ service, method, code });
      handles.set(code, handle);
      return handle;
    };
    const ok = handleOf("ok");
    return (startedAt, code) => {
      const seconds = (clock.now() - startedAt) / 1000;
      (code === "ok" ? ok : (handles.get(code) ?? handleOf(code))).observe(seconds);
    };
  };
}

/** A span of its own where the trace is recorded, or begins here. In a trace that is not, the parent's ids do as well. */
export function startSpan(tracer: Tracer, name: string, scope: CallScope, kind: SpanKind = "server"): Span | undefined {
  if (scope.trace && !scope.trace.sampled) return undefined;
  const span = tracer.start(name, scope.trace, kind);
  scope.trace = span;
  return span;
}
