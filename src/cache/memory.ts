import { LRUCache } from "lru-cache";
import type { Clock, Size } from "../base/index.ts";
import { systemClock, toBytes } from "../base/index.ts";
import type { CacheDriver, CacheLookup, CacheWrite } from "./driver.ts";
import { leaseMs } from "./driver.ts";

export interface MemoryCacheOptions {
  /** Entries of all namespaces together. Default 10,000. */
  readonly entriesMax?: number;
  /** Memory for them, estimated. Default 64 MiB. An entry that is larger is not kept. */
  readonly bytesMax?: Size;
  readonly clock?: Clock;
}

/**
 * The reference driver: a cache in this process, lost with it, unknown to any other. What is used least goes first when
 * there is no more room.
 *
 * Everything here has a version, a number that only grows. An invalidation notes the version at which it happened under
 * its tag; an entry is good while none of its tags was invalidated after the entry's own version. So an invalidation
 * costs one note for each tag, however many entries carry it. The notes are bounded too: when the oldest is dropped, its
 * version becomes the floor below which all entries with tags are taken for invalid. That loses entries, never the truth.
 */
export function createMemoryCache(options: MemoryCacheOptions = {}): CacheDriver {
  return new MemoryCache(options);
}

const notesMax = 50_000;
const leasesMax = 10_000;
/** What an entry takes besides its texts, roughly. */
const entryBytes = 200;

interface Entry {
  readonly text: string;
  readonly expiresAt: number;
  readonly version: number;
  readonly namespace: string;
  /** With their namespace. */
  readonly tags: readonly string[];
}

interface Lease {
  readonly token: number;
  readonly expiresAt: number;
}

class MemoryCache implements CacheDriver {
  readonly name = "memory";
  readonly flags = { shared: false, persistent: false };

  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #entries: LRUCache<string, Entry>;
  readonly #leases = new LRUCache<string, Lease>({ max: leasesMax });
  readonly #invalidated: LRUCache<string, number>;
  readonly #cleared = new Map<string, number>();
  #version = 0;
  #floor = 0;

  constructor(options: MemoryCacheOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#bytesMax = toBytes(options.bytesMax ?? "64mb");
    this.#entries = new LRUCache({
      max: options.entriesMax ?? 10_000,
      maxSize: this.#bytesMax,
      sizeCalculation: sizeOf,
    });
    this.#invalidated = new LRUCache({
      max: notesMax,
      dispose: (version, _tag, reason) => {
        if (reason === "evict") this.#floor = Math.max(this.#floor, version);
      },
    });
  }

  async open(): Promise<void> {}

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return keys.map((key) => this.#find(join(namespace, key)));
  }

  async getOrLease(namespace: string, key: string): Promise<CacheLookup> {
    const id = join(namespace, key);
    const value = this.#find(id);
    if (value !== undefined) return { value, fence: undefined };
    const nowMs = this.#clock.now();
    let lease = this.#leases.get(id);
    if (!lease || lease.expiresAt <= nowMs) {
      lease = { token: ++this.#version, expiresAt: nowMs + leaseMs };
      this.#leases.set(id, lease);
    }
    return { value: undefined, fence: `${lease.token}:${this.#version}` };
  }

  async set(namespace: string, key: string, value: string, options: CacheWrite): Promise<boolean> {
    const id = join(namespace, key);
    const tags = options.tags.map((tag) => join(namespace, tag));
    const nowMs = this.#clock.now();
    let version = this.#version;
    if (options.fence !== undefined) {
      const [token, given] = options.fence.split(":").map(Number);
      const lease = this.#leases.get(id);
      version = given as number;
      if (!lease || lease.token !== token || lease.expiresAt <= nowMs) return false;
      if (!this.#isCurrent(version, namespace, tags)) return false;
    }
    this.#leases.delete(id);
    const entry = { text: value, expiresAt: nowMs + options.ttlMs, version, namespace, tags };
    // An entry that is too large would only push out all others.
    if (sizeOf(entry, id) > this.#bytesMax) this.#entries.delete(id);
    else this.#entries.set(id, entry);
    return true;
  }

  async delete(namespace: string, keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const id = join(namespace, key);
      this.#entries.delete(id);
      this.#leases.delete(id);
    }
  }

  async invalidate(namespace: string, tags: readonly string[]): Promise<void> {
    const version = ++this.#version;
    for (const tag of tags) this.#invalidated.set(join(namespace, tag), version);
  }

  async clear(namespace: string): Promise<void> {
    this.#cleared.set(namespace, ++this.#version);
  }

  async close(): Promise<void> {
    this.#entries.clear();
    this.#leases.clear();
  }

  #find(id: string): string | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    if (entry.expiresAt > this.#clock.now() && this.#isCurrent(entry.version, entry.namespace, entry.tags)) {
      return entry.text;
    }
    this.#entries.delete(id);
    return undefined;
  }

  #isCurrent(version: number, namespace: string, tags: readonly string[]): boolean {
    if ((this.#cleared.get(namespace) ?? 0) > version) return false;
    return tags.every((tag) => (this.#invalidated.peek(tag) ?? this.#floor) <= version);
  }
}

/** A namespace holds no such character, so no two pairs give the same name. */
function join(namespace: string, name: string): string {
  return `${namespace}\0${name}`;
}

function sizeOf(entry: Entry, id: string): number {
  let length = entry.text.length + id.length;
  for (const tag of entry.tags) length += tag.length;
  return length * 2 + entryBytes;
}
