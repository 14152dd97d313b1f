import type CachePolicy from "http-cache-semantics";

/** An answer that is kept. */
export interface CachedAnswer {
  readonly policy: CachePolicy;
  readonly status: number;
  readonly body: Buffer;
  /** Whose answer it is: of several behind a split each has its own. */
  readonly upstream: string;
  readonly tags: readonly string[];
}

/**
 * Kept answers in the memory of this process, by address: several for one, as `Vary` has it. When the bytes are used up,
 * what was used least recently goes.
 */
export interface CacheStore {
  /** Those of an address, the newest first. Counts as a use. */
  of(address: string): readonly CachedAnswer[];
  /** Keeps an answer in place of `old`, or beside the others. */
  put(address: string, answer: CachedAnswer, old: CachedAnswer | undefined): void;
  remove(address: string): void;
  /** Removes what has one of the tags. */
  purge(tags: readonly string[]): number;
  clear(): number;
  readonly bytes: number;
  readonly count: number;
  /** Rises with each removal: what was asked for before it is not kept after it. */
  readonly epoch: number;
}

const variantsMax = 16;
/** What an answer takes beside its body, about. */
const overheadBytes = 1024;

export function createCacheStore(bytesMax: number): CacheStore {
  const byAddress = new Map<string, CachedAnswer[]>();
  const byTag = new Map<string, Set<string>>();
  let bytes = 0;
  let epoch = 0;

  const sizeOf = (address: string, { body }: CachedAnswer): number => body.byteLength + address.length + overheadBytes;
  const drop = (address: string): void => {
    const known = byAddress.get(address);
    if (!known) return;
    byAddress.delete(address);
    for (const answer of known) {
      bytes -= sizeOf(address, answer);
      for (const tag of answer.tags) {
        const addresses = byTag.get(tag);
        addresses?.delete(address);
        if (addresses?.size === 0) byTag.delete(tag);
      }
    }
  };

  return {
    of(address) {
      const known = byAddress.get(address);
      if (!known) return [];
      byAddress.delete(address);
      byAddress.set(address, known);
      return known;
    },
    put(address, answer, old) {
      if (sizeOf(address, answer) > bytesMax) return;
      const others = (byAddress.get(address) ?? []).filter((each) => each !== old);
      const kept = [answer, ...others].slice(0, variantsMax);
      drop(address);
      byAddress.set(address, kept);
      for (const each of kept) {
        bytes += sizeOf(address, each);
        for (const tag of each.tags) {
          const addresses = byTag.get(tag) ?? new Set();
          addresses.add(address);
          byTag.set(tag, addresses);
        }
      }
      for (const oldest of byAddress.keys()) {
        if (bytes <= bytesMax) break;
        drop(oldest);
      }
    },
    remove(address) {
      epoch++;
      drop(address);
    },
    purge(tags) {
      epoch++;
      let count = 0;
      for (const tag of tags) {
        for (const address of [...(byTag.get(tag) ?? [])]) {
          drop(address);
          count++;
        }
      }
      return count;
    },
    clear() {
      epoch++;
      const { size } = byAddress;
      byAddress.clear();
      byTag.clear();
      bytes = 0;
      return size;
    },
    get bytes() {
      return bytes;
    },
    get count() {
      return byAddress.size;
    },
    get epoch() {
      return epoch;
    },
  };
}
