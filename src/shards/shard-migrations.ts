import type { Clock } from "../base/index.ts";
import { StartError, systemClock } from "../base/index.ts";
import type { Database, MigrationSource } from "../database/index.ts";
import { migrate } from "../database/index.ts";
import { bucketCount } from "./bucket.ts";
import { readBuckets } from "./bucket-map.ts";
import { migrateDirectory } from "./directory-schema.ts";
import { guardTables, tagPlatformTables } from "./guard.ts";
import { migrateShardSchema } from "./shard-schema.ts";
import type { ShardBy } from "./sharded-table.ts";
import { readShardedTables, shapeOf } from "./sharded-table.ts";

export interface MigrateShardsOptions {
  readonly directory: Database;
  /** The service's database on each shard: name → database. The first one gets all buckets of a new service. */
  readonly shards: ReadonlyMap<string, Database>;
  readonly service: string;
  readonly shardBy: ShardBy;
  readonly migrations?: MigrationSource;
  /** What else the schema needs before the service's own steps, such as the tables of events. */
  readonly prepare?: (database: Database) => Promise<unknown>;
  /** Spread the buckets of a new service over all shards at once. For data that begins sharded. Default false. */
  readonly spread?: boolean;
  /** "refuse": unsafe steps of `migrations` stop the start, as in `migrate`. Default "off". */
  readonly lint?: "refuse" | "off";
  readonly clock?: Clock;
}

export const shardCountMax = 64;

/**
 * Brings every shard and the directory to the same state; safe to call from many processes at once. In this order:
 * directory, then for each shard its own tables, `prepare`, the service's migrations, the checks of the tables, its
 * fence, the tables' index and guard. A shard that cannot be reached stops the start: one that is behind would lose writes of the
 * new version. Answers the names of the service's steps that were applied, by shard.
 */
export async function migrateShards(options: MigrateShardsOptions): Promise<ReadonlyMap<string, readonly string[]>> {
  const { directory, shards, service, shardBy, lint = "off", clock = systemClock } = options;
  if (shards.size < 1 || shards.size > shardCountMax)
    throw new StartError("SHARD_COUNT", `service ${service} has ${shards.size} shards: name 1 to ${shardCountMax}`);
  await migrateDirectory(directory);
  const directoryId = await assignBuckets(options);
  const applied = new Map<string, readonly string[]>();
  const shapes = new Map<string, string>();
  for (const [name, database] of shards) {
    await migrateShardSchema(database);
    await claimIdentity(database, directoryId, service, name);
    await options.prepare?.(database);
    await tagPlatformTables(database);
    const steps = options.migrations ? await migrate(database, options.migrations, { lint, clock }) : [];
    applied.set(
      name,
      steps.map((step) => step.name),
    );
    const tables = await readShardedTables(database, shardBy, name);
    shapes.set(name, shapeOf(tables));
    // The fence first: an older version of the service, which knows of no shards, writes on while this one starts.
    await raiseFence(directory, database, service, name);
    await guardTables(database, tables, clock);
  }
  compareShapes(shapes, service);
  return applied;
}

/** Gives a new service its buckets, and notes new shards. Answers the id of the directory. */
async function assignBuckets({ directory, shards, service, spread = false }: MigrateShardsOptions): Promise<string> {
  const names = [...shards.keys()];
  const owners = Array.from({ length: bucketCount }, (_, bucket) =>
    spread ? names[Math.floor((bucket * names.length) / bucketCount)] : names[0],
  );
  const numbers = owners.map((_, bucket) => bucket);
  return directory.transaction(async (tx) => {
    const [row] = await tx.sql<{ id: string }>`select id from directory for update`;
    await tx.sql`
      insert into shards (service, name) select ${service}, unnest(${names}::text[]) on conflict do nothing`;
    await tx.sql`
      insert into buckets (service, bucket, shard, epoch)
      select ${service}, b.bucket, b.shard, 1 from unnest(${numbers}::int[], ${owners}::text[]) b(bucket, shard)
      where not exists (select 1 from buckets where service = ${service})`;
    const missing = await tx.sql<{ shard: string }>`
      select distinct shard from buckets where service = ${service} and shard <> all(${names}::text[]) order by shard`;
    if (missing.length > 0) {
      const list = missing.map(({ shard }) => shard).join(", ");
      throw new StartError(
        "SHARD_MISSING",
        `service ${service} has buckets on ${list}, and no address for it: name every shard in DATABASE_SHARDS`,
      );
    }
    return (row as { id: string }).id;
  });
}

/** Two names for one database, or one that belongs to somebody else, would end in rows that are there twice. */
async function claimIdentity(database: Database, directory: string, service: string, name: string): Promise<void> {
  await database.sql`
    insert into plinth_shard (directory, service, name) values (${directory}, ${service}, ${name}) on conflict do nothing`;
  const [row] = await database.sql<{ directory: string; service: string; name: string }>`select * from plinth_shard`;
  if (row?.directory === directory && row.service === service && row.name === name) return;
  throw new StartError(
    "SHARD_IDENTITY",
    `shard ${name} of ${service}: its database says it is shard ${row?.name} of ${row?.service}` +
      `${row?.directory === directory ? "" : " in another directory"}; correct the addresses in DATABASE_SHARDS`,
  );
}

/** Only what is missing: a fence that stands knows better than any directory. */
async function raiseFence(directory: Database, database: Database, service: string, name: string): Promise<void> {
  const [count] = await database.sql<{ rows: number }>`select count(*) as rows from plinth_fence`;
  if (count?.rows === bucketCount) return;
  const rows = await readBuckets(directory, service);
  const own = rows.map(({ shard }) => (shard === name ? "open" : "away"));
  const epochs = rows.map(({ shard, epoch }) => (shard === name ? epoch : 0));
  await database.sql`
    insert into plinth_fence (bucket, epoch, state)
    select * from unnest(${rows.map(({ bucket }) => bucket)}::int[], ${epochs}::bigint[], ${own}::text[])
    on conflict do nothing`;
}

function compareShapes(shapes: ReadonlyMap<string, string>, service: string): void {
  const [first] = shapes;
  if (!first) return;
  const different = [...shapes].filter(([, shape]) => shape !== first[1]).map(([name]) => name);
  if (different.length === 0) return;
  throw new StartError(
    "SHARD_SHAPE",
    `service ${service}: the sharded tables of ${different.join(", ")} have other columns, constraints or unique indexes than those of ${first[0]}: ` +
      "rows could not move between them. Make the same migrations make the same tables, columns in the same order",
  );
}
