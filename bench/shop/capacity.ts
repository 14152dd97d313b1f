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
 * The highest rate that holds. It goes up to what the processor time of the last trial promises, at least by a tenth and at
 * most twofold, until a rate does not hold, and then looks once or twice between that and the last that did.
 */
export async function findCapacity(
  lowRate: number,
  cores: number,
  attempt: (rate: number) => Promise<Trial>,
): Promise<Trial> {
  let best: Trial | undefined;
  let rate = lowRate;
  for (let trials = 0; trials < trialsMax; trials++) {
    const trial = await attempt(rate);
    if (trial.problem !== undefined) return searchBetween(best, trial, rate, attempt);
    best = trial;
    const promised = (0.9 * cores * 1e6) / trial.allCpuUs;
    rate = Math.round(Math.min(2 * rate, Math.max(1.1 * rate, promised)));
  }
  return best as Trial;
}

const trialsMax = 12;

async function searchBetween(
  held: Trial | undefined,
  failed: Trial,
  failedRate: number,
  attempt: (rate: number) => Promise<Trial>,
): Promise<Trial> {
  let [low, high, best] = [held?.rate ?? failedRate / 8, failedRate, held];
  for (let steps = 0; steps < (held ? 2 : 4) && high / low > 1.08; steps++) {
    const rate = Math.round(Math.sqrt(low * high));
    const trial = await attempt(rate);
    if (trial.problem === undefined) [low, best] = [rate, trial];
    else high = rate;
  }
  return best ?? failed;
}
