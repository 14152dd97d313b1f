import type { Clock, Faults, Random } from "../base/index.ts";
import { createFaults, createSeededRandom, PlinthError, systemClock } from "../base/index.ts";
import type { CacheDriver } from "./driver.ts";

/** A driver that misbehaves as told, by seed. `faults` may be changed at any time. It passes for an outside engine. */
export interface FaultyCache extends CacheDriver {
  readonly faults: Faults;
  /** Operations that were asked for, failed ones included. */
  readonly operationCount: number;
}

export function createFaultyCache(
  driver: CacheDriver,
  options: { faults?: Faults; random?: Random; clock?: Clock } = {},
): FaultyCache {
  const faults: Faults = { ...options.faults };
  const around = createFaults({
    faults,
    random: options.random ?? createSeededRandom(1),
    clock: options.clock ?? systemClock,
    lost,
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
