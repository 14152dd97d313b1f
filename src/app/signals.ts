import type { Clock, Random } from "../base/index.ts";
import type { AccessLog, Logger, Metrics, TextDestination, Tracer } from "../telemetry/index.ts";
import {
  createAccessLog,
  createLogger,
  createMetrics,
  createRedactor,
  createTracer,
  registerProcessMetrics,
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
  /** "shop", or "shop/orders". */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly destination: TextDestination | undefined;
}

export function createSignals({ settings, name, clock, random, destination }: SignalsOptions): Signals {
  const redactor = createRedactor();
  const output = destination ? { destination } : {};
  const log = createLogger({ level: settings.logLevel, service: name, redactor, clock, ...output });
  const accessLog = createAccessLog({
    service: name,
    // Silence is for both: lines of requests, too, are lines.
    sample: settings.logLevel === "silent" ? 0 : settings.accessLogSample,
    redactor,
    clock,
    random,
    ...output,
  });
  const metrics = createMetrics({ clock });
  const tracer = createTracer({ sampleRatio: settings.traceSample, clock, random });
  const stopObserving = registerProcessMetrics(metrics, { clock });
  for (const secret of [settings.rpcSecret, settings.tokenKey, settings.databaseUrl, settings.cacheUrl]) {
    if (secret !== undefined) log.registerSecret(secret);
  }
  return {
    log,
    accessLog,
    tracer,
    metrics,
    async close() {
      stopObserving();
      await tracer.close();
      await accessLog.close();
      await log.flush();
    },
  };
}
