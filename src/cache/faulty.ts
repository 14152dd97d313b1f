import type { Clock, Random } from "../base/index.ts";
import { createSeededRandom, PlinthError, systemClock } from "../base/index.ts";
import type { CacheDriver } from "./driver.ts";

export interface CacheFaults {
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
export interface FaultyCache extends CacheDriver {
  readonly faults: CacheFaults;
  /** Operations that were asked for, failed ones included. */
  readonly operationCount: number;
}

export function createFaultyCache(
  driver: CacheDriver,
  options: { faults?: CacheFaults; random?: Random; clock?: Clock } = {},
): FaultyCache {
  const random = options.random ?? createSeededRandom(1);
  const clock = options.clock ?? systemClock;
  const faults: CacheFaults = { ...options.faults };
  let operationCount = 0;

  const through = async <T>(operation: () => Promise<T>): Promise<T> => {
    operationCount++;
    if (faults.hang) return new Promise(() => {});
    if (faults.delayMsMax) await clock.sleep(random.next() * faults.delayMsMax);
    const fails = random.next() < (faults.errorRate ?? 0);
    if (fails && !faults.afterEffect) throw lost();
    const answer = await operation();
    if (fails) throw lost();
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
    getMany: (namespace, keys) => through(() => driver.getMany(namespace, keys)),
    getOrLease: (namespace, key, tags, how) => through(() => driver.getOrLease(namespace, key, tags, how)),
    isCurrent: (namespace, key, tags, fence) => through(() => driver.isCurrent(namespace, key, tags, fence)),
    release: (namespace, key, fence) => through(() => driver.release(namespace, key, fence)),
    set: (namespace, key, value, write) => through(() => driver.set(namespace, key, value, write)),
    delete: (namespace, keys, removal) => through(() => driver.delete(namespace, keys, removal)),
    invalidate: (namespace, tags) => through(() => driver.invalidate(namespace, tags)),
    clear: (namespace) => through(() => driver.clear(namespace)),
    ...(driver.watch && { watch: (watcher) => driver.watch?.(watcher) ?? (() => {}) }),
  };
}

function lost(): PlinthError {
  return new PlinthError("unavailable", "The cache was made to fail.", { reason: "CACHE_FAULT" });
}
