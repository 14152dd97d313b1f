import { toPlinthError } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { databaseDetail } from "../database/index.ts";
import { readBuckets } from "./bucket-map.ts";
import type { Move } from "./move-store.ts";
import { createMoveStore } from "./move-store.ts";

export interface ShardStatus {
  readonly name: string;
  /** By the directory. */
  readonly buckets: readonly number[];
  /** The number of the last migration of the service; undefined when the shard cannot be asked. */
  readonly migration: number | undefined;
  /** Other shards have later migrations. */
  readonly isBehind: boolean;
  /** What is wrong: it cannot be reached, or its fence says otherwise than the directory. */
  readonly problems: readonly string[];
}

export interface ShardsStatus {
  readonly service: string;
  readonly shards: readonly ShardStatus[];
  /** Those that have not ended. */
  readonly moves: readonly Move[];
}

export interface StatusOptions {
  readonly directory: Database;
  readonly shards: ReadonlyMap<string, Database>;
  readonly service: string;
  /** Shards that could not be opened, and why. */
  readonly unreachable?: ReadonlyMap<string, string>;
}

/** What the directory and every shard say of one service. A shard that cannot be reached is part of the answer. */
export async function shardsStatus({ directory, shards, service, unreachable }: StatusOptions): Promise<ShardsStatus> {
  const rows = await readBuckets(directory, service);
  const known = await directory.sql<{ name: string }>`select name from shards where service = ${service} order by name`;
  const moves = await createMoveStore(directory, service, 0).unfinished();
  const moving = new Set(moves.flatMap(({ buckets }) => buckets));
  const names = [...new Set([...known.map(({ name }) => name), ...shards.keys(), ...(unreachable?.keys() ?? [])])];
  const found = await Promise.all(
    names.map(async (name) => {
      const buckets = rows.filter(({ shard }) => shard === name).map(({ bucket }) => bucket);
      const database = shards.get(name);
      const closed = unreachable?.get(name);
      if (closed !== undefined) return { name, buckets, migration: undefined, problems: [closed] };
      if (!database) return { name, buckets, migration: undefined, problems: ["has no address in DATABASE_SHARDS"] };
      try {
        const migration = await lastMigration(database);
        const open = await database.sql<{
          bucket: number;
        }>`select bucket from plinth_fence where state in ('open', 'fenced')`;
        return { name, buckets, migration, problems: differences(buckets, open, moving) };
      } catch (thrown) {
        const failed = toPlinthError(thrown);
        const why =
          failed.reason === "SQL_INVALID" ? "was never migrated" : (databaseDetail(failed)?.message ?? failed.message);
        return { name, buckets, migration: undefined, problems: [why] };
      }
    }),
  );
  const latest = Math.max(...found.map(({ migration }) => migration ?? 0));
  const all = found.map((shard) => ({ ...shard, isBehind: shard.migration !== undefined && shard.migration < latest }));
  return { service, shards: all, moves };
}

async function lastMigration(database: Database): Promise<number> {
  const [row] = await database.sql<{ number: number | null }>`
    select max(number) as number from plinth_migrations where set = 'service'`;
  return row?.number ?? 0;
}

/** The fence is right. Where the directory says otherwise and no move explains it, somebody has to look. */
function differences(
  buckets: readonly number[],
  open: readonly { readonly bucket: number }[],
  moving: ReadonlySet<number>,
) {
  const here = new Set(open.map(({ bucket }) => bucket));
  const closed = buckets.filter((bucket) => !here.has(bucket) && !moving.has(bucket));
  const extra = open.filter(({ bucket }) => !buckets.includes(bucket) && !moving.has(bucket));
  return [
    ...(closed.length > 0 ? [`${closed.length} of its buckets are not open, such as ${closed[0]}`] : []),
    ...(extra.length > 0 ? [`${extra.length} buckets of others are open, such as ${extra[0]?.bucket}`] : []),
  ];
}
