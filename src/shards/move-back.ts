import { sql } from "../database/index.ts";
import { lockFence } from "./move-fence.ts";
import type { MoveWork } from "./move-work.ts";
import { archiveOf, asMover, asMoverForLong, columnList, fenceLost } from "./move-work.ts";
import { qualified } from "./sharded-table.ts";

/**
 * The way back, also out of SWITCH. First the target: once its fence does not wait for this move, it can never open
 * under it. Then the source, whose rows lie in the archive.
 */

/** The target waits no more. False when it has opened already, and there is no way back. */
export function withdraw({ target, move }: MoveWork): Promise<boolean> {
  return asMover(target, move, async (tx) => {
    const rows = await lockFence(tx, move.buckets);
    if (rows.some(({ state, move: by }) => state === "open" && by === move.id)) return false;
    await tx.sql`
      update plinth_fence set state = 'away', move = null, changed_at = clock_timestamp()
      where bucket = any(${move.buckets}::int[]) and state = 'incoming' and move = ${move.id}`;
    return true;
  });
}

/** Whether the source has let go in this move. */
export async function hasLeft({ source, move }: MoveWork): Promise<boolean> {
  const rows = await source.sql`
    select 1 as one from plinth_fence
    where bucket = any(${move.buckets}::int[]) and state = 'away' and move = ${move.id} limit 1`;
  return rows.length > 0;
}

/** The source has its rows again and is open, under an epoch that nobody has seen. Only after `withdraw`. */
export function takeBack(work: MoveWork): Promise<void> {
  const { source, move, tables } = work;
  return asMoverForLong(source, move, async (tx) => {
    const rows = await lockFence(tx, move.buckets);
    const gone = rows.filter(({ state, move: by }) => state === "away" && by === move.id);
    if (gone.length === 0) return;
    for (const table of tables) {
      const archive = archiveOf(work, table.name);
      const [known] = await tx.sql<{ found: string | null }>`select to_regclass(${archive})::text as found`;
      if (!known?.found) continue;
      const columns = columnList(table.columns.filter(({ isGenerated }) => !isGenerated));
      await tx.execute(sql`
        insert into ${sql.unsafe(qualified(source.schema, table.name))} (${columns}) overriding system value
        select ${columns} from ${sql.unsafe(archive)}`);
    }
    const opened = await tx.sql`
      update plinth_fence set state = 'open', epoch = epoch + 1, moved_to = null, capture = false,
        changed_at = clock_timestamp()
      where bucket = any(${move.buckets}::int[]) and state = 'away' and move = ${move.id} returning 1 as one`;
    if (opened.length !== move.buckets.length) throw fenceLost(move, move.source);
  });
}

/** The epochs of the buckets that the source has, for the directory. */
export async function epochsOf({ source, move }: MoveWork): Promise<ReadonlyMap<number, number>> {
  const rows = await source.sql<{ bucket: number; epoch: number }>`
    select bucket, epoch from plinth_fence where bucket = any(${move.buckets}::int[]) and state = 'open'`;
  return new Map(rows.map(({ bucket, epoch }) => [bucket, epoch]));
}
