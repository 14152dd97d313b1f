import { createHash } from "node:crypto";
import type { Clock } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { CacheDriver } from "../cache/index.ts";
import type { SharedEngine } from "./shared-engine.ts";
import { identityNamespace } from "./shared-engine.ts";

/** Remembers what may be used once. */
export interface ReplayStore {
  /** True for the first use of `id` with the key of `owner`, false for every other one within `ttlMs`. */
  firstUse(owner: string, id: string, ttlMs: number): Promise<boolean>;
}

/** Ids that are remembered in one process at most. Above: refused with 503, since to forget one would let it in again. */
const idCountMax = 200_000;

/** Of those, for one key: it alone does not take the places of all. At least 140 a second for as long as one likes. */
const ownerCountMax = 20_000;

/**
 * In the memory of this process, 16 bytes of a hash for each id, however long it is. Ids are kept in two halves of `ttlMs`
 * each, which must be the same for all of them.
 */
export function memoryReplayStore(
  clock: Clock,
  countMax: number = idCountMax,
  countMaxOfOwner: number = ownerCountMax,
): ReplayStore {
  let young = new Generation();
  let old = new Generation();
  let turnAt = Number.NEGATIVE_INFINITY;
  return {
    async firstUse(owner, id, ttlMs) {
      const now = clock.now();
      if (now >= turnAt) {
        // What is older than one turn may still be within its time, what is older than two is not.
        old = now >= turnAt + ttlMs ? new Generation() : young;
        young = new Generation();
        turnAt = now + ttlMs;
      }
      const mark = hashOf(owner, id).toString("latin1", 0, 16);
      if (young.marks.has(mark) || old.marks.has(mark)) return false;
      if (young.marks.size + old.marks.size >= countMax) throw replayStoreFull();
      if (young.countOf(owner) + old.countOf(owner) >= countMaxOfOwner) throw replayStoreFull();
      young.add(owner, mark);
      return true;
    },
  };
}

/** What was used within one half of the time. */
class Generation {
  readonly marks = new Set<string>();
  readonly #counts = new Map<string, number>();

  countOf(owner: string): number {
    return this.#counts.get(owner) ?? 0;
  }

  add(owner: string, mark: string): void {
    this.marks.add(mark);
    this.#counts.set(owner, this.countOf(owner) + 1);
  }
}

function hashOf(owner: string, id: string): Buffer {
  return createHash("sha256").update(`${owner} ${id}`).digest();
}

/** PROOF_STORE_FULL: so many proofs were used within a minute, with one key or with all, that another could not be told from a repeated one. */
const replayStoreFull = () =>
  error("unavailable", "Too many proofs are used at once. Try again shortly.", {
    reason: "PROOF_STORE_FULL",
    retry: 1000,
    executed: "no",
  });

/**
 * In the cache engine that all processes share, and in the memory of this one. While the engine is away each process
 * knows what it has seen itself: a stolen proof could be used once more at another one, within its minute.
 */
export function sharedReplayStore(
  engine: SharedEngine,
  clock: Clock,
  memory: ReplayStore = memoryReplayStore(clock),
): ReplayStore {
  return {
    async firstUse(owner, id, ttlMs) {
      if (!(await memory.firstUse(owner, id, ttlMs))) return false;
      const key = `proof:${hashOf(owner, id).toString("base64url")}`;
      try {
        return await engine.ask((driver) => claim(driver, key, ttlMs));
      } catch {
        // The engine has told of it. What this process knows is what there is.
        return true;
      }
    },
  };
}

/** Of all who come with one key, one gets the lease, and leaves a mark for those who come later. */
async function claim(driver: CacheDriver, key: string, ttlMs: number): Promise<boolean> {
  const { found, fence, isBusy } = await driver.getOrLease(identityNamespace, key, []);
  if (found || isBusy) return false;
  if (fence === undefined) throw new Error("the cache cannot store now");
  await driver.set(identityNamespace, key, "1", { ttlMs, tags: [], fence });
  return true;
}
