import type { Clock, Random } from "../base/index.ts";
import type { AfterCommit, Cache, CacheDriver, NearTier } from "../cache/index.ts";
import { createCache, createMemoryCache, createNearTier } from "../cache/index.ts";
import type { Transaction } from "../database/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { portOf } from "./engine-of.ts";
import type { PurgeListener } from "./gateway-purge.ts";
import { listenToPurges } from "./gateway-purge.ts";
import type { Settings } from "./settings.ts";

/** The caches of a process: one engine, copies of what it holds, and for each service a namespace in it. */
export interface Caches {
  /** Undefined where no service here has one. */
  readonly cache: CacheDriver | undefined;
  /** Copies in this process, where the cache is an outside engine. */
  readonly near: NearTier | undefined;
  /** Those that were asked for, by service. */
  readonly caches: ReadonlyMap<string, Cache & { close(): Promise<void> }>;
  cacheOf(service: string): Cache;
}

export interface CachesOptions {
  readonly settings: Pick<
    Settings,
    "cacheUrl" | "cacheNearBytes" | "cacheNearMs" | "cacheFillsPerSecond" | "cacheSample"
  >;
  readonly needsCache: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Hears what is invalidated, here or in another process. */
  readonly onPurge?: PurgeListener | undefined;
  /** Writes an invalidation into the transaction, to be done once more by whoever reads that. By service. */
  readonly onInvalidateIn?: ((service: string, tx: Transaction, tags: readonly string[]) => Promise<void>) | undefined;
}

export async function createCaches(options: CachesOptions): Promise<Caches> {
  const { settings, clock, random, log, onInvalidateIn } = options;
  const engine = options.needsCache ? await openEngine(options) : undefined;
  const cache = engine && options.onPurge ? listenToPurges(engine, options.onPurge) : engine;
  const { cacheNearBytes: bytesMax, cacheNearMs: ttl, cacheSample: rate, cacheFillsPerSecond } = settings;
  const near =
    cache?.flags.shared && bytesMax > 0 ? createNearTier({ driver: cache, bytesMax, ttl, clock }) : undefined;
  const caches = new Map<string, Cache & { close(): Promise<void> }>();
  return {
    cache,
    near,
    caches,
    cacheOf(service) {
      const known = caches.get(service);
      if (known) return known;
      if (!cache) throw new Error(`assertion failed: ${service} asked for a cache that no service here needs`);
      const made = createCache({
        driver: cache,
        namespace: service,
        near,
        clock,
        random,
        fillsPerSecondMax: cacheFillsPerSecond,
        sampler:
          rate > 0
            ? {
                rate,
                onMismatch: (key, ageMs) =>
                  log.error({ service, key, ageMs }, "the cache does not agree with what it was made from"),
              }
            : undefined,
        onError: (thrown, operation) => log.warn({ service, operation, err: thrown }, "the cache failed; it is a miss"),
        // The cache knows of a transaction only that it commits; this is always one of the database.
        onInvalidateIn: onInvalidateIn && ((tx: AfterCommit, tags) => onInvalidateIn(service, tx as Transaction, tags)),
      });
      caches.set(service, made);
      return made;
    },
  };
}

async function openEngine({ settings: { cacheUrl }, clock, random }: CachesOptions): Promise<CacheDriver> {
  if (cacheUrl === undefined) return createMemoryCache({ clock });
  const { open, url } = await portOf("CACHE_URL", cacheUrl, "cache");
  return open(url, { clock, random });
}
