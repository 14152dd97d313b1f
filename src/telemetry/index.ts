/**
 * What the program tells about itself: logs, traces, metrics. Cheap enough to stay on: numbers until somebody asks,
 * batches instead of writes, nothing rendered before it is read.
 */
export type { AccessEntry, AccessLog, AccessLogOptions } from "./access-log.ts";
export { createAccessLog } from "./access-log.ts";
export type { Output, TextDestination } from "./destination.ts";
export { openOutput, standardOutput } from "./destination.ts";
export { errorFields } from "./error-fields.ts";
export type { LogFields, Logger, LoggerOptions, LogLevel, LogMethod } from "./logger.ts";
export { createLogger, logLevels } from "./logger.ts";
export type { Counter, Gauge, Histogram, LabelValue, MetricFamily } from "./metric-family.ts";
export type { Metrics, MetricsOptions, RenderedMetrics } from "./metrics.ts";
export { createMetrics, durationBuckets } from "./metrics.ts";
export { registerProcessMetrics } from "./process-metrics.ts";
export type { Redactor } from "./redactor.ts";
export { createRedactor, redactedKeysDefault } from "./redactor.ts";
export { registerTelemetryMetrics } from "./self-metrics.ts";
export type { Attributes, AttributeValue, Span, SpanData, SpanKind, SpanLink, SpanStatus } from "./span.ts";
export { createSpanLines } from "./span-lines.ts";
export type { HeaderText, RemoteTrace } from "./trace-context.ts";
export { parseTrace } from "./trace-context.ts";
export type { SpanExporter, Tracer, TracerOptions, TracerStats } from "./tracer.ts";
export { createTracer } from "./tracer.ts";
