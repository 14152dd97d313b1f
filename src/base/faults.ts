import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** How something outside misbehaves, for tests. It may be changed at any time. */
export interface Faults {
  /** Part of the operations that fail, 0 to 1. */
  errorRate?: number;
  /** The longest delay of an operation, in milliseconds; each takes a random part of it. */
  delayMsMax?: number;
  /** Operations never answer. */
  hang?: boolean;
  /** A failing operation has its effect all the same: only the answer is lost. */
  afterEffect?: boolean;
}

export interface FaultsOptions {
  readonly faults: Faults;
  readonly random: Random;
  readonly clock: Clock;
  /** What a failing operation throws. */
  readonly lost: () => Error;
}

/** Lets operations through as the faults say. */
export function createFaults({ faults, random, clock, lost }: FaultsOptions) {
  let operationCount = 0;
  return {
    /** Operations that were asked for, failed ones included. */
    get operationCount(): number {
      return operationCount;
    },
    async through<T>(operation: () => T | Promise<T>): Promise<T> {
      operationCount++;
      if (faults.hang) return new Promise(() => {});
      if (faults.delayMsMax) await clock.sleep(random.next() * faults.delayMsMax);
      const fails = random.next() < (faults.errorRate ?? 0);
      if (fails && !faults.afterEffect) throw lost();
      const answer = await operation();
      if (fails) throw lost();
      return answer;
    },
  };
}
