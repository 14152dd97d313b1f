import { StartError } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { guardedTables } from "./guard.ts";
import type { ShardBy, ShardedTable } from "./sharded-table.ts";
import { readShardedTables, shapeOf } from "./sharded-table.ts";

/** The two sides of a move, before anything is written. */
export interface MoveSides {
  readonly source: Database;
  readonly target: Database;
  readonly from: string;
  readonly to: string;
  readonly shardBy: ShardBy;
}

/**
 * Whether every row of the source would be taken by the target. Both have the same tables with the same columns,
 * constraints and unique indexes, all of which hold for all rows; all are guarded, and none that is unknown here.
 * Answers their shape; StartError says what to do.
 */
export async function checkSides(sides: MoveSides, known?: readonly ShardedTable[]): Promise<string> {
  const { source, target, from, to, shardBy } = sides;
  const own = known ?? (await readShardedTables(source, shardBy, from));
  const names = own.map(({ name }) => name).sort();
  for (const database of [source, target]) {
    const guarded = await guardedTables(database);
    if (guarded.toSorted().join() === names.join()) continue;
    throw new StartError(
      "SHARD_TABLES_UNKNOWN",
      `tables ${guarded.join(", ")} are guarded and ${names.join(", ")} would move: migrate, and move with the version that runs`,
    );
  }
  const theirs = await readShardedTables(target, shardBy, to);
  const shape = shapeOf(own);
  if (shape !== shapeOf(theirs)) throw shapesDiffer(from, to);
  refuseUnvalidated(from, own);
  refuseUnvalidated(to, theirs);
  return shape;
}

export function shapesDiffer(from: string, to: string): StartError {
  return new StartError(
    "SHARD_SHAPE",
    `the sharded tables of ${to} and ${from} differ, or changed during the move, in columns, constraints or unique ` +
      "indexes: migrate both, and move again",
  );
}

/** A row that is older than the constraint may break it, and would be refused where it is new. */
function refuseUnvalidated(shard: string, tables: readonly ShardedTable[]): void {
  const problems = tables.flatMap(({ name, unvalidated }) =>
    unvalidated.map(
      (rule) =>
        `table ${name} of shard ${shard}: ${rule} is not valid for all rows, and one could be refused on its way: ` +
        `alter table ${name} validate constraint ${rule}, or build the index anew`,
    ),
  );
  if (problems.length > 0) throw new StartError("SHARD_CONSTRAINT_UNVALIDATED", problems);
}
