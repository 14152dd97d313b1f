import type { Clock, Random } from "../base/index.ts";
import type { AccessLog, Logger, Metrics, TextDestination, Tracer } from "../telemetry/index.ts";
import {
  createAccessLog,
  createLogger,
  createMetrics,
  createRedactor,
  createTracer,
  registerProcessMetrics,
  registerTelemetryMetrics,
} from "../telemetry/index.ts";
import type { Settings } from "./settings.ts";

/** What one process tells about itself, and its end: the last lines are out when `close` resolves. */
export interface Signals {
  readonly log: Logger;
  readonly accessLog: AccessLog;
  readonly tracer: Tracer;
  readonly metrics: Metrics;
  close(): Promise<void>;
}

export interface SignalsOptions {
  readonly settings: Settings;
  readonly secrets: readonly string[];
  /** "shop", or "shop/orders". */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly destination: TextDestination | undefined;
}

export function createSignals({ settings, secrets, name, clock, random, destination }: SignalsOptions): Signals {
  const redactor = createRedactor();
  for (const secret of secrets) redactor.register(secret);
  // Silence is for both logs: lines of requests are lines too.
  const chosen = settings.logLevel === "silent" ? nowhere : destination;
  const output = chosen ? { destination: chosen } : {};
  const log = createLogger({ level: settings.logLevel, fields: { app: name }, redactor, clock, ...output });
  // Whoever develops wants to see each request.
  const sample = settings.accessLogSample ?? (settings.mode === "development" ? 1 : 0.01);
  const accessLog = createAccessLog({ service: name, sample, redactor, clock, random, ...output });
  const metrics = createMetrics({ clock });
  const tracer = createTracer({ sampleRatio: settings.traceSample, clock, random });
  const stops = [
    registerProcessMetrics(metrics, { clock }),
    registerTelemetryMetrics(metrics, { log, accessLog, tracer }),
  ];
  return {
    log,
    accessLog,
    tracer,
    metrics,
    async close() {
      for (const stop of stops) stop();
      await tracer.close();
      await accessLog.close();
      await log.flush();
    },
  };
}

const nowhere: TextDestination = { write: (_text, done) => done?.() };
