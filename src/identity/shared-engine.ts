import type { Clock } from "../base/index.ts";
import type { CacheDriver } from "../cache/index.ts";
import { createTimeLimit } from "../resilience/index.ts";

/** The cache engine that all processes share, asked so that a dead one costs a request little. */
export interface SharedEngine {
  /** Rejects with whatever the engine fails with, after 250 ms at most; for a second after that at once. */
  ask<T>(work: (driver: CacheDriver) => Promise<T>): Promise<T>;
}

export interface SharedEngineOptions {
  readonly driver: CacheDriver;
  readonly clock: Clock;
  /** Told of each failure, those that are answered at once not among them. */
  readonly onError: (thrown: unknown) => void;
}

/** What this process keeps in it stands apart from the caches of services. */
export const identityNamespace = "plinth_identity";
const limitMs = 250;
const pauseMs = 1000;

export function createSharedEngine({ driver, clock, onError }: SharedEngineOptions): SharedEngine {
  const limit = createTimeLimit({ name: "the cache engine", limit: limitMs, clock });
  let pausedUntil = Number.NEGATIVE_INFINITY;
  let lastError: unknown;
  return {
    async ask(work) {
      if (clock.now() < pausedUntil) throw lastError;
      try {
        return await limit(work(driver));
      } catch (thrown) {
        pausedUntil = clock.now() + pauseMs;
        lastError = thrown;
        onError(thrown);
        throw thrown;
      }
    },
  };
}
