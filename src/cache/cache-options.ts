import type { Clock, Duration, Random, Size } from "../base/index.ts";
import type { CacheDriver } from "./driver.ts";
import type { NearTier } from "./near.ts";
import type { CacheSamplerOptions } from "./sampler.ts";

export interface CacheOptions {
  /** Default: the cache's own. */
  readonly ttl?: Duration | undefined;
  /** Names by which the entry can be invalidated. At most 16. */
  readonly tags?: readonly string[] | undefined;
}

export interface CacheSetOptions extends CacheOptions {
  /**
   * The version of what is set: a whole number that grows with each change, such as a column of the row. An older one is
   * not stored over a newer one, nor for a minute after it.
   */
  readonly version?: number | undefined;
}

export interface CacheDeleteOptions {
  /** The version that the truth has now. Nothing older is stored for a minute. */
  readonly version?: number | undefined;
}

export interface CacheLoadOptions<T = unknown> extends CacheOptions {
  /** How long beyond its time an entry is given while it is loaded anew, beside the call. Default 0, at most 30 days. */
  readonly stale?: Duration | undefined;
  /** How long beyond its time an entry is given when loading fails or is refused. Default 0, at most 30 days. */
  readonly staleIfError?: Duration | undefined;
  /** The version of what was loaded; see `CacheSetOptions`. */
  readonly versionOf?: ((value: T) => number | undefined) | undefined;
  /** Whether what was loaded says "there is none", and is kept for `negativeTtl` at most. `null` always does. */
  readonly isNone?: ((value: T) => boolean) | undefined;
}

/** A transaction, as far as the cache has to know it. */
export interface AfterCommit {
  afterCommit(hook: () => unknown): void;
}

export interface CacheInvalidateOptions<Tx extends AfterCommit = AfterCommit> {
  /** Invalidates when this transaction is committed, and not if it is not. */
  readonly in?: Tx | undefined;
}

export interface CreateCacheOptions {
  /** Opened and closed by whoever made it; may serve several namespaces. */
  readonly driver: CacheDriver;
  /** The service. Letters, digits, `.`, `_` and `-`, at most 64. */
  readonly namespace: string;
  /** Copies in this process, before a shared engine. One for all caches of a process. Default: none. */
  readonly near?: NearTier | undefined;
  /** Default 60 s. */
  readonly ttl?: Duration;
  /** The longest that `null` is kept. Default 10 s. */
  readonly negativeTtl?: Duration;
  /** The largest value, as JSON. Default 1 MiB. */
  readonly valueMax?: Size;
  /** Values from this size are compressed in a shared engine. Default 4 KiB. */
  readonly compressAbove?: Size;
  /** Loads that run at the same time, in this process. Default 64. */
  readonly fillsMax?: number;
  /** Loads that begin in a second, in this process. Default: no bound but `fillsMax`. */
  readonly fillsPerSecondMax?: number | undefined;
  /** The longest that one waits for the load of another process before it loads too. Default 1 s. */
  readonly waitMax?: Duration;
  /** The longest that an operation of an outside engine may take. Default 250 ms. */
  readonly operationMax?: Duration;
  /** Compares some hits with the truth. Default: none. */
  readonly sampler?: CacheSamplerOptions | undefined;
  /**
   * Called by `invalidate(tags, { in: tx })` within the transaction, so that the invalidation can be written down with it
   * and done once more by whoever reads that. The transaction fails when this does.
   */
  readonly onInvalidateIn?: ((tx: AfterCommit, tags: readonly string[]) => Promise<void>) | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
  /** What the engine failed with, for the log. */
  readonly onError?: (error: unknown, operation: string) => void;
  /** @internal A mutant for the proof tools: what was loaded is stored although it was invalidated meanwhile. */
  readonly fillWithoutLease?: boolean | undefined;
}
