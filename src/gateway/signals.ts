import type { Histogram, MetricFamily, Metrics } from "../telemetry/index.ts";

/** The edge's metrics, by OpenTelemetry's names (semantic conventions 1.44, in Prometheus spelling). */
export interface EdgeMetrics {
  /** The handle that notes the duration of answers with `status`. Made at the first of its kind. */
  observe(method: string, route: string): (status: number, seconds: number) => void;
}

/** From 5 ms to 10 s, as the conventions advise. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

type Labels = "http_request_method" | "http_route" | "http_response_status_code";

export function createEdgeMetrics(metrics: Metrics | undefined, inFlight: () => number): EdgeMetrics {
  if (!metrics) return { observe: () => () => {} };
  const durations: MetricFamily<Labels, Histogram> = metrics.histogram(
    "http_server_request_duration_seconds",
    "Time from a request's headers to the end of its answer.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets,
  );
  const active = metrics.gauge("http_server_active_requests", "Requests that are being answered.").with();
  metrics.collect(() => active.set(inFlight()));

  return {
    observe(method, route) {
      // Four kilobytes for each method of each route: only of those that are used.
      let byStatus: (Histogram | undefined)[] | undefined;
      return (status, seconds) => {
        byStatus ??= new Array(500).fill(undefined);
        let handle = byStatus[status - 100];
        if (handle === undefined) {
          handle = durations.with({
            http_request_method: method,
            http_route: route,
            http_response_status_code: String(status),
          });
          byStatus[status - 100] = handle;
        }
        handle.observe(seconds);
      };
    },
  };
}

const knownMethods: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "CONNECT",
]);

/** A method's name as a label: `_OTHER` for what a client made up. */
export function methodLabel(method: string): string {
  return knownMethods.has(method) ? method : "_OTHER";
}
