import type { CallContext, Clock, Random } from "../base/index.ts";
import { toPlinthError } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { notStarted } from "../database/index.ts";
import type { BucketMap } from "./bucket-map.ts";
import { moving, notPrepared } from "./errors.ts";
import type { Fence, FenceRow } from "./fence.ts";

/** What the routed sessions of one service share. */
export interface Router {
  readonly schema: string;
  readonly map: BucketMap;
  readonly fence: Fence;
  driverOf(shard: string): DatabaseDriver;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest wait for a bucket that is on its way. */
  readonly moveWaitMs: number;
  /** Callers that may wait so at a time. */
  readonly moveWaitersMax: number;
  waiting: number;
}

/** One caller's wait for a bucket: at most `moveWaitMs` from the first time that it was not where it was looked for. */
export interface Search {
  /** Learns from what the fence said, and returns when it is worth looking again. Throws SHARD_MOVING when it is not. */
  next(shard: string, row: FenceRow | undefined, wants: "write" | "read", context?: CallContext): Promise<void>;
}

const pauseMsMin = 5;
const pauseMsMax = 50;

export function createSearch(router: Router, bucket: number): Search {
  const { map, clock, random, moveWaitMs } = router;
  let startedAt: number | undefined;
  let pauseMs = pauseMsMin;

  /** Whether there is something new to try at once. */
  const learn = async (shard: string, row: FenceRow, wants: "write" | "read"): Promise<boolean> => {
    const before = await map.placeOf(bucket);
    if (row.state === "open" || row.state === "fenced") {
      map.learnOwner(bucket, shard, row.epoch);
      const after = await map.placeOf(bucket);
      return wants === "read" && (after.epoch !== before.epoch || after.isProven !== before.isProven);
    }
    if (row.state === "away" && row.moved_to !== null && map.learnHint(bucket, row.moved_to, row.epoch)) return true;
    await map.refresh();
    const after = await map.placeOf(bucket);
    return after.shard !== before.shard || after.epoch !== before.epoch;
  };

  return {
    async next(shard, row, wants, context) {
      if (!row) throw notPrepared(`shard ${shard} has no fence for bucket ${bucket}`);
      startedAt ??= clock.now();
      map.noteStale();
      const isNews = await learn(shard, row, wants);
      const waitedMs = clock.now() - startedAt;
      if (waitedMs >= moveWaitMs) throw moving(bucket, waitedMs);
      if (isNews) return;
      if (router.waiting >= router.moveWaitersMax) throw moving(bucket, waitedMs);
      router.waiting++;
      try {
        const delayMs = Math.min(pauseMs * (0.5 + random.next()), moveWaitMs - waitedMs);
        pauseMs = Math.min(pauseMs * 2, pauseMsMax);
        await clock.sleep(delayMs, context?.signal);
      } catch (thrown) {
        throw notStarted(toPlinthError(thrown));
      } finally {
        router.waiting--;
      }
    },
  };
}
