import { LRUCache } from "lru-cache";
import type { Clock, Size } from "../base/index.ts";
import { systemClock, toBytes } from "../base/index.ts";
import type { CacheDriver, CacheFound, CacheLeaseOptions, CacheLookup, CacheRemoval, CacheWrite } from "./driver.ts";
import { holdMs, leaseMs, tombstoneMs } from "./driver.ts";
import { Notes } from "./notes.ts";
import { Sweep } from "./sweep.ts";

export interface MemoryCacheOptions {
  /** Entries of all namespaces together. Default 10,000. */
  readonly entriesMax?: number;
  /** Memory for them, estimated. Default 64 MiB. An entry that is larger is not kept. */
  readonly bytesMax?: Size;
  readonly clock?: Clock;
}

/**
 * The reference driver: a cache in this process, lost with it, unknown to any other. What is used least goes first when
 * there is no more room; what is over, soon after (`sweep.ts`). Invalidations are notes (`notes.ts`), so they cost the same however many entries they concern.
 * At most 10,000 leases and 10,000 tombstones are remembered.
 */
export function createMemoryCache(options: MemoryCacheOptions = {}): CacheDriver & { readonly entryCount: number } {
  return new MemoryCache(options);
}

/** Each write may add one, and drops two that are over. */
const looksPerWrite = 2;
const leasesMax = 10_000;
const tombstonesMax = 10_000;
/** What an entry takes besides its texts, roughly. */
const entryBytes = 200;

interface Entry {
  readonly text: string;
  readonly storedAt: number;
  readonly freshUntil: number;
  readonly keptUntil: number;
  readonly version: number;
  readonly rowVersion: number | undefined;
  readonly namespace: string;
  readonly tags: readonly string[];
  /** With their namespace. */
  readonly tagNames: readonly string[];
}

interface Lease {
  readonly token: number;
  /** Who loads now, since when, and what must not have happened since for its result to be stored. */
  holder: number;
  heldAt: number;
  version: number;
  tagNames: readonly string[];
}

interface Tombstone {
  readonly rowVersion: number;
  readonly at: number;
}

class MemoryCache implements CacheDriver {
  readonly name = "memory";
  readonly flags = { shared: false, persistent: false };

  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #entries: LRUCache<string, Entry>;
  readonly #leases = new LRUCache<string, Lease>({ max: leasesMax });
  readonly #tombstones = new LRUCache<string, Tombstone>({ max: tombstonesMax });
  readonly #clearedAt = new Map<string, number>();
  readonly #notes = new Notes();
  readonly #sweep = new Sweep();

  constructor(options: MemoryCacheOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#bytesMax = toBytes(options.bytesMax ?? "64mb");
    this.#entries = new LRUCache({
      max: options.entriesMax ?? 10_000,
      maxSize: this.#bytesMax,
      sizeCalculation: sizeOf,
      dispose: (_entry, id) => this.#sweep.delete(id),
      noDisposeOnSet: true,
    });
  }

  get entryCount(): number {
    return this.#entries.size;
  }

  async open(): Promise<void> {}

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (CacheFound | undefined)[]> {
    return keys.map((key) => {
      const found = this.#find(join(namespace, key));
      return found && found.freshMs > 0 ? found : undefined;
    });
  }

  async getOrLease(
    namespace: string,
    key: string,
    tags: readonly string[],
    { insist = false }: CacheLeaseOptions = {},
  ): Promise<CacheLookup> {
    const id = join(namespace, key);
    const found = this.#find(id);
    if (found && found.freshMs > 0) return { found, fence: undefined, isBusy: false, primary: false };
    const nowMs = this.#clock.now();
    const tagNames = tags.map((tag) => join(namespace, tag));
    const primary = this.#isFreshlyRemoved(namespace, id, tagNames, nowMs);
    let lease = this.#leaseOf(id, nowMs);
    const isHeld =
      lease !== undefined &&
      nowMs - lease.heldAt < holdMs &&
      this.#notes.isCurrent(lease.version, namespace, lease.tagNames);
    if (lease?.holder && isHeld && !insist) return { found, fence: undefined, isBusy: true, primary };
    const holder = ++this.#notes.version;
    lease ??= { token: holder, holder, heldAt: nowMs, version: holder, tagNames };
    Object.assign(lease, { holder, heldAt: nowMs, version: holder, tagNames });
    this.#leases.set(id, lease);
    return { found, fence: `${lease.token}:${holder}`, isBusy: false, primary };
  }

  async isCurrent(namespace: string, key: string, tags: readonly string[], fence: string): Promise<boolean> {
    const tagNames = tags.map((tag) => join(namespace, tag));
    return this.#isGood(fence, namespace, join(namespace, key), tagNames);
  }

  async release(namespace: string, key: string, fence: string): Promise<void> {
    const id = join(namespace, key);
    const lease = this.#leases.peek(id);
    const [token, holder] = partsOf(fence);
    if (lease?.token === token && lease.holder === holder) lease.holder = 0;
  }

  async set(namespace: string, key: string, value: string, options: CacheWrite): Promise<boolean> {
    const id = join(namespace, key);
    const tagNames = options.tags.map((tag) => join(namespace, tag));
    const nowMs = this.#clock.now();
    const { fence, version: rowVersion } = options;
    if (fence !== undefined && !this.#isGood(fence, namespace, id, tagNames)) return false;
    const version = fence === undefined ? this.#notes.version : partsOf(fence)[1];
    if (rowVersion !== undefined && rowVersion < this.#newestVersion(id, nowMs)) return false;
    if (rowVersion !== undefined && fence === undefined) this.#bury(id, rowVersion, nowMs);
    this.#leases.delete(id);
    const freshUntil = nowMs + options.ttlMs;
    const keptUntil = freshUntil + (options.keepMs ?? 0);
    const { tags } = options;
    const entry = {
      text: value,
      storedAt: nowMs,
      freshUntil,
      keptUntil,
      version,
      rowVersion,
      namespace,
      tags,
      tagNames,
    };
    // An entry that is too large would only push out all others.
    if (sizeOf(entry, id) > this.#bytesMax) this.#entries.delete(id);
    else this.#keep(id, entry, nowMs);
    return true;
  }

  async delete(namespace: string, keys: readonly string[], { version = 0 }: CacheRemoval = {}): Promise<void> {
    const nowMs = this.#clock.now();
    for (const key of keys) {
      const id = join(namespace, key);
      this.#bury(id, version, nowMs);
      this.#entries.delete(id);
      this.#leases.delete(id);
    }
  }

  async invalidate(namespace: string, tags: readonly string[]): Promise<void> {
    this.#notes.add(
      tags.map((tag) => join(namespace, tag)),
      this.#clock.now(),
    );
  }

  async clear(namespace: string): Promise<void> {
    this.#notes.clear(namespace);
    this.#clearedAt.set(namespace, this.#clock.now());
  }

  async close(): Promise<void> {
    this.#entries.clear();
    this.#leases.clear();
  }

  #find(id: string): CacheFound | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    const nowMs = this.#clock.now();
    if (this.#isOver(entry, nowMs)) {
      this.#entries.delete(id);
      return undefined;
    }
    const { text: value, tags } = entry;
    return { value, tags, freshMs: entry.freshUntil - nowMs, ageMs: nowMs - entry.storedAt };
  }

  #keep(id: string, entry: Entry, nowMs: number): void {
    this.#entries.set(id, entry);
    this.#sweep.add(id);
    for (let i = 0; i < looksPerWrite; i++) {
      const other = this.#sweep.next();
      const found = other !== undefined && this.#entries.peek(other);
      if (found && this.#isOver(found, nowMs)) this.#entries.delete(other);
    }
  }

  #isOver(entry: Entry, nowMs: number): boolean {
    return entry.keptUntil <= nowMs || !this.#notes.isCurrent(entry.version, entry.namespace, entry.tagNames);
  }

  #isGood(fence: string, namespace: string, id: string, tagNames: readonly string[]): boolean {
    const [token, holder] = partsOf(fence);
    const lease = this.#leaseOf(id, this.#clock.now());
    return lease?.token === token && this.#notes.isCurrent(holder, namespace, tagNames);
  }

  #leaseOf(id: string, nowMs: number): Lease | undefined {
    const lease = this.#leases.get(id);
    return lease && nowMs - lease.heldAt < leaseMs ? lease : undefined;
  }

  #newestVersion(id: string, nowMs: number): number {
    const tombstone = this.#tombstones.peek(id);
    const buried = tombstone && nowMs - tombstone.at < tombstoneMs ? tombstone.rowVersion : 0;
    return Math.max(buried, (this.#find(id) && this.#entries.peek(id)?.rowVersion) ?? 0);
  }

  #bury(id: string, rowVersion: number, at: number): void {
    this.#tombstones.set(id, { rowVersion: Math.max(rowVersion, this.#newestVersion(id, at)), at });
  }

  #isFreshlyRemoved(namespace: string, id: string, tagNames: readonly string[], nowMs: number): boolean {
    const isFresh = (at: number | undefined) => at !== undefined && nowMs - at < tombstoneMs;
    if (isFresh(this.#tombstones.peek(id)?.at) || isFresh(this.#clearedAt.get(namespace))) return true;
    return tagNames.some((name) => isFresh(this.#notes.removedAt(name)));
  }
}

/** A namespace holds no such character, so no two pairs give the same name. */
function join(namespace: string, name: string): string {
  return `${namespace}\0${name}`;
}

function partsOf(fence: string): [number, number] {
  const [token, holder] = fence.split(":").map(Number);
  return [token as number, holder as number];
}

function sizeOf(entry: Entry, id: string): number {
  let length = entry.text.length + id.length;
  for (const tag of entry.tags) length += 2 * tag.length;
  return length * 2 + entryBytes;
}
