import { readdirSync } from "node:fs";
import type { IntervalHistogram } from "node:perf_hooks";
import { monitorEventLoopDelay, PerformanceObserver, performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Clock } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import type { Metrics } from "./metrics.ts";

/**
 * What this process is doing: processor, memory, event loop, garbage collection, open handles, under the names that
 * Prometheus (`process_…`) and OpenTelemetry (`nodejs_…`, `v8js_…`) have for them. Read only at a scrape, except for the
 * event loop's delay (a timer every 20 ms) and garbage collections.
 *
 * Delay and utilization are those since the last scrape: with two scrapers, each sees part. The returned function ends it.
 */
export function registerProcessMetrics(metrics: Metrics, options: { readonly clock?: Clock } = {}): () => void {
  const clock = options.clock ?? systemClock;
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
  delay.enable();
  const tasks = [processor(metrics), memory(metrics), eventLoop(metrics, delay), handles(metrics)];
  metrics
    .gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.")
    .with()
    .set(clock.wallNow() / 1000 - process.uptime());
  const stopGc = observeGc(metrics);
  const takeBack = metrics.collect(() => {
    for (const task of tasks) task();
  });
  return () => {
    takeBack();
    stopGc();
    delay.disable();
  };
}

const delayResolutionMs = 20;

function processor(metrics: Metrics): () => void {
  const cpu = metrics.counter("process_cpu_seconds_total", "Processor time used, user and system.").with();
  const uptime = metrics.gauge("process_uptime_seconds", "Time since the process started.").with();
  return () => {
    const { user, system } = process.cpuUsage();
    cpu.advanceTo((user + system) / 1_000_000);
    uptime.set(process.uptime());
  };
}

function memory(metrics: Metrics): () => void {
  const resident = metrics.gauge("process_resident_memory_bytes", "Memory that the process holds.").with();
  const heapUsed = metrics.gauge("v8js_memory_heap_used_bytes", "Heap in use.").with();
  const heapTotal = metrics.gauge("v8js_memory_heap_allocated_bytes", "Heap taken from the system.").with();
  const heapLimit = metrics.gauge("v8js_memory_heap_limit_bytes", "Heap that the process may use.").with();
  const external = metrics
    .gauge("v8js_memory_external_bytes", "Memory of buffers and other objects outside the heap.")
    .with();
  return () => {
    const usage = process.memoryUsage();
    resident.set(usage.rss);
    heapUsed.set(usage.heapUsed);
    heapTotal.set(usage.heapTotal);
    external.set(usage.external);
    heapLimit.set(getHeapStatistics().heap_size_limit);
  };
}

function eventLoop(metrics: Metrics, delay: IntervalHistogram): () => void {
  const gauge = (part: string, help: string) =>
    metrics
      .gauge(`nodejs_eventloop_delay_${part}_seconds`, `Delay of the event loop since the last scrape: ${help}.`)
      .with();
  const mean = gauge("mean", "mean");
  const p50 = gauge("p50", "median");
  const p90 = gauge("p90", "90th percentile");
  const p99 = gauge("p99", "99th percentile");
  const max = gauge("max", "maximum");
  const utilization = metrics
    .gauge(
      "nodejs_eventloop_utilization_ratio",
      "Share of time in which the event loop was busy, since the last scrape.",
    )
    .with();
  let last = performance.eventLoopUtilization();
  return () => {
    // What Node records is the time between two ticks of its timer; the delay is what exceeds the resolution.
    const seconds = (ns: number): number =>
      Number.isFinite(ns) ? Math.max(0, ns / 1e9 - delayResolutionMs / 1000) : 0;
    mean.set(seconds(delay.mean));
    p50.set(seconds(delay.percentile(50)));
    p90.set(seconds(delay.percentile(90)));
    p99.set(seconds(delay.percentile(99)));
    max.set(seconds(delay.max));
    delay.reset();
    const now = performance.eventLoopUtilization();
    utilization.set(performance.eventLoopUtilization(now, last).utilization);
    last = now;
  };
}

function handles(metrics: Metrics): () => void {
  const active = metrics.gauge("nodejs_active_resources", "What keeps the event loop alive, by type.", ["type"]);
  const files = metrics.gauge("process_open_fds", "Open file descriptors; 0 where the system does not tell.").with();
  /** Types once seen: they are set to zero when they are gone. */
  const seen = new Set<string>();
  return () => {
    const counts = new Map<string, number>();
    for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
    for (const type of seen) if (!counts.has(type)) active.with({ type }).set(0);
    for (const [type, count] of counts) {
      seen.add(type);
      active.with({ type }).set(count);
    }
    files.set(openFileCount());
  };
}

function openFileCount(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}

/** `kind` of a garbage collection in Node's performance entries. */
const gcTypes: Readonly<Record<number, string>> = {
  1: "minor",
  2: "minor",
  4: "major",
  8: "incremental",
  16: "weakcb",
};

function observeGc(metrics: Metrics): () => void {
  const duration = metrics.histogram(
    "v8js_gc_duration_seconds",
    "Duration of garbage collections.",
    ["v8js_gc_type"],
    [0.01, 0.1, 1, 10],
  );
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind = (entry as { detail?: { kind?: number } }).detail?.kind ?? 0;
      duration.with({ v8js_gc_type: gcTypes[kind] ?? "other" }).observe(entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return () => observer.disconnect();
}
