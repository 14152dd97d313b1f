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
  /** Removes one answer of an address: what is asked for meanwhile is kept all the same. */
  forget(address: string, answer: CachedAnswer): void;
  /** Removes what has one of the tags. */
  purge(tags: readonly string[]): number;
  clear(): number;
  readonly bytes: number;
  readonly count: number;
  /** Notes that an address is being asked for, until `end`: what is removed meanwhile is not kept when it comes. */
  begin(address: string): Asking;
  end(address: string, asking: Asking): void;
}

/** An answer that is on its way. */
export interface Asking {
  /** Its address, or what may be its tag, was removed since it was asked for. */
  isRemoved: boolean;
}

const variantsMax = 16;
/** What an answer takes beside its body, headers and tags, about. */
const overheadBytes = 1024;
const overheadTagBytes = 256;

export function createCacheStore(bytesMax: number): CacheStore {
  const byAddress = new Map<string, CachedAnswer[]>();
  const byTag = new Map<string, Set<string>>();
  const askings = new Map<string, Set<Asking>>();
  let bytes = 0;

  const sizes = new WeakMap<CachedAnswer, number>();
  const sizeOf = (address: string, answer: CachedAnswer): number => {
    let size = sizes.get(answer);
    if (size === undefined) {
      size = address.length + bytesOf(answer);
      sizes.set(answer, size);
    }
    return size;
  };
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

  /** Puts answers in the place of all that were there. */
  const replace = (address: string, answers: readonly CachedAnswer[]): void => {
    drop(address);
    if (answers.length === 0) return;
    byAddress.set(address, [...answers]);
    for (const each of answers) {
      bytes += sizeOf(address, each);
      for (const tag of each.tags) {
        const addresses = byTag.get(tag) ?? new Set();
        addresses.add(address);
        byTag.set(tag, addresses);
      }
    }
  };

  /** Nobody knows the tags of what is still to come. */
  const outdateAll = (): void => {
    for (const known of askings.values()) for (const asking of known) asking.isRemoved = true;
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
      replace(address, [answer, ...others].slice(0, variantsMax));
      for (const oldest of byAddress.keys()) {
        if (bytes <= bytesMax) break;
        drop(oldest);
      }
    },
    remove(address) {
      for (const asking of askings.get(address) ?? []) asking.isRemoved = true;
      drop(address);
    },
    forget(address, answer) {
      const known = byAddress.get(address);
      if (known?.includes(answer)) {
        replace(
          address,
          known.filter((each) => each !== answer),
        );
      }
    },
    purge(tags) {
      outdateAll();
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
      outdateAll();
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
    begin(address) {
      const asking: Asking = { isRemoved: false };
      const others = askings.get(address);
      if (others) others.add(asking);
      else askings.set(address, new Set([asking]));
      return asking;
    },
    end(address, asking) {
      const known = askings.get(address);
      known?.delete(asking);
      if (known?.size === 0) askings.delete(address);
    },
  };
}

function bytesOf({ policy, body, tags }: CachedAnswer): number {
  const head = JSON.stringify(policy.toObject()).length;
  return tags.reduce((sum, tag) => sum + tag.length + overheadTagBytes, body.byteLength + head + overheadBytes);
}
