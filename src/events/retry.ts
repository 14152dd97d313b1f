import type { Duration, PlinthError, Random } from "../base/index.ts";
import { StartError, toMs } from "../base/index.ts";

/** Waits before the second, third … attempt: 1 + 5 attempts over about 13 minutes. */
export const retriesDefault: readonly Duration[] = ["1s", "5s", "30s", "2m", "10m"];

const retriesCountMax = 20;
const waitMsMax = 24 * 3_600_000;

export interface RetryPlan {
  /** The first one counted. */
  readonly attemptsMax: number;
  /** How long to wait after this attempt failed: full length less up to a fifth, so that what failed together does not come back together. */
  waitMs(attempt: number, random: Random): number;
}

export function planRetries(retries: readonly Duration[], where: string): RetryPlan {
  const waits = retries.map((retry) => {
    const ms = toMs(retry);
    if (ms <= waitMsMax) return ms;
    throw new StartError(
      "RETRIES_UNUSABLE",
      `${where}: retries has a wait of ${JSON.stringify(retry)}. At most "24h": a failing event blocks its key meanwhile.`,
    );
  });
  if (waits.length > retriesCountMax) {
    throw new StartError(
      "RETRIES_UNUSABLE",
      `${where}: retries has ${waits.length} waits. Give at most ${retriesCountMax}; then it is a dead letter.`,
    );
  }
  const last = waits.at(-1) ?? 1000;
  return {
    attemptsMax: waits.length + 1,
    waitMs: (attempt, random) => (waits[attempt - 1] ?? last) * (1 - 0.2 * random.next()),
  };
}

/** The wait of the plan, or what the error asks for when that is longer: 24 h at most, as for a wait that is planned. */
export function waitAfter(failure: PlinthError, plannedMs: number): number {
  return typeof failure.retry === "number" ? Math.min(waitMsMax, Math.max(plannedMs, failure.retry)) : plannedMs;
}

/** Codes that say that the same event will fail the same way again. */
const terminalCodes: ReadonlySet<string> = new Set(["invalid_argument", "out_of_range", "unimplemented"]);

/** True when another attempt is of no use: straight to the dead letters. Anything unknown is worth another attempt. */
export function isTerminal(failure: PlinthError): boolean {
  return terminalCodes.has(failure.code);
}
