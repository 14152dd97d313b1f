import { StartError } from "../base/index.ts";

/**
 * What a metric and its labels may be called: the rules of Prometheus and OpenMetrics, and ours on units. Wrong names
 * are a wrong program: `METRIC_NAME_WRONG` or `METRIC_LABEL_WRONG` at start.
 */
export type MetricKind = "counter" | "gauge" | "histogram";

export const labelCountMax = 10;

const validName = /^[a-z][a-z0-9_]*$/;
const validLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const reservedEnding = /_(?:total|sum|count|bucket|created|info)$/;
const derivedUnit =
  /_(ns|us|ms|nanoseconds|microseconds|milliseconds|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|gigabytes|bits|percent)(?:_total)?$/;
const baseUnits = ["seconds", "bytes", "ratio", "volts", "amperes", "joules", "grams", "meters", "celsius"];

export function checkMetricName(kind: MetricKind, name: string): void {
  const wrong = (what: string): never => {
    throw new StartError("METRIC_NAME_WRONG", `metric ${JSON.stringify(name)}: ${what}`);
  };
  if (!validName.test(name) || name.includes("__")) {
    wrong('use lower-case letters, digits and single underscores, as in "http_server_request_duration_seconds".');
  }
  if (kind === "counter" && !name.endsWith("_total")) wrong(`a counter's name ends in "_total".`);
  const stem = kind === "counter" ? name.slice(0, -"_total".length) : name;
  if (reservedEnding.test(stem)) {
    wrong('"_total", "_sum", "_count", "_bucket", "_created" and "_info" are endings with a meaning of their own.');
  }
  const unit = derivedUnit.exec(name)?.[1];
  if (unit !== undefined) wrong(`"${unit}" is no base unit. Use seconds, bytes or ratio, and convert the values.`);
}

export function checkLabelNames(name: string, labelNames: readonly string[]): void {
  const wrong = (what: string): never => {
    throw new StartError("METRIC_LABEL_WRONG", `metric ${JSON.stringify(name)}: ${what}`);
  };
  if (labelNames.length > labelCountMax) wrong(`${labelNames.length} labels; at most ${labelCountMax} are possible.`);
  for (const label of labelNames) {
    if (!validLabel.test(label) || label.startsWith("__")) {
      wrong(`label ${JSON.stringify(label)} needs letters, digits and underscores, and no "__" before.`);
    }
    if (label === "le" || label === "quantile") wrong(`label "${label}" is kept for histograms and summaries.`);
  }
  if (new Set(labelNames).size !== labelNames.length) wrong("a label is named twice.");
}

/** The unit at the end of a metric's name, for OpenMetrics. */
export function unitOf(family: string): string | undefined {
  return baseUnits.find((unit) => family.endsWith(`_${unit}`));
}
