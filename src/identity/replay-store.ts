import { createHash } from "node:crypto";
import type { Clock } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { CacheDriver } from "../cache/index.ts";

/** Remembers what may be used once. */
export interface ReplayStore {
  /** True for the first use of `id`, false for every other one within `ttlMs`. */
  firstUse(id: string, ttlMs: number): Promise<boolean>;
}

/** Ids that are remembered in one process at most. Above: refused with 503, since to forget one would let it in again. */
const idCountMax = 200_000;

/** In the memory of this process. Ids are kept in two halves of `ttlMs` each, which must be the same for all of them. */
export function memoryReplayStore(clock: Clock, countMax: number = idCountMax): ReplayStore {
  let young = new Set<string>();
  let old = new Set<string>();
  let turnAt = Number.NEGATIVE_INFINITY;
  return {
    async firstUse(id, ttlMs) {
      const now = clock.now();
      if (now >= turnAt) {
        // What is older than one turn may still be within its time, what is older than two is not.
        old = now >= turnAt + ttlMs ? new Set() : young;
        young = new Set();
        turnAt = now + ttlMs;
      }
      if (young.has(id) || old.has(id)) return false;
      if (young.size + old.size >= countMax) throw replayStoreFull();
      young.add(id);
      return true;
    },
  };
}

/** PROOF_STORE_FULL: so many proofs were used within a minute that another could not be told from a repeated one. */
const replayStoreFull = () =>
  error("unavailable", "Too many proofs are used at once. Try again shortly.", {
    reason: "PROOF_STORE_FULL",
    retry: 1000,
    executed: "no",
  });

export const identityNamespace = "plinth_identity";

/**
 * In the cache engine that all processes share, and in the memory of this one. While the engine is away each process
 * knows what it has seen itself: a stolen proof could be used once more at another one, within its minute.
 */
export function sharedReplayStore(
  engine: CacheDriver,
  clock: Clock,
  onError: (thrown: unknown) => void,
  memory: ReplayStore = memoryReplayStore(clock),
): ReplayStore {
  return {
    async firstUse(id, ttlMs) {
      if (!(await memory.firstUse(id, ttlMs))) return false;
      const key = `proof:${createHash("sha256").update(id).digest("base64url")}`;
      try {
        const { found, fence, isBusy } = await engine.getOrLease(identityNamespace, key, []);
        if (found || isBusy) return false;
        if (fence !== undefined) await engine.set(identityNamespace, key, "1", { ttlMs, tags: [], fence });
        else onError(new Error("the cache cannot store now"));
      } catch (thrown) {
        onError(thrown);
      }
      return true;
    },
  };
}
