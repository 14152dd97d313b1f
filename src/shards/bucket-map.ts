import type { Clock } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { bucketCount } from "./bucket.ts";
import { notPrepared } from "./errors.ts";

/**
 * What this process believes about where buckets live. A belief: every use is checked at the shard, so a stale one
 * costs a detour and never an answer that is wrong.
 *
 * It learns from the directory (when asked, and every 30 s while in use), and from the fences that it meets, which may
 * know more than the directory does in the middle of a move. A higher epoch wins.
 */
export interface BucketMap {
  placeOf(bucket: number): Promise<Place>;
  /** A fence said: this shard has it, with this epoch. */
  learnOwner(bucket: number, shard: string, epoch: number): void;
  /** A fence said: it went there. Whether it has arrived is not known. Answers whether that was news. */
  learnHint(bucket: number, shard: string, epoch: number): boolean;
  /** Asks the directory; those who ask at the same time share an answer. */
  refresh(): Promise<void>;
  readonly stats: { readonly refreshes: number; readonly failures: number; readonly staleUses: number };
  noteStale(): void;
}

export interface Place {
  readonly shard: string;
  readonly epoch: number;
  /** False when only a hint is known: the epoch is then no proof for a read. */
  readonly isProven: boolean;
}

export interface BucketMapOptions {
  readonly directory: Database;
  readonly service: string;
  readonly clock: Clock;
  readonly refreshMs: number;
  /** @internal A map that never learns, for the proof that a stale one does no harm. */
  readonly isFrozen?: boolean;
}

export function createBucketMap({ directory, service, clock, refreshMs, isFrozen }: BucketMapOptions): BucketMap {
  const places = new Map<number, Place>();
  const stats = { refreshes: 0, failures: 0, staleUses: 0 };
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  const load = async (): Promise<void> => {
    const rows = await readBuckets(directory, service);
    if (rows.length !== bucketCount) throw notPrepared(`the directory has ${rows.length} buckets of ${service}`);
    for (const { bucket, shard, epoch } of rows) {
      const known = places.get(bucket);
      if (!known || epoch > known.epoch || (epoch === known.epoch && !known.isProven))
        places.set(bucket, { shard, epoch, isProven: true });
    }
    stats.refreshes++;
    loadedAt = clock.now();
  };

  const refresh = (): Promise<void> => {
    if (isFrozen && places.size > 0) return Promise.resolve();
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  };

  return {
    stats,
    refresh,
    async placeOf(bucket) {
      if (places.size === 0) await refresh();
      else if (clock.now() - loadedAt > refreshMs && !loading) {
        // In the background, and not again for a while when it fails: what is known still serves.
        loadedAt = clock.now();
        void refresh().catch(() => stats.failures++);
      }
      return places.get(bucket) as Place;
    },
    learnOwner(bucket, shard, epoch) {
      const known = places.get(bucket);
      if (!isFrozen && (!known || epoch >= known.epoch)) places.set(bucket, { shard, epoch, isProven: true });
    },
    learnHint(bucket, shard, epoch) {
      const known = places.get(bucket);
      if (isFrozen || (known && known.epoch >= epoch)) return false;
      places.set(bucket, { shard, epoch, isProven: false });
      return true;
    },
    noteStale: () => void stats.staleUses++,
  };
}

export interface BucketRow {
  readonly bucket: number;
  readonly shard: string;
  readonly epoch: number;
}

export async function readBuckets(directory: Database, service: string): Promise<readonly BucketRow[]> {
  return directory.sql<BucketRow>`select bucket, shard, epoch from buckets where service = ${service} order by bucket`;
}
