import { CallScope, error, isError, servicePrincipal } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import { applyChanges } from "./move-copy.ts";
import { enterTarget, fenceOff, leaveSource, lockFence, reopen, startCapture, verifyCopy } from "./move-fence.ts";
import type { Move } from "./move-store.ts";
import type { MoveWork } from "./move-work.ts";
import { archiveOf, asMover, claimShard, columnList, stageOf } from "./move-work.ts";
import { qualified } from "./sharded-table.ts";

/** What each state of a move does. Every step may run again from its beginning, by another process. */

/** Both shards know the mover, the target has tables to fill, the source notes what changes. Answers why not. */
export async function begin(work: MoveWork, lockTimeoutMs: number): Promise<string | undefined> {
  const { source, target, move, tables } = work;
  await asMover(target, move, async (tx) => {
    for (const table of tables) {
      const stage = stageOf(work, table);
      const columns = columnList(table.columns);
      const key = columnList(table.primaryKey);
      const live = sql.unsafe(qualified(target.schema, table.name));
      const [known] = await tx.sql<{ found: string | null }>`select to_regclass(${stage})::text as found`;
      if (known?.found) continue;
      await tx.execute(sql`create table ${sql.unsafe(stage)} as select ${columns} from ${live} with no data`);
      await tx.execute(sql`alter table ${sql.unsafe(stage)} add primary key (${key})`);
    }
    await lockFence(tx, move.buckets);
    await tx.sql`
      update plinth_fence set state = 'incoming', move = ${move.id}
      where bucket = any(${move.buckets}::int[]) and state = 'away'`;
  });
  await asMover(source, move, async (tx) => {
    for (const table of tables) {
      const archive = sql.unsafe(archiveOf(work, table.name));
      const live = sql.unsafe(qualified(source.schema, table.name));
      await tx.execute(
        sql`create table if not exists ${archive} as select ${columnList(table.columns)} from ${live} with no data`,
      );
    }
  });
  const [wrong] = await target.sql<{ bucket: number; state: string }>`
    select bucket, state from plinth_fence
    where bucket = any(${move.buckets}::int[]) and (state <> 'incoming' or move <> ${move.id}) limit 1`;
  if (wrong) return `bucket ${wrong.bucket} is ${wrong.state} on ${move.target}`;
  const refused = await startCapture(work, lockTimeoutMs);
  if (!refused) work.crashPoint("move.capturing");
  return refused;
}

export interface FenceLimits {
  readonly lockTimeoutMs: number;
  /** Longest time that writers wait, in ms. */
  readonly pauseMsMax: number;
  /** Rows that the source must publish before its events may stay behind. */
  pendingEvents(source: Database, buckets: readonly number[]): Promise<number>;
}

/** `switch`: nothing is missing on the target. `again`: the source is open as before, and it is worth another try. */
export type Fenced = { readonly then: "switch" } | { readonly then: "again" | "abort"; readonly why: string };

/** FENCE: no more writes, drain, verify. Whatever goes wrong, the source is open again afterwards. */
export async function fence(work: MoveWork, limits: FenceLimits): Promise<Fenced> {
  const { clock, source, target } = work;
  const { pauseMsMax } = limits;
  const pause = new CallScope({
    principal: servicePrincipal("mover"),
    deadline: Number.POSITIVE_INFINITY,
    caller: "mover",
  });
  const over = error("deadline_exceeded", `Writers waited for ${pauseMsMax} ms.`, { executed: "no" });
  const stop = clock.after(pauseMsMax, () => pause.cancel(over));
  const doing = { what: "writers stayed inside" };
  let outcome: Fenced;
  try {
    // Whatever still runs then is cancelled: a statement that hangs must not keep writers out.
    const limited = { ...work, source: source.bind(pause), target: target.bind(pause) };
    outcome = await close(limited, limits, doing);
  } catch (thrown) {
    if (!pause.cancelled && !isError(thrown, "LOCK_NOT_AVAILABLE")) throw thrown;
    outcome = { then: "again", why: `${doing.what} for more than ${pauseMsMax} ms` };
  } finally {
    stop();
    pause.finish();
  }
  if (outcome.then === "switch") work.crashPoint("move.verified");
  else await reopen(work, true);
  return outcome;
}

/** `doing` says what to blame when this is cut off. */
async function close(
  work: MoveWork,
  { lockTimeoutMs, pauseMsMax, pendingEvents }: FenceLimits,
  doing: { what: string },
): Promise<Fenced> {
  const { clock, source, move } = work;
  const endsAt = clock.now() + pauseMsMax;
  const again = (): Fenced => ({ then: "again", why: `${doing.what} for more than ${pauseMsMax} ms` });
  await fenceOff(work, Math.min(lockTimeoutMs, pauseMsMax));
  work.crashPoint("move.fenced");
  doing.what = "draining went on";
  while ((await applyChanges(work)) > 0) if (clock.now() > endsAt) return again();
  for (;;) {
    const events = await pendingEvents(source, move.buckets);
    if (events === 0) break;
    doing.what = `${events} events of the outbox were not published (is a relay running?)`;
    if (clock.now() > endsAt) return again();
    await clock.sleep(20);
  }
  doing.what = "verifying went on (move fewer buckets at a time)";
  const wrong = await verifyCopy(work);
  if (wrong) return { then: "abort", why: wrong };
  return clock.now() > endsAt ? again() : { then: "switch" };
}

/** SWITCH: the source lets go, then the target takes over. Between the two nobody has the buckets, never both. */
export async function switchOver(work: MoveWork): Promise<ReadonlyMap<number, number>> {
  const epochs = await leaveSource(work, (table) => archiveOf(work, table));
  work.crashPoint("move.source-left");
  await enterTarget(work, epochs);
  work.crashPoint("move.target-open");
  return epochs;
}

/** CLEAN, and the end of ABORT: what the move needed and nobody else does. The archive stays. */
export async function clean({ target, source, move }: MoveWork): Promise<void> {
  await asMover(target, move, async (tx) => {
    await dropTables(tx, target.schema, `plinth_move_${move.id}_`);
    await tx.sql`delete from plinth_copied where move = ${move.id}`;
  });
  // Not the last ones: they are what refuses a mover that comes late.
  for (const database of [source, target])
    await database.sql`delete from plinth_mover where move < ${move.id - moversKept}`;
}

const moversKept = 10_000;

/** ABORT, once the target has withdrawn: the source is as it was. */
export async function undo(work: MoveWork): Promise<void> {
  const { source, move } = work;
  work.crashPoint("move.aborting");
  await reopen(work, false);
  await source.sql`delete from plinth_changes where bucket = any(${move.buckets}::int[])`;
  await clean(work);
  await dropArchive(source, move);
}

export async function dropArchive(source: Database, { id }: Pick<Move, "id">): Promise<void> {
  await source.transaction((tx) => dropTables(tx, source.schema, `plinth_gone_${id}_`));
}

async function dropTables(tx: Transaction, schema: string, prefix: string): Promise<void> {
  const tables = await tx.sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = ${schema} and starts_with(tablename, ${prefix}::text)`;
  for (const { name } of tables) await tx.execute(sql`drop table if exists ${sql.id(schema, name)}`);
}

/** A mover that comes to a move somebody else left: both shards must know, and a fence left standing opens. */
export async function takeOver(work: MoveWork): Promise<void> {
  await claimShard(work.source, work.move);
  await claimShard(work.target, work.move);
  if (work.move.state === "FENCE") await reopen(work, true);
}
