import type { AccessLog } from "./access-log.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import type { Tracer } from "./tracer.ts";

/** What telemetry itself lost, as metrics: a log that drops lines says so where somebody looks. */
export function registerTelemetryMetrics(
  metrics: Metrics,
  parts: {
    readonly log?: Pick<Logger, "failedCount">;
    readonly accessLog?: Pick<AccessLog, "droppedCount" | "writtenCount">;
    readonly tracer?: Pick<Tracer, "stats">;
  },
): () => void {
  const { log, accessLog, tracer } = parts;
  const lines = metrics.counter("plinth_log_lines_lost_total", "Log lines that could not be written.", ["log"]);
  const spans = metrics.counter("plinth_trace_spans_total", "Finished sampled spans, by what became of them.", [
    "outcome",
  ]);
  return metrics.collect(() => {
    if (log) lines.with({ log: "service" }).advanceTo(log.failedCount);
    if (accessLog) lines.with({ log: "access" }).advanceTo(accessLog.droppedCount);
    if (!tracer) return;
    const { finished, exported, lost, failed } = tracer.stats;
    for (const [outcome, total] of Object.entries({ finished, exported, lost, failed })) {
      spans.with({ outcome }).advanceTo(total);
    }
  });
}
