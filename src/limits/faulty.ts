import type { Clock, Faults, Random } from "../base/index.ts";
import { createFaults, createSeededRandom, systemClock } from "../base/index.ts";
import type { LimitDriver } from "./driver.ts";
import { limitsFault } from "./errors.ts";

/** A driver that misbehaves as told, by seed. `faults` may be changed at any time. It passes for an outside engine. */
export interface FaultyLimits extends LimitDriver {
  readonly faults: Faults;
  /** Operations that were asked for, failed ones included. */
  readonly operationCount: number;
}

export function createFaultyLimits(
  driver: LimitDriver,
  options: { faults?: Faults; random?: Random; clock?: Clock } = {},
): FaultyLimits {
  const faults: Faults = { ...options.faults };
  const around = createFaults({
    faults,
    random: options.random ?? createSeededRandom(1),
    clock: options.clock ?? systemClock,
    lost: limitsFault,
  });
  const { through } = around;
  return {
    name: `faulty ${driver.name}`,
    flags: { ...driver.flags, shared: true },
    faults,
    get operationCount() {
      return around.operationCount;
    },
    open: () => driver.open(),
    close: () => driver.close(),
    take: (slot, demands) => through(() => driver.take(slot, demands)),
    release: (slot, places) => through(() => driver.release(slot, places)),
    renew: (slot, places) => through(() => driver.renew(slot, places)),
  };
}
