/** One service's tables over several databases, by a key: buckets, the router and its fence, and moves between shards. */
export { bucketCount, bucketOf, keyLengthMax } from "./bucket.ts";
export type { HotKey } from "./hot-keys.ts";
export type { MoveCrashPoint, MoveCrashPointName } from "./move-crash-points.ts";
export { moveCrashPoints } from "./move-crash-points.ts";
export type { Move, MoveState } from "./move-store.ts";
export type { MoveRequest, Mover, MoverOptions } from "./mover.ts";
export { createMover } from "./mover.ts";
export type { MigrateShardsOptions } from "./shard-migrations.ts";
export { migrateShards } from "./shard-migrations.ts";
export type { ShardedDatabase, ShardedDatabaseOptions, ShardedDatabaseStats } from "./sharded-database.ts";
export { createShardedDatabase } from "./sharded-database.ts";
export type { ShardBy } from "./sharded-table.ts";
export { bucketVectors } from "./vectors.ts";
