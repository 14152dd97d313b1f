import { createHash } from "node:crypto";
import type { Clock } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { CacheDriver } from "../cache/index.ts";
import type { SharedEngine } from "./shared-engine.ts";
import { identityNamespace } from "./shared-engine.ts";

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
    async firstUse(id, ttlMs) {
      if (!(await memory.firstUse(id, ttlMs))) return false;
      const key = `proof:${createHash("sha256").update(id).digest("base64url")}`;
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
