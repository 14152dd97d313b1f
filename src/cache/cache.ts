import type { CallContext } from "../base/index.ts";
import { untilCancelled } from "../resilience/index.ts";
import type {
  CacheDeleteOptions,
  CacheInvalidateOptions,
  CacheLoadOptions,
  CacheOptions,
  CacheSetOptions,
  CreateCacheOptions,
} from "./cache-options.ts";
import { Core } from "./core.ts";
import type { CacheFlags } from "./driver.ts";
import type { Answer, Filling, Loaded, LoadSource } from "./flight.ts";
import { toJsonText } from "./json-text.ts";
import {
  checkKey,
  checkKeys,
  checkTags,
  checkVersion,
  keysPerReadMax,
  namesPerRemovalMax,
  tagsPerEntryMax,
  ttlMsOf,
} from "./limits.ts";
import type { CacheStats } from "./stats.ts";

/**
 * A cache: copies of what could be got again, to have it sooner. Each service has its own, apart from all others.
 *
 * Promised:
 * - Values are plain JSON, copied in and out: who changes what it got harms nobody.
 * - Once `invalidate`, `delete` or `clear` has resolved, this process reads nothing older, and no load that began before
 *   can store its result, in no process that shares the engine. Other processes read nothing older from the engine, nor
 *   from a load that began before; from their near tier for the few milliseconds that a message takes, and at the very
 *   worst for its time to live (`near.ts`). A question to the engine that is on its way already is shared, so an answer
 *   may be older by one round trip. While the engine gives no leases, because it is full or gone, a load that is under way
 *   is shared for up to 10 s, whatever another process has removed.
 * - Of those who miss the same entry at the same time, one loads it: in one process as long as the load takes less than
 *   10 s, and its call is not cancelled; between processes as long as it takes less than `waitMax`, and its holder answers.
 *   A load that never ends holds nobody but its own caller (`fills.ts`).
 * - An engine that fails, hangs or is gone makes misses, never errors, and after the first ones no delay either. What
 *   could not be removed from it is removed before this process reads from it again.
 * - Errors of a load go to those who wait for it, and are not remembered. With `staleIfError` they get the last good value.
 * - What is loaded from is not overrun when the cache is lost: `fill-gate.ts`.
 * - What is no longer fresh is given only to who asked for that, by `stale` or `staleIfError`, and never when it was
 *   invalidated, in whichever process, and be it while the load was failing: an invalidation is no expiry.
 *
 * Not promised: that anything is kept. Nor, while an engine cannot be reached, that other processes miss what was
 * invalidated here: then the time to live bounds how old an answer can be (10 % more than asked for, at most, since
 * times are spread by ±10 % so that entries made together do not end together). A `set` of something read before an
 * invalidation is stored, unless it shows an older version; `getOrLoad` is the way that notices.
 *
 * Nothing: `undefined` is a miss and never stored, also when a load gives it; to set it is to delete. `null` is a value, "there is none", and is
 * kept for `negativeTtl` at most, as is what `isNone` says so of, since such answers are invalidated least carefully: give it the tag that inserting
 * the missing thing invalidates.
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
  set(key: string, value: unknown, options?: CacheSetOptions): Promise<void>;
  /** Sent even when the bound call is over, as all removals are. */
  delete(keys: string | readonly string[], options?: CacheDeleteOptions): Promise<void>;
  /**
   * The value of the key, loaded and stored if there is none. `load` runs in the call of whoever came first: it is shared
   * by all who wait, so it must not depend on who asks. With `stale` or a sampler it may run when that call is over.
   */
  getOrLoad<T>(key: string, load: (source: LoadSource) => Promise<T> | T, options?: CacheLoadOptions<T>): Promise<T>;
  /**
   * The same for a value that is JSON text already, such as the body of an answer, and is wanted as text: neither parsed
   * nor written again. What is no JSON must not be given.
   */
  getOrLoadText(
    key: string,
    load: (source: LoadSource) => Promise<string> | string,
    options?: CacheLoadOptions<string>,
  ): Promise<string>;
  /**
   * Every entry with one of the tags is gone. To be called after the change is committed, or with `in`: then it is done
   * after the commit, and once more by whatever the app has set up to be certain (`CreateCacheOptions.onInvalidateIn`).
   */
  invalidate(tags: string | readonly string[], options?: CacheInvalidateOptions): Promise<void>;
  /** Every entry of this namespace is gone. */
  clear(): Promise<void>;
  /** The same cache for one call: who waits leaves when the call is over. */
  bind(context: CallContext): Cache;
}

export function createCache(options: CreateCacheOptions): Cache & { close(): Promise<void> } {
  const core = new Core(options);
  return Object.assign(new View(core, undefined), { close: () => core.shield.close() });
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
    const list = await (this.#context ? untilCancelled(reading, this.#context) : reading);
    const { stats } = this.#core;
    return list.map((found) => {
      if (found === undefined) stats.missCount++;
      else stats.hitCount++;
      return fromText<T>(found?.value);
    });
  }

  async set(key: string, value: unknown, options: CacheSetOptions = {}): Promise<void> {
    const { version } = options;
    const { tags, ttlMs } = this.#planOf(key, options);
    checkVersion(version);
    const { shield, fills } = this.#core;
    if (value === undefined) return this.delete(key, { version });
    const text = toJsonText(value);
    const keptMs = this.#core.keptMs(text, ttlMs, value === null);
    if (keptMs === undefined) return this.delete(key, { version });
    fills.detachKeys([key]);
    await shield.set(key, text, { ttlMs: keptMs, tags, version });
  }

  async delete(keys: string | readonly string[], options: CacheDeleteOptions = {}): Promise<void> {
    const list = typeof keys === "string" ? [keys] : keys;
    checkKeys(list, namesPerRemovalMax);
    checkVersion(options.version);
    this.#core.fills.detachKeys(list);
    await this.#core.shield.delete(list, options);
  }

  async getOrLoad<T>(
    key: string,
    load: (source: LoadSource) => Promise<T> | T,
    options: CacheLoadOptions<T> = {},
  ): Promise<T> {
    const text = await this.#getOrLoad(key, options, async (source) => {
      const value = await load(source);
      if (value === undefined) return undefined;
      const isNone = value === null || options.isNone?.(value) === true;
      return { text: toJsonText(value), version: versionOf(options, value), isNone };
    });
    return fromText<T>(text) as T;
  }

  async getOrLoadText(
    key: string,
    load: (source: LoadSource) => Promise<string> | string,
    options: CacheLoadOptions<string> = {},
  ): Promise<string> {
    const text = await this.#getOrLoad(key, options, async (source) => {
      const loaded = await load(source);
      const isNone = loaded === "null" || options.isNone?.(loaded) === true;
      return { text: loaded, version: versionOf(options, loaded), isNone };
    });
    return text as string;
  }

  async invalidate(tags: string | readonly string[], options: CacheInvalidateOptions = {}): Promise<void> {
    const list = typeof tags === "string" ? [tags] : [...tags];
    checkTags(list, namesPerRemovalMax);
    const { in: tx } = options;
    if (!tx) return this.#invalidate(list);
    await this.#core.onInvalidateIn?.(tx, list);
    tx.afterCommit(() => this.#invalidate(list));
  }

  async clear(): Promise<void> {
    this.#core.fills.detachAll();
    await this.#core.shield.clear();
  }

  bind(context: CallContext): Cache {
    return new View(this.#core, context);
  }

  async #getOrLoad<T>(
    key: string,
    options: CacheLoadOptions<T>,
    load: (source: LoadSource) => Promise<Loaded | undefined>,
  ): Promise<string | undefined> {
    const core = this.#core;
    const { tags, ttlMs } = this.#planOf(key, options);
    this.#assertRunning();
    const near = core.shield.nearest(key);
    let answer: Answer;
    if (near) {
      core.stats.hitCount++;
      core.stats.nearHitCount++;
      answer = { text: near.value, hit: near };
    } else {
      const filling: Filling = {
        key,
        tags,
        staleMs: options.stale === undefined ? 0 : ttlMsOf(options.stale),
        staleIfErrorMs: options.staleIfError === undefined ? 0 : ttlMsOf(options.staleIfError),
        load,
        ttlMs: (loaded) => core.keptMs(loaded.text, ttlMs, loaded.isNone),
      };
      answer = await core.fills.get(filling, this.#context);
    }
    if (answer.hit && core.sampler?.picks()) this.#sample(key, answer, load);
    return answer.text;
  }

  async #invalidate(tags: readonly string[]): Promise<void> {
    this.#core.fills.detachTags(tags);
    await this.#core.shield.invalidate(tags);
  }

  #sample(key: string, { hit }: Answer, load: (source: LoadSource) => Promise<Loaded | undefined>): void {
    const { sampler, shield, gate } = this.#core;
    if (!sampler || !hit) return;
    void sampler.compare({
      key,
      found: hit,
      cached: async () => (await shield.peek(key))?.value,
      truth: async () => (await gate.run(() => load({ primary: true }), undefined))?.text,
    });
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

function versionOf<T>({ versionOf }: CacheLoadOptions<T>, value: T): number | undefined {
  const version = versionOf?.(value);
  checkVersion(version);
  return version;
}

function fromText<T>(text: string | undefined): T | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as T);
}
