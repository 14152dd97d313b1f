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

  /** One answer for each key, in order. Undefined: not there, expired or invalidated. At most 100 keys. */
  getMany(namespace: string, keys: readonly string[]): Promise<readonly (string | undefined)[]>;

  /**
   * The value, or leave to fill it. A fence is taken before the load begins and shown when its result is stored: see
   * `set`. `tags` are those that the filled entry will have.
   */
  getOrLease(namespace: string, key: string, tags: readonly string[]): Promise<CacheLookup>;

  /**
   * Stores, and replaces value, time and tags of an older entry. False: not stored, because the fence is void. It is
   * void as soon as the key was set or deleted, one of its tags invalidated, or the namespace cleared since it was
   * given; or when it is older than `leaseMs`. A driver that has forgotten a fence takes it for void.
   */
  set(namespace: string, key: string, value: string, options: CacheWrite): Promise<boolean>;

  /** Removes keys and voids their fences. At most 1,000. */
  delete(namespace: string, keys: readonly string[]): Promise<void>;

  /** Makes every entry with one of the tags a miss, in a time that depends on the number of tags alone. At most 1,000. */
  invalidate(namespace: string, tags: readonly string[]): Promise<void>;

  /** Makes every entry of the namespace a miss. */
  clear(namespace: string): Promise<void>;

  /** Lets go of everything. Repeating it is harmless. */
  close(): Promise<void>;
}

/** May: what differs between engines. */
export interface CacheFlags {
  /** Several processes see the same entries; answers come over a network, and may be late or not come. */
  readonly shared: boolean;
  /** Entries outlive the process. */
  readonly persistent: boolean;
}

export interface CacheLookup {
  readonly value: string | undefined;
  /** Opaque. Present when there is no value. */
  readonly fence: string | undefined;
}

export interface CacheWrite {
  /** More than 0. */
  readonly ttlMs: number;
  readonly tags: readonly string[];
  readonly fence?: string | undefined;
}

/** How long a load may take whose result is still stored. */
export const leaseMs = 30_000;
