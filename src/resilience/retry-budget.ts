import type { Clock, Duration } from "../base/index.ts";
import { systemClock, toMs } from "../base/index.ts";
import { RatioWindow } from "./ratio-window.ts";

export interface RetryBudgetOptions {
  /** Retries per request that are allowed in the long run. Default 0.1. */
  readonly ratio?: number;
  /** Retries per second that are allowed even when there are few requests. Default 1. */
  readonly floorPerSecond?: number;
  /** How long a request counts. Default 10 s. */
  readonly window?: Duration;
  readonly clock?: Clock;
}

/**
 * How many retries may be made, for all methods of one callee together. When everything fails, a caller adds at most
 * `ratio` (10 %) and a small floor to the load of its callee, instead of tripling it.
 *
 * Source: Finagle's RetryBudget (20 %, 10/s, 10 s) with the 10 % per client of Google's SRE book, "Handling Overload".
 */
export interface RetryBudget {
  /** Counts a request: the first attempt of a call. `nowMs`: for who knows the time already. */
  deposit(nowMs?: number): void;
  /** Takes one retry. False: there is none left, give up. */
  withdraw(): boolean;
  /** Retries that could be made now. */
  readonly balance: number;
  /** Withdrawals that were refused since the start. */
  readonly refusedCount: number;
}

export function createRetryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const clock = options.clock ?? systemClock;
  const ratio = options.ratio ?? 0.1;
  const windowMs = toMs(options.window ?? "10s");
  const reserve = ((options.floorPerSecond ?? 1) * windowMs) / 1000;
  const window = new RatioWindow(windowMs);
  let refusedCount = 0;

  const balance = () => {
    window.advance(clock.now());
    return Math.max(0, Math.floor(reserve + ratio * window.count - window.marked));
  };
  return {
    deposit: (nowMs = clock.now()) => window.add(nowMs, 1, 0),
    withdraw() {
      if (balance() < 1) {
        refusedCount++;
        return false;
      }
      window.add(clock.now(), 0, 1);
      return true;
    },
    get balance() {
      return balance();
    },
    get refusedCount() {
      return refusedCount;
    },
  };
}
