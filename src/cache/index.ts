/** The cache of a service, the port behind it, and its reference driver in memory. The essay is in `cache.ts`. */
export type { Cache } from "./cache.ts";
export { createCache } from "./cache.ts";
export type {
  AfterCommit,
  CacheDeleteOptions,
  CacheInvalidateOptions,
  CacheLoadOptions,
  CacheOptions,
  CacheSetOptions,
  CreateCacheOptions,
} from "./cache-options.ts";
export type {
  CacheDriver,
  CacheFlags,
  CacheFound,
  CacheLeaseOptions,
  CacheLookup,
  CacheRemoval,
  CacheRemoved,
  CacheWatcher,
  CacheWrite,
} from "./driver.ts";
export { holdMs, leaseMs, tombstoneMs } from "./driver.ts";
export type { LoadSource } from "./flight.ts";
export { toJsonText } from "./json-text.ts";
export type { MemoryCacheOptions } from "./memory.ts";
export { createMemoryCache } from "./memory.ts";
export type { NearStats, NearTier, NearTierOptions } from "./near.ts";
export { createNearTier } from "./near.ts";
export type { CacheSamplerOptions } from "./sampler.ts";
export type { AgeBucket, CacheStats } from "./stats.ts";
