import type { CallContext, Clock, Duration, Random, Size } from "../base/index.ts";
import { StartError, systemClock, systemRandom, toBytes } from "../base/index.ts";
import { untilCancelled } from "../resilience/index.ts";
import type { CacheDriver, CacheFlags } from "./driver.ts";
import { Fills } from "./fills.ts";
import { toJsonText } from "./json-text.ts";
import {
  checkKey,
  checkKeys,
  checkTags,
  keysPerReadMax,
  namesPerRemovalMax,
  tagsPerEntryMax,
  ttlMsOf,
} from "./limits.ts";
import { Shield } from "./shield.ts";
import type { CacheStats } from "./stats.ts";
import { createStats } from "./stats.ts";

/**
 * A cache: copies of what could be got again, to have it sooner. Each service has its own, apart from all others.
 *
 * Promised:
 * - Values are plain JSON, copied in and out: who changes what it got harms nobody.
 * - Once `invalidate`, `delete` or `clear` has resolved, this process reads nothing older, and no load that began before
 *   can store its result, in no process that shares the engine.
 * - Of those who miss the same entry at the same time, in this process, one loads it.
 * - An engine that fails, hangs or is gone makes misses, never errors, and after the first ones no delay either. What
 *   could not be removed from it is removed before this process reads from it again.
 * - Errors of a load go to those who wait for it, and are not remembered.
 *
 * Not promised: that anything is kept. Nor, while an engine cannot be reached, that other processes miss what was
 * invalidated here: then the time to live bounds how old an answer can be (10 % more than asked for, at most, since
 * times are spread by ±10 % so that entries made together do not end together). A `set` of something read before an
 * invalidation is stored; `getOrLoad` is the way that notices.
 *
 * Nothing: `undefined` is a miss and never stored, also when a load gives it; to set it is to delete. `null` is a value, "there is none", and is
 * kept for `negativeTtl` at most, since such answers are invalidated least carefully.
 *
 * Limits: key 512 bytes, tag 256 bytes, 16 tags for an entry, 100 keys in a read, 1,000 names in a removal, time to live
 * 1 ms to 30 days; `errors.ts` says what comes of more. A value beyond `valueMax` is given but not kept.
 */
export interface Cache {
  readonly flags: CacheFlags;
  readonly stats: Readonly<CacheStats>;

  get<T = unknown>(key: string): Promise<T | undefined>;
  /** One answer for each key, in order. At most 100. */
  getMany<T = unknown>(keys: readonly string[]): Promise<(T | undefined)[]>;
  set(key: string, value: unknown, options?: CacheOptions): Promise<void>;
  /** Sent even when the bound call is over, as all removals are. */
  delete(keys: string | readonly string[]): Promise<void>;
  /**
   * The value of the key, loaded and stored if there is none. `load` runs in the call of whoever came first: it is shared
   * by all who wait, so it must not depend on who asks.
   */
  getOrLoad<T>(key: string, load: () => Promise<T> | T, options?: CacheOptions): Promise<T>;
  /** Every entry with one of the tags is gone. To be called after the change is committed. */
  invalidate(tags: string | readonly string[]): Promise<void>;
  /** Every entry of this namespace is gone. */
  clear(): Promise<void>;
  /** The same cache for one call: who waits leaves when the call is over. */
  bind(context: CallContext): Cache;
}

export interface CacheOptions {
  /** Default: the cache's own. */
  readonly ttl?: Duration | undefined;
  /** Names by which the entry can be invalidated. At most 16. */
  readonly tags?: readonly string[] | undefined;
}

export interface CreateCacheOptions {
  /** Opened and closed by whoever made it; may serve several namespaces. */
  readonly driver: CacheDriver;
  /** The service. Letters, digits, `.`, `_` and `-`, at most 64. */
  readonly namespace: string;
  /** Default 60 s. */
  readonly ttl?: Duration;
  /** The longest that `null` is kept. Default 10 s. */
  readonly negativeTtl?: Duration;
  /** The largest value, as JSON. Default 1 MiB. */
  readonly valueMax?: Size;
  /** Loads that run at the same time. Default 64. */
  readonly fillsMax?: number;
  /** The longest that an operation of an outside engine may take. Default 250 ms. */
  readonly operationMax?: Duration;
  readonly clock?: Clock;
  readonly random?: Random;
  /** What the engine failed with, for the log. */
  readonly onError?: (error: unknown, operation: string) => void;
}

export function createCache(options: CreateCacheOptions): Cache & { close(): Promise<void> } {
  const core = new Core(options);
  return Object.assign(new View(core, undefined), { close: () => core.shield.close() });
}

class Core {
  readonly driver: CacheDriver;
  readonly stats: CacheStats = createStats();
  readonly shield: Shield;
  readonly fills: Fills;
  readonly ttlMs: number;
  readonly #negativeTtlMs: number;
  readonly #valueBytesMax: number;
  readonly #random: Random;

  constructor(options: CreateCacheOptions) {
    const { driver, namespace, clock = systemClock, onError } = options;
    if (!/^[\w.-]{1,64}$/.test(namespace)) {
      throw new StartError(
        "CACHE_NAMESPACE_INVALID",
        `cache: the namespace ${JSON.stringify(namespace)} must be 1 to 64 letters, digits, ".", "_" or "-"; use the name of the service`,
      );
    }
    this.driver = driver;
    this.ttlMs = ttlMsOf(options.ttl ?? "60s");
    this.#negativeTtlMs = ttlMsOf(options.negativeTtl ?? "10s");
    this.#valueBytesMax = toBytes(options.valueMax ?? "1mb");
    this.#random = options.random ?? systemRandom;
    const operationMsMax = ttlMsOf(options.operationMax ?? 250);
    this.shield = new Shield({ driver, namespace, stats: this.stats, operationMsMax, clock, onError });
    const concurrentMax = options.fillsMax ?? 64;
    this.fills = new Fills({ namespace, shield: this.shield, stats: this.stats, concurrentMax, clock });
  }

  /** How long this text is kept. Undefined: it is too large. */
  keptMs(text: string, ttlMs: number): number | undefined {
    if (text.length * 3 > this.#valueBytesMax && Buffer.byteLength(text) > this.#valueBytesMax) {
      this.stats.oversizeCount++;
      return undefined;
    }
    const wholeMs = text === "null" ? Math.min(ttlMs, this.#negativeTtlMs) : ttlMs;
    return Math.max(1, Math.round(wholeMs * (0.9 + 0.2 * this.#random.next())));
  }
}

class View implements Cache {
  readonly #core: Core;
  readonly #context: CallContext | undefined;

  constructor(core: Core, context: CallContext | undefined) {
    this.#core = core;
    this.#context = context;
  }

  get flags(): CacheFlags {
    return this.#core.driver.flags;
  }

  get stats(): Readonly<CacheStats> {
    return this.#core.stats;
  }

  async get<T>(key: string): Promise<T | undefined> {
    const [value] = await this.getMany<T>([key]);
    return value;
  }

  async getMany<T>(keys: readonly string[]): Promise<(T | undefined)[]> {
    checkKeys(keys, keysPerReadMax);
    this.#assertRunning();
    const reading = this.#core.shield.getMany(keys);
    const texts = await (this.#context ? untilCancelled(reading, this.#context) : reading);
    const { stats } = this.#core;
    return texts.map((text) => {
      if (text === undefined) stats.missCount++;
      else stats.hitCount++;
      return fromText<T>(text);
    });
  }

  async set(key: string, value: unknown, options: CacheOptions = {}): Promise<void> {
    const { tags, ttlMs } = this.#planOf(key, options);
    const { shield, fills } = this.#core;
    if (value === undefined) return this.delete(key);
    const text = toJsonText(value);
    const keptMs = this.#core.keptMs(text, ttlMs);
    if (keptMs === undefined) return this.delete(key);
    fills.detachKeys([key]);
    await shield.set(key, text, { ttlMs: keptMs, tags });
  }

  async delete(keys: string | readonly string[]): Promise<void> {
    const list = typeof keys === "string" ? [keys] : keys;
    checkKeys(list, namesPerRemovalMax);
    this.#core.fills.detachKeys(list);
    await this.#core.shield.delete(list);
  }

  async getOrLoad<T>(key: string, load: () => Promise<T> | T, options: CacheOptions = {}): Promise<T> {
    const { tags, ttlMs } = this.#planOf(key, options);
    this.#assertRunning();
    const text = await this.#core.fills.get(
      {
        key,
        tags,
        load: async () => {
          const value = await load();
          return value === undefined ? undefined : toJsonText(value);
        },
        ttlMs: (loaded) => this.#core.keptMs(loaded, ttlMs),
      },
      this.#context,
    );
    return fromText<T>(text) as T;
  }

  async invalidate(tags: string | readonly string[]): Promise<void> {
    const list = typeof tags === "string" ? [tags] : tags;
    checkTags(list, namesPerRemovalMax);
    this.#core.fills.detachTags(list);
    await this.#core.shield.invalidate(list);
  }

  async clear(): Promise<void> {
    this.#core.fills.detachAll();
    await this.#core.shield.clear();
  }

  bind(context: CallContext): Cache {
    return new View(this.#core, context);
  }

  #planOf(key: string, options: CacheOptions): { tags: readonly string[]; ttlMs: number } {
    checkKey(key);
    const tags = options.tags ?? noTags;
    checkTags(tags, tagsPerEntryMax);
    return { tags, ttlMs: options.ttl === undefined ? this.#core.ttlMs : ttlMsOf(options.ttl) };
  }

  #assertRunning(): void {
    if (this.#context?.cancelled) throw this.#context.cancelled;
  }
}

const noTags: readonly string[] = [];

function fromText<T>(text: string | undefined): T | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as T);
}
