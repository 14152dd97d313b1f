import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { type OperationName, operationNames } from "./operations.ts";

/** What was measured of one operation. Times are in milliseconds, from the moment at which it was meant to begin. */
export interface OperationReport {
  readonly sent: number;
  readonly ok: number;
  /** Refused in a way that a customer may meet, such as a declined card: an answer, and a right one. */
  readonly refused: Readonly<Record<string, number>>;
  readonly failed: Readonly<Record<string, number>>;
  readonly wrong: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export type Kind = "ok" | "refused" | "failed" | "wrong";

export interface Tally {
  count(operation: OperationName, kind: Kind, reason: string | undefined, latencyMs: number): void;
  report(): Record<OperationName | "all", OperationReport>;
}

/** An hour, in microseconds: what takes longer counts as this. */
const longestUs = 3_600_000_000;

export function createTally(): Tally {
  const all = createRow();
  const rows = new Map(operationNames.map((name) => [name, createRow()]));
  return {
    count(operation, kind, reason, latencyMs) {
      for (const row of [rows.get(operation), all]) row?.count(kind, reason, latencyMs);
    },
    report: () =>
      Object.fromEntries([...rows, ["all", all] as const].map(([name, row]) => [name, row.report()])) as Record<
        OperationName | "all",
        OperationReport
      >,
  };
}

function createRow() {
  const histogram = createHistogram({ lowest: 1, highest: longestUs, figures: 3 });
  const reasons = { refused: new Map(), failed: new Map(), wrong: new Map() } satisfies Record<
    string,
    Map<string, number>
  >;
  let sent = 0;
  let ok = 0;
  return {
    count(kind: Kind, reason: string | undefined, latencyMs: number) {
      sent++;
      histogram.record(Math.max(1, Math.min(longestUs, Math.round(latencyMs * 1000))));
      if (kind === "ok") ok++;
      else {
        const counts: Map<string, number> = reasons[kind];
        counts.set(reason ?? "no reason", (counts.get(reason ?? "no reason") ?? 0) + 1);
      }
    },
    report: (): OperationReport => ({
      sent,
      ok,
      refused: Object.fromEntries(reasons.refused),
      failed: Object.fromEntries(reasons.failed),
      wrong: Object.fromEntries(reasons.wrong),
      ...percentilesOf(histogram, sent),
    }),
  };
}

function percentilesOf(histogram: RecordableHistogram, sent: number) {
  const at = (percentile: number) => (sent === 0 ? 0 : histogram.percentile(percentile) / 1000);
  return { p50Ms: at(50), p90Ms: at(90), p99Ms: at(99), maxMs: sent === 0 ? 0 : histogram.max / 1000 };
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
