import type { CallContext, Clock } from "../base/index.ts";
import { StartError, systemClock } from "../base/index.ts";
import type { Bulkhead, TimeLimit } from "../resilience/index.ts";
import { createBulkhead, createTimeLimit, untilCancelled } from "../resilience/index.ts";
import { leaseMs } from "./driver.ts";
import { fillsLimited } from "./errors.ts";

export interface FillGateOptions {
  readonly namespace: string;
  /** Loads that run at the same time. */
  readonly concurrentMax: number;
  /** Loads that begin in a second. Undefined: as many as `concurrentMax` lets through. */
  readonly perSecondMax: number | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * What stands between a cold cache and the database: `concurrentMax` loads run, 1,024 wait for at most 1 s, the rest is
 * refused with `BULKHEAD_FULL`. A database that slows down gets fewer by itself. A load that takes longer than `leaseMs`
 * (30 s), after which its result could not be stored, gives its place away: who wants its answer goes on waiting for it,
 * but loads that hang do not keep all others out for good.
 *
 * With `perSecondMax` no more than that begin in a second, and a tenth more at once; who would have to wait for more than
 * 1 s, or half of its remaining time, is refused with `CACHE_FILLS_LIMITED`. Turns are given in order.
 */
export class FillGate {
  readonly bulkhead: Bulkhead;
  limitedCount = 0;

  readonly #clock: Clock;
  readonly #placeLimit: TimeLimit;
  readonly #everyMs: number;
  readonly #aheadMs: number;
  /** When the next turn would be, were all taken evenly. */
  #nextAt = 0;

  constructor({ namespace, concurrentMax, perSecondMax, clock = systemClock }: FillGateOptions) {
    if (perSecondMax !== undefined && !(perSecondMax >= 1)) {
      throw new StartError(
        "CACHE_FILLS_INVALID",
        `cache of ${namespace}: fillsPerSecondMax must be 1 or more, not ${perSecondMax}; leave it out for no limit`,
      );
    }
    this.#clock = clock;
    this.#placeLimit = createTimeLimit({ name: `a cache fill of ${namespace}`, limit: leaseMs, clock });
    this.#everyMs = perSecondMax === undefined ? 0 : 1000 / perSecondMax;
    this.#aheadMs = this.#everyMs * Math.floor((perSecondMax ?? 0) / 10);
    this.bulkhead = createBulkhead({
      name: `cache fills of ${namespace}`,
      concurrentMax,
      queueMax,
      waitMax: waitMsMax,
      clock,
    });
  }

  async run<T>(work: () => Promise<T>, context: CallContext | undefined): Promise<T> {
    if (this.#everyMs > 0) await this.#turn(context);
    let answer: Promise<T> | undefined;
    await this.bulkhead.run(async () => {
      answer = work();
      await this.#placeLimit(answer).then(leave, leave);
    }, context);
    return answer as Promise<T>;
  }

  async #turn(context: CallContext | undefined): Promise<void> {
    const nowMs = this.#clock.now();
    const turnAt = Math.max(this.#nextAt, nowMs - this.#aheadMs);
    const waitMs = turnAt - nowMs;
    const patienceMs = Math.min(waitMsMax, context ? (context.deadline - nowMs) / 2 : waitMsMax);
    if (waitMs > patienceMs) {
      this.limitedCount++;
      throw fillsLimited();
    }
    this.#nextAt = turnAt + this.#everyMs;
    if (waitMs <= 0) return;
    const waited = this.#clock.sleep(waitMs);
    await (context ? untilCancelled(waited, context) : waited);
  }
}

const leave = (): void => {};
const queueMax = 1024;
const waitMsMax = 1000;
