import { LRUCache } from "lru-cache";
import type { Clock, Duration, Size } from "../base/index.ts";
import { StartError, systemClock, toBytes } from "../base/index.ts";
import type { CacheDriver, CacheFound, CacheRemoved } from "./driver.ts";
import { ttlMsOf } from "./limits.ts";
import { Notes } from "./notes.ts";

export interface NearTierOptions {
  /** The shared engine before which this tier stands. */
  readonly driver: CacheDriver;
  /** Memory for the copies of all namespaces, estimated. Default 32 MiB. */
  readonly bytesMax?: Size;
  /** Default 10,000. */
  readonly entriesMax?: number;
  /** The longest that a copy is used. 1 ms to 60 s, default 5 s. */
  readonly ttl?: Duration;
  readonly clock?: Clock;
}

/**
 * The near tier: copies, in this process, of entries of a shared engine. One for a process, under all of its caches.
 *
 * A removal anywhere reaches it as a message of the engine (`CacheDriver.watch`), sent in the same step that removes, so
 * a copy outlives an invalidation by the time that a message takes: typically a few milliseconds. When messages may be
 * lost, because the connection that brings them is, all copies are dropped at once, and none is made until it is back.
 * A loss that nobody notices is bounded by `ttl`, counted from before the copy was read: that is the worst case.
 *
 * A message may overtake the answer that it makes stale. So each copy is made with a mark, taken before the reading began,
 * and is refused when anything it depends on was removed since the mark.
 *
 * While the engine itself cannot be reached, what was loaded is kept here, for `ttl` at most, so that a database does not
 * get every read of a cache that is gone.
 */
export interface NearTier {
  readonly stats: Readonly<NearStats>;
  /** The engine tells of removals: copies are made. */
  readonly isWatching: boolean;
  get(namespace: string, key: string): CacheFound | undefined;
  /** The same, but it is no use of the copy: neither counted, nor a reason to keep it longer than others. */
  peek(namespace: string, key: string): CacheFound | undefined;
  mark(): NearMark;
  /** `isAlone`: the engine could not be reached when this was loaded. */
  keep(namespace: string, key: string, found: CacheFound, mark: NearMark, isAlone?: boolean): void;
  remove(removed: CacheRemoved): void;
  close(): void;
}

export interface NearMark {
  readonly version: number;
  readonly at: number;
}

export interface NearStats {
  hitCount: number;
  /** Copies not made, because what they depend on was removed while they were on their way. */
  refusedCount: number;
  /** Removals told by the engine. */
  toldCount: number;
  /** How often messages may have been lost, and everything was dropped. */
  lostCount: number;
  entryCount: number;
  bytes: number;
}

export function createNearTier(options: NearTierOptions): NearTier {
  return new Near(options);
}

const ttlMsMax = 60_000;
/** What a copy takes besides its texts, roughly. */
const copyBytes = 300;

interface Copy {
  readonly value: string;
  readonly tags: readonly string[];
  readonly names: readonly string[];
  readonly namespace: string;
  readonly version: number;
  readonly freshUntil: number;
  readonly usedUntil: number;
  readonly storedAt: number;
}

class Near implements NearTier {
  isWatching = false;

  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #bytesMax: number;
  readonly #copies: LRUCache<string, Copy>;
  readonly #notes = new Notes();
  readonly #counts = { hitCount: 0, refusedCount: 0, toldCount: 0, lostCount: 0 };
  readonly #unwatch: () => void;

  constructor(options: NearTierOptions) {
    const { driver } = options;
    this.#clock = options.clock ?? systemClock;
    this.#ttlMs = ttlMsOf(options.ttl ?? "5s");
    if (this.#ttlMs > ttlMsMax) {
      throw new StartError(
        "CACHE_NEAR_TTL_INVALID",
        `cache: the time to live of the near tier must be between 1 ms and 60 s, not ${options.ttl}; it bounds how old an answer can be when a message is lost`,
      );
    }
    this.#bytesMax = toBytes(options.bytesMax ?? "32mb");
    this.#copies = new LRUCache({
      max: options.entriesMax ?? 10_000,
      maxSize: this.#bytesMax,
      sizeCalculation: sizeOf,
    });
    this.#unwatch =
      driver.watch?.({
        onWatching: () => {
          this.#flush();
          this.isWatching = true;
        },
        onLost: () => {
          this.isWatching = false;
          this.#counts.lostCount++;
          this.#flush();
        },
        onRemoved: (removed) => {
          this.#counts.toldCount++;
          this.remove(removed);
        },
      }) ?? (() => {});
  }

  get stats(): NearStats {
    return { ...this.#counts, entryCount: this.#copies.size, bytes: this.#copies.calculatedSize };
  }

  get(namespace: string, key: string): CacheFound | undefined {
    const id = join(namespace, "k", key);
    const found = this.#foundIn(this.#copies.get(id), namespace);
    if (found) this.#counts.hitCount++;
    else this.#copies.delete(id);
    return found;
  }

  peek(namespace: string, key: string): CacheFound | undefined {
    return this.#foundIn(this.#copies.peek(join(namespace, "k", key)), namespace);
  }

  mark(): NearMark {
    return { version: this.#notes.version, at: this.#clock.now() };
  }

  keep(namespace: string, key: string, found: CacheFound, mark: NearMark, isAlone = false): void {
    if (!this.isWatching && !isAlone) return;
    const id = join(namespace, "k", key);
    const names = [id, ...found.tags.map((tag) => join(namespace, "t", tag))];
    if (!this.#notes.isCurrent(mark.version, namespace, names)) {
      this.#counts.refusedCount++;
      return;
    }
    const nowMs = this.#clock.now();
    const freshUntil = nowMs + found.freshMs;
    const copy: Copy = {
      value: found.value,
      tags: found.tags,
      names,
      namespace,
      version: mark.version,
      freshUntil,
      usedUntil: Math.min(freshUntil, mark.at + this.#ttlMs),
      storedAt: nowMs - found.ageMs,
    };
    if (sizeOf(copy, id) <= this.#bytesMax) this.#copies.set(id, copy);
    else this.#copies.delete(id);
  }

  remove(removed: CacheRemoved): void {
    const { namespace } = removed;
    if (removed.kind === "all") {
      this.#notes.clear(namespace);
      return;
    }
    const letter = removed.kind === "keys" ? "k" : "t";
    this.#notes.add(
      removed.names.map((name) => join(namespace, letter, name)),
      this.#clock.now(),
    );
  }

  close(): void {
    this.#unwatch();
    this.isWatching = false;
    this.#flush();
  }

  #foundIn(copy: Copy | undefined, namespace: string): CacheFound | undefined {
    const nowMs = this.#clock.now();
    if (!copy || copy.usedUntil <= nowMs || !this.#notes.isCurrent(copy.version, namespace, copy.names))
      return undefined;
    const { value, tags, freshUntil, storedAt } = copy;
    return { value, tags, freshMs: freshUntil - nowMs, ageMs: nowMs - storedAt };
  }

  #flush(): void {
    this.#notes.flush();
    this.#copies.clear();
  }
}

/** A namespace holds no such character, so no two give the same name. */
function join(namespace: string, letter: string, name: string): string {
  return `${namespace}\0${letter}${name}`;
}

function sizeOf(copy: Copy, id: string): number {
  let length = copy.value.length + 2 * id.length;
  for (const tag of copy.tags) length += 2 * tag.length;
  return length * 2 + copyBytes;
}
