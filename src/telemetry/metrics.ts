import type { Clock } from "../base/index.ts";
import { StartError, systemClock } from "../base/index.ts";
import { expositionFormatFor, expositionTypes, writeExposition } from "./exposition.ts";
import type { Counter, Gauge, Histogram, MetricDefinition, MetricFamily, Rejections, Series } from "./metric-family.ts";
import { CounterSeries, Family, GaugeSeries, HistogramSeries } from "./metric-family.ts";
import { checkLabelNames, checkMetricName } from "./metric-names.ts";

/**
 * Counters, gauges and histograms, and their text for a scraper (Prometheus 0.0.4, OpenMetrics 1.0.0).
 *
 * A metric is declared once, at start; the handle of a series is fetched once and kept; counting is then an addition in
 * a field. Nothing is rendered before somebody scrapes. Asking for the same metric again, declared alike, gives the same.
 *
 * Limits: a metric has at most `seriesMax` series (default 1000). Further label values share one series with the label
 * `other`, counted in `plinth_metrics_overflow_total`. Values that would spoil a series (negative, NaN, endless) are left
 * out and counted in `plinth_metrics_rejected_total`. A label value is cut at 256 characters.
 */
export interface Metrics {
  /** `name` ends in `_total`. */
  counter<const L extends string = never>(
    name: string,
    help: string,
    labelNames?: readonly L[],
  ): MetricFamily<L, Counter>;
  gauge<const L extends string = never>(name: string, help: string, labelNames?: readonly L[]): MetricFamily<L, Gauge>;
  /** `buckets`: upper bounds in rising order, without +Inf. Default: seconds, from 5 ms to 10 s. */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    labelNames?: readonly L[],
    buckets?: readonly number[],
  ): MetricFamily<L, Histogram>;
  /**
   * Runs `task` before each rendering, to set what is measured only then. One that fails, or takes more than 1 s, is
   * counted in `plinth_metrics_collect_failures_total` and the rest is rendered all the same. The returned function
   * takes it back.
   */
  collect(task: () => void | Promise<void>): () => void;
  /** The text for a scraper, in the format that its `Accept` header prefers. */
  render(accept?: string): Promise<RenderedMetrics>;
}

export interface RenderedMetrics {
  readonly contentType: string;
  readonly body: string;
}

/** OpenTelemetry's buckets for the duration of HTTP and RPC calls, in seconds. */
export const durationBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

export const bucketCountMax = 64;
const collectMsMax = 1000;

export interface MetricsOptions {
  /** Series for one metric before label values are thrown together. Default 1000. */
  readonly seriesMax?: number;
  readonly clock?: Clock;
}

export function createMetrics(options: MetricsOptions = {}): Metrics {
  const clock = options.clock ?? systemClock;
  const seriesMax = options.seriesMax ?? 1000;
  // By the name under which OpenMetrics knows it, so that "jobs" and "jobs_total" cannot both be.
  const families = new Map<string, { readonly family: Family<Series>; readonly shape: string }>();
  const tasks = new Set<() => void | Promise<void>>();

  const declare = <S extends Series>(
    definition: MetricDefinition,
    extra: string,
    make: (labels: string, rejections: Rejections) => S,
  ): Family<S> => {
    const { kind, name, labelNames } = definition;
    checkMetricName(kind, name);
    checkLabelNames(name, labelNames);
    const key = kind === "counter" ? name.slice(0, -"_total".length) : name;
    const shape = JSON.stringify([kind, name, labelNames, extra]);
    const known = families.get(key);
    if (known && known.shape !== shape) {
      throw new StartError(
        "METRIC_CONFLICT",
        `metric ${JSON.stringify(name)}: it is declared already, otherwise: ${known.shape}. Declare it alike, or name it otherwise.`,
      );
    }
    if (known) return known.family as Family<S>;
    const family = new Family(definition, seriesMax, make);
    families.set(key, { family, shape });
    return family;
  };

  const metrics: Metrics = {
    counter: (name, help, labelNames = []) =>
      declare({ kind: "counter", name, help, labelNames }, "", (labels, to) => new CounterSeries(labels, to)),
    gauge: (name, help, labelNames = []) =>
      declare({ kind: "gauge", name, help, labelNames }, "", (labels) => new GaugeSeries(labels)),
    histogram(name, help, labelNames = [], buckets = durationBuckets) {
      checkBuckets(name, buckets);
      const bounds = Float64Array.from(buckets);
      return declare(
        { kind: "histogram", name, help, labelNames },
        buckets.join(" "),
        (labels, to) => new HistogramSeries(labels, bounds, to),
      );
    },
    collect(task) {
      tasks.add(task);
      return () => void tasks.delete(task);
    },
    async render(accept) {
      const outcomes = await Promise.all([...tasks].map((task) => runTask(task, clock)));
      for (const ok of outcomes) if (!ok) collectFailures.add();
      for (const { family } of families.values()) {
        if (family.rejected > 0) rejected.with({ metric: family.name }).advanceTo(family.rejected);
        if (family.overflowCount > 0) overflow.with({ metric: family.name }).advanceTo(family.overflowCount);
      }
      const format = expositionFormatFor(accept);
      const list = [...families.values()].map(({ family }) => family);
      return { contentType: expositionTypes[format], body: writeExposition(list, format) };
    },
  };

  const collectFailures = metrics
    .counter("plinth_metrics_collect_failures_total", "Tasks before a scrape that failed or took too long.")
    .with();
  const rejected = metrics.counter(
    "plinth_metrics_rejected_total",
    "Values left out because they would spoil a series.",
    ["metric"],
  );
  const overflow = metrics.counter(
    "plinth_metrics_overflow_total",
    "Label values that share the series named other, because the metric has as many series as it may have.",
    ["metric"],
  );
  return metrics;
}

async function runTask(task: () => void | Promise<void>, clock: Clock): Promise<boolean> {
  try {
    const running = task();
    if (running === undefined) return true;
    return await new Promise<boolean>((resolve) => {
      const cancel = clock.after(collectMsMax, () => resolve(false));
      running.then(
        () => resolve(true),
        () => resolve(false),
      );
      running.finally(cancel).catch(() => {});
    });
  } catch {
    return false;
  }
}

function checkBuckets(name: string, buckets: readonly number[]): void {
  const rising = buckets.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > (buckets[i - 1] as number)));
  if (buckets.length === 0 || buckets.length > bucketCountMax || !rising) {
    throw new StartError(
      "METRIC_BUCKETS_WRONG",
      `metric ${JSON.stringify(name)}: buckets are 1 to ${bucketCountMax} finite numbers in rising order, without +Inf.`,
    );
  }
}
