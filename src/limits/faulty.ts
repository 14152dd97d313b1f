import type { Clock, Random } from "../base/index.ts";
import { createSeededRandom, systemClock } from "../base/index.ts";
import type { LimitDriver } from "./driver.ts";
import { limitsFault } from "./errors.ts";

export interface LimitFaults {
  /** Part of the operations that fail, 0 to 1. */
  errorRate?: number;
  /** The longest delay of an operation, in milliseconds; each takes a random part of it. */
  delayMsMax?: number;
  /** Operations never answer. */
  hang?: boolean;
  /** A failing operation has its effect all the same: only the answer is lost. */
  afterEffect?: boolean;
}

/** A driver that misbehaves as told, by seed. `faults` may be changed at any time. It passes for an outside engine. */
export interface FaultyLimits extends LimitDriver {
  readonly faults: LimitFaults;
  /** Operations that were asked for, failed ones included. */
  readonly operationCount: number;
}

export function createFaultyLimits(
  driver: LimitDriver,
  options: { faults?: LimitFaults; random?: Random; clock?: Clock } = {},
): FaultyLimits {
  const random = options.random ?? createSeededRandom(1);
  const clock = options.clock ?? systemClock;
  const faults: LimitFaults = { ...options.faults };
  let operationCount = 0;

  const through = async <T>(operation: () => T | Promise<T>): Promise<T> => {
    operationCount++;
    if (faults.hang) return new Promise(() => {});
    if (faults.delayMsMax) await clock.sleep(random.next() * faults.delayMsMax);
    const fails = random.next() < (faults.errorRate ?? 0);
    if (fails && !faults.afterEffect) throw limitsFault();
    const answer = await operation();
    if (fails) throw limitsFault();
    return answer;
  };
  return {
    name: `faulty ${driver.name}`,
    flags: { ...driver.flags, shared: true },
    faults,
    get operationCount() {
      return operationCount;
    },
    open: () => driver.open(),
    close: () => driver.close(),
    take: (slot, demands) => through(() => driver.take(slot, demands)),
    release: (slot, places) => through(() => driver.release(slot, places)),
    renew: (slot, places) => through(() => driver.renew(slot, places)),
  };
}
