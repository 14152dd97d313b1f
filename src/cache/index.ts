/** The cache of a service, the port behind it, and its reference driver in memory. The essay is in `cache.ts`. */
export type { Cache, CacheOptions, CreateCacheOptions } from "./cache.ts";
export { createCache } from "./cache.ts";
export type { CacheDriver, CacheFlags, CacheLookup, CacheWrite } from "./driver.ts";
export { leaseMs } from "./driver.ts";
export type { MemoryCacheOptions } from "./memory.ts";
export { createMemoryCache } from "./memory.ts";
export type { CacheStats } from "./stats.ts";
