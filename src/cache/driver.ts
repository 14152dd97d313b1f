/**
 * The cache port. A driver stores texts under a namespace and a key; what a text means is not its business.
 *
 * Must: everything below. Every operation may reject, with any error, when the engine fails; the cache above treats that
 * as a miss. Nothing may be answered that was deleted, invalidated or cleared before, by an operation that resolved, in
 * any process that shares the engine. Losing entries is always allowed.
 */
export interface CacheDriver {
  /** The product: "memory", "redis". Never holds a credential. */
  readonly name: string;
  readonly flags: CacheFlags;

  /** Once, before anything else. StartError when the engine cannot be used. */
  open(): Promise<void>;

  /** One answer for each key, in order. Undefined: not there, no longer fresh, or invalidated. At most 100 keys. */
  getMany(namespace: string, keys: readonly string[]): Promise<readonly (CacheFound | undefined)[]>;

  /**
   * The value, or the lease to fill it. Of all processes that miss the same entry, one gets the lease, for `holdMs`, until
   * it fills or releases it; the others are told that it is busy. Where the holder's result cannot be stored any more,
   * because the key was deleted or a tag invalidated meanwhile, the next one gets the lease at once.
   *
   * A fence is taken before the load begins and shown when its result is stored: see `set`. `tags` are those that the
   * filled entry will have. An entry that is kept beyond its time comes with the answer, as stale.
   */
  getOrLease(
    namespace: string,
    key: string,
    tags: readonly string[],
    options?: CacheLeaseOptions,
  ): Promise<CacheLookup>;

  /**
   * Whether `set` would still take this fence, which was given for these tags: false from the moment at which an operation
   * that voids it has resolved, in any process.
   */
  isCurrent(namespace: string, key: string, tags: readonly string[], fence: string): Promise<boolean>;

  /** Gives a lease back unfilled, so that nobody waits for it. Harmless when it is void. */
  release(namespace: string, key: string, fence: string): Promise<void>;

  /**
   * Stores, and replaces value, time and tags of an older entry. False: not stored, because the fence is void, or a newer
   * version is known. A fence is void as soon as the key was set or deleted, one of its tags invalidated, or the namespace
   * cleared since it was given; or when it is older than `leaseMs`. A driver that has forgotten a fence takes it for void.
   *
   * With a version, an older one is refused: while the entry with the newer one is there, and for `tombstoneMs` after the
   * newer one was set without a fence or shown to `delete`.
   */
  set(namespace: string, key: string, value: string, options: CacheWrite): Promise<boolean>;

  /** Removes keys and voids their fences. At most 1,000. */
  delete(namespace: string, keys: readonly string[], options?: CacheRemoval): Promise<void>;

  /** Makes every entry with one of the tags a miss, in a time that depends on the number of tags alone. At most 1,000. */
  invalidate(namespace: string, tags: readonly string[]): Promise<void>;

  /** Makes every entry of the namespace a miss. */
  clear(namespace: string): Promise<void>;

  /** Lets go of everything. Repeating it is harmless. */
  close(): Promise<void>;

  /**
   * Tells of removals by other users of the engine: deleted and replaced keys, invalidated tags, cleared namespaces. Each
   * is told after it has taken effect, once or more often. May be called before `open`; the returned function ends it. Absent: the engine
   * cannot, or need not since nobody shares it.
   */
  watch?(watcher: CacheWatcher): () => void;
}

/** May: what differs between engines. */
export interface CacheFlags {
  /** Several processes see the same entries; answers come over a network, and may be late or not come. */
  readonly shared: boolean;
  /** Entries outlive the process. */
  readonly persistent: boolean;
}

export interface CacheFound {
  readonly value: string;
  /** How long it is still fresh. 0 or less: it is stale by so much. */
  readonly freshMs: number;
  /** Since it was stored. */
  readonly ageMs: number;
  readonly tags: readonly string[];
}

export interface CacheLeaseOptions {
  /** Takes the lease although another one holds it. Whoever stores first wins. */
  readonly insist?: boolean;
}

export interface CacheLookup {
  /** Fresh: a hit. Stale: kept for those who may use it. */
  readonly found: CacheFound | undefined;
  /** Opaque. Present when there is nothing fresh, and the lease was given. */
  readonly fence: string | undefined;
  /** Another one holds the lease. Neither busy, nor a fence, nor a hit: the engine cannot store now. */
  readonly isBusy: boolean;
  /** The key was deleted or a tag invalidated less than `tombstoneMs` ago: a replica may not know the change yet. */
  readonly primary: boolean;
}

export interface CacheWrite {
  /** How long it is fresh. More than 0. */
  readonly ttlMs: number;
  /** How long it is kept beyond that, as stale. Default 0. */
  readonly keepMs?: number | undefined;
  readonly tags: readonly string[];
  readonly fence?: string | undefined;
  /** A whole number, 0 to 2^53 - 1, that grows with each change of the truth. */
  readonly version?: number | undefined;
}

export interface CacheRemoval {
  /** The version that the truth has now, of each of the keys. Older ones are refused for `tombstoneMs`. */
  readonly version?: number | undefined;
}

/** Calls never overlap, and a watcher never throws. */
export interface CacheWatcher {
  /** From now on every removal is told, until `onLost`. What was removed before may not have been told. */
  onWatching(): void;
  /** Removals may go untold from now on, or went untold for the last moments. */
  onLost(): void;
  onRemoved(removed: CacheRemoved): void;
}

/** `all`: the whole namespace, or more than is worth naming. */
export type CacheRemoved =
  | { readonly kind: "keys" | "tags"; readonly namespace: string; readonly names: readonly string[] }
  | { readonly kind: "all"; readonly namespace: string };

/** How long a load may take whose result is still stored. */
export const leaseMs = 30_000;
/** How long one load keeps the others waiting. */
export const holdMs = 10_000;
/** How long a removal is remembered beside the entry that it removed. */
export const tombstoneMs = 60_000;
