import assert from "node:assert/strict";
import type { CacheDriver, CacheLeaseOptions, CacheLookup } from "./driver.ts";

export interface CacheSuiteOptions {
  /** A new driver, not yet opened. Drivers of a shared engine see the same entries. */
  makeDriver(): CacheDriver | Promise<CacheDriver>;
  /** Lets time pass, for the driver and the suite. */
  wait(ms: number): Promise<void>;
  /** It is one part, which tells of removals in their order. Default false: parts do not wait for each other. */
  readonly tellsInOrder?: boolean;
}

/** A claim about a driver, and its proof on a bench of its own. */
export interface Claim {
  readonly name: string;
  prove(bench: Bench): Promise<void>;
}

/** One opened driver and one namespace, for one claim. */
export interface Bench extends Shorthand {
  readonly driver: CacheDriver;
  readonly namespace: string;
  readonly options: CacheSuiteOptions;
}

export interface Shorthand {
  get(key: string): Promise<string | undefined>;
  getMany(...keys: readonly string[]): Promise<(string | undefined)[]>;
  set(key: string, value: string, tags?: readonly string[], ttlMs?: number): Promise<boolean>;
  /** Takes a fence; a value makes the case fail. */
  lease(key: string, tags?: readonly string[], options?: CacheLeaseOptions): Promise<string>;
  lookUp(key: string, tags?: readonly string[]): Promise<CacheLookup>;
  fill(key: string, value: string, fence: string, tags?: readonly string[]): Promise<boolean>;
}

export function shorthand(driver: CacheDriver, namespace: string): Shorthand {
  return {
    get: async (key) => (await driver.getMany(namespace, [key]))[0]?.value,
    getMany: async (...keys) => (await driver.getMany(namespace, keys)).map((found) => found?.value),
    set: (key, value, tags = [], ttlMs = 60_000) => driver.set(namespace, key, value, { ttlMs, tags }),
    lookUp: (key, tags = []) => driver.getOrLease(namespace, key, tags),
    async lease(key, tags = [], how) {
      const { found, fence } = await driver.getOrLease(namespace, key, tags, how);
      assert.ok(!found || found.freshMs <= 0, "there is a value");
      assert.ok(fence !== undefined, "a miss gives a fence");
      return fence;
    },
    fill: (key, value, fence, tags = []) => driver.set(namespace, key, value, { ttlMs: 60_000, tags, fence }),
  };
}
