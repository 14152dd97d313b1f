import type { LoadReport } from "../load/open-loop-shots.ts";
import { failuresOf, reasonsOf } from "../load/open-loop-text.ts";

/** What one rate gave. */
export interface Trial {
  readonly rate: number;
  readonly report: LoadReport;
  /** Of all processes but the load's, for each request. */
  readonly cpuUs: number;
  /** The same with the load's. */
  readonly allCpuUs: number;
  readonly rssMiB: number;
  /** Why this rate does not hold; undefined when it does. */
  readonly problem: string | undefined;
}

const p99MsMax = 200;

/** Errors, or times, beyond what is asked. Those who are to be refused are. */
export function problemOf(report: LoadReport): string | undefined {
  const { declined } = report.routes;
  const errors = failuresOf(report.all) - (declined?.statuses[400] ?? 0);
  if (errors > 0) return `${errors} errors (${reasonsOf(report.all)})`;
  if (report.all.p99Ms >= p99MsMax) return `p99 ${report.all.p99Ms.toFixed(0)} ms`;
  return undefined;
}

/**
 * The highest rate that holds: begun with what the processor time of a low rate promises, then up or down in steps of a
 * sixth, until one that holds is next to one that does not.
 */
export async function findCapacity(
  lowRate: number,
  cores: number,
  attempt: (rate: number) => Promise<Trial>,
): Promise<Trial> {
  let best = await attempt(lowRate);
  if (best.problem !== undefined) return findLower(lowRate, attempt, best);
  let rate = Math.round((0.85 * cores * 1e6) / best.allCpuUs);
  const first = await attempt(rate);
  if (first.problem !== undefined) {
    const lower = await findLower(rate, attempt, first, best.rate);
    return lower.problem === undefined ? lower : best;
  }
  best = first;
  for (let steps = 0; steps < 4; steps++) {
    rate = Math.round(rate * 1.17);
    const next = await attempt(rate);
    if (next.problem !== undefined) return best;
    best = next;
  }
  return best;
}

async function findLower(
  from: number,
  attempt: (rate: number) => Promise<Trial>,
  failed: Trial,
  held = 0,
): Promise<Trial> {
  let last = failed;
  let rate = from;
  for (let steps = 0; steps < 5; steps++) {
    rate = Math.round(rate / 1.17);
    if (rate <= held) return last;
    last = await attempt(rate);
    if (last.problem === undefined) return last;
  }
  return last;
}
