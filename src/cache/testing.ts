/** The second door, for proof only: the conformance suite of the cache port, and a driver that misbehaves. */
export type { FaultyCache } from "./faulty.ts";
export { createFaultyCache } from "./faulty.ts";
export type { CacheCase } from "./suite.ts";
export { cacheSuite } from "./suite.ts";
export type { CacheSuiteOptions } from "./suite-bench.ts";
export type { TierCache, TierSuiteOptions } from "./suite-tiers.ts";
export { mismatchesOf, tierSuite } from "./suite-tiers.ts";
