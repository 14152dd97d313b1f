import type { Clock, Random } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { MoveCrashPoint } from "./move-crash-points.ts";
import type { FenceLimits } from "./move-steps.ts";
import type { Move } from "./move-store.ts";
import type { ShardBy } from "./sharded-table.ts";

export interface MoverOptions {
  readonly directory: Database;
  /** The service's database on each shard. */
  readonly shards: ReadonlyMap<string, Database>;
  readonly service: string;
  readonly shardBy: ShardBy;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Buckets that are fenced together. Default 16. */
  readonly bucketsPerMove?: number;
  /** Default 1,000. */
  readonly batchRows?: number;
  /** Rows copied a second, at most, by whoever works on the moves. Default: what was asked for with the move, or no limit. */
  readonly rowsPerSecondMax?: number;
  /** CATCHUP goes on to FENCE when fewer rows than this are left. Default 100. */
  readonly backlogMax?: number;
  /** Default 2,000. */
  readonly pauseMsMax?: number;
  /** How long FENCE waits for the writers that are inside. Default 2,000. */
  readonly lockTimeoutMs?: number;
  /** Default 5. */
  readonly fenceAttempts?: number;
  /** How long a step is tried again while a shard cannot be reached. Default 30,000. */
  readonly stepTimeoutMs?: number;
  /** Default 15,000. */
  readonly leaseMs?: number;
  /** Default 7 days. */
  readonly archiveMs?: number;
  /** What must leave the source before its buckets do. Default: the events of these buckets in its outbox. */
  readonly pendingEvents?: FenceLimits["pendingEvents"];
  readonly crashPoint?: MoveCrashPoint;
  readonly onProgress?: (move: Move) => void;
}
