import type { Clock } from "../base/index.ts";
import { createIds, error, isError, systemClock, systemRandom } from "../base/index.ts";
import { throughAll } from "./attempts.ts";
import { bucketCount } from "./bucket.ts";
import { sweepClaims } from "./claim-settlement.ts";
import { checkSides } from "./move-check.ts";
import { MoveRun, messageOf, shardOf } from "./move-run.ts";
import { dropArchive } from "./move-steps.ts";
import type { Move, MoveStore } from "./move-store.ts";
import { createMoveStore } from "./move-store.ts";
import type { MoverOptions } from "./mover-options.ts";

/**
 * Moves buckets from shard to shard while the service works.
 *
 *     STABLE → COPY → CATCHUP ⇄ FENCE → SWITCH → CLEAN
 *
 * COPY takes the rows over in batches while the guard on the source notes which ones change; CATCHUP fetches those until
 * few are left; FENCE stops the writers of these buckets, fetches the last, waits for their events to leave, and compares
 * both sides row by row; SWITCH removes the rows from the source, makes them live on the target, and tells the directory;
 * CLEAN drops what is left over, but for an archive of the rows on the source.
 *
 * **Promises.** No acknowledged write is lost, and no row is live in two places. Every state is durable and every step
 * may be repeated: a mover that dies is followed by the next (`resume`), from wherever it was. Two movers never work on
 * one move: the lease in the directory has an epoch, and both shards refuse a late one. Writers wait at most
 * `pauseMsMax` for FENCE; then its statements are cancelled, it opens again and is tried later. A copy that differs is
 * given up, never switched to. What the target would refuse is found out before FENCE, by inserting all rows and rolling
 * back; if it refuses in SWITCH all the same, the source takes its rows back and opens, and the move is ABORTED.
 *
 * **Not promised.** SWITCH has no limit: it takes as long as all rows of its buckets take to leave and to enter. When the
 * mover dies in FENCE or SWITCH, its buckets are closed until the lease has run out and the next one comes: run `resume`
 * in several processes, or on a schedule. No stream runs back: to undo a move, move again.
 * Tables without a shard key do not move. A schema migration on one of the two shards ends a move that has not switched.
 *
 * **Limits.** 16 buckets for each fence, 1,000 rows a batch, 2 s pause, 5 tries of the fence with growing breaks, a lease
 * of 15 s, an archive kept 7 days (`expire` drops it).
 */
export interface Mover {
  /**
   * Writes the moves down, runs one after the other, and answers how each ended, or how far another mover has come with
   * it. Buckets that are there already stay. Nothing is written down that could not be moved.
   */
  move(request: MoveRequest, options?: MovingOptions): Promise<readonly Move[]>;
  /**
   * Goes on with what other movers left, as far as their leases have run out, first with moves that keep writers out.
   * Answers those that ended. One that fails does not keep the others: what went wrong is thrown at the end.
   */
  resume(options?: MovingOptions): Promise<readonly Move[]>;
  /** Gives up a move, whoever works on it, and answers how it ended; undefined when it has switched, or ended. */
  abort(id: number, why: string): Promise<Move | undefined>;
  /** Drops archives older than `archiveMs`, and a piece of what claims left behind. Answers the archives of how many moves. */
  expire(): Promise<number>;
  readonly store: MoveStore;
}

export interface MoveRequest {
  readonly buckets: readonly number[];
  readonly to: string;
}

export interface MovingOptions {
  /** Ends the work between two batches, for a drain: what is left can be resumed at once. FENCE and SWITCH are ended first. */
  readonly signal?: AbortSignal;
}

const defaultLeaseMs = 15_000;

export function createMover(options: MoverOptions): Mover {
  const { directory, shards, service, clock = systemClock, random = systemRandom, rowsPerSecondMax } = options;
  const { leaseMs = defaultLeaseMs, archiveMs = 7 * 86_400_000, bucketsPerMove = 16 } = options;
  const store = createMoveStore(directory, service, leaseMs);
  const owner = createIds(clock, random)();
  const shift = (moves: readonly Move[], signal?: AbortSignal) =>
    workThrough({ options, store, owner, clock, leaseMs, moves, signal });
  return {
    store,
    async move({ buckets, to }, { signal } = {}) {
      await checkRequest(options, store, buckets, to);
      const terms = { owner, ...(rowsPerSecondMax !== undefined && { rowsPerSecond: rowsPerSecondMax }) };
      const planned = await store.plan(buckets, to, bucketsPerMove, terms);
      options.crashPoint?.("move.planned");
      await shift(planned, signal);
      return store.read(planned.map(({ id }) => id));
    },
    resume: async ({ signal } = {}) => shift(await store.unfinished(), signal),
    async abort(id, why) {
      const given = await store.giveUp(id, why);
      return given && (await shift([given]))[0];
    },
    async expire() {
      const moves = await store.expired(archiveMs);
      const drop = async (move: Move): Promise<void> => {
        await dropArchive(shardOf(shards, move.source), move);
        await store.markExpired(move.id);
      };
      const tasks = [...moves.map((move) => () => drop(move)), () => sweepClaims({ directory, shards, service })];
      await throughAll(tasks, (task) => task());
      return moves.length;
    },
  };
}

/** All that would make a move fail is looked for before it is written down. */
async function checkRequest(
  { shards, shardBy }: MoverOptions,
  store: MoveStore,
  buckets: readonly number[],
  to: string,
) {
  const target = shardOf(shards, to);
  const known = buckets.filter((bucket) => Number.isInteger(bucket) && bucket >= 0 && bucket < bucketCount);
  const sources = (await store.sourcesOf(known)).filter((name) => name !== to);
  for (const from of sources) await checkSides({ source: shardOf(shards, from), target, from, to, shardBy });
}

interface Shift {
  readonly options: MoverOptions;
  readonly store: MoveStore;
  readonly owner: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly moves: readonly Move[];
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs one move after the other, and answers those that ended. All that are this mover's keep their lease meanwhile, so
 * that nobody takes one that only waits for its turn; afterwards those that did not end are let go.
 */
async function workThrough({ options, store, owner, clock, leaseMs, moves, signal }: Shift): Promise<readonly Move[]> {
  const left = new Set(moves.map(({ id }) => id));
  const ended: Move[] = [];
  const failures: { readonly id: number; readonly thrown: unknown }[] = [];
  let keeping: Promise<void> | undefined;
  const stopKeeping = clock.every(Math.max(leaseMs / 3, 20), () => {
    keeping ??= store
      .keep([...left], owner)
      // Without a lease the move goes on all the same, until another takes it over.
      .catch(() => {})
      .finally(() => {
        keeping = undefined;
      });
  });
  try {
    for (const { id } of moves) {
      if (signal?.aborted) break;
      try {
        const move = await store.take(id, owner);
        if (!move) continue;
        ended.push(await new MoveRun(options, store, move, signal).finish());
        left.delete(id);
      } catch (thrown) {
        if (isError(thrown, "SHARD_MOVE_STOPPED")) break;
        if (!isError(thrown, "SHARD_MOVE_TAKEN_OVER")) failures.push({ id, thrown });
      }
    }
  } finally {
    stopKeeping();
    await keeping;
    // When the directory cannot be reached, they run out.
    await store.release([...left], owner).catch(() => {});
  }
  if (failures.length === 1) throw failures[0]?.thrown;
  if (failures.length > 1) throw movesFailed(failures);
  return ended;
}

function movesFailed(failures: readonly { readonly id: number; readonly thrown: unknown }[]) {
  const message = failures.map(({ id, thrown }) => `move ${id}: ${messageOf(thrown)}`).join("; ");
  return error("unavailable", `${failures.length} moves could not be ended: ${message}`, {
    reason: "SHARD_MOVES_FAILED",
    executed: "maybe",
    detail: { message },
    cause: failures[0]?.thrown,
  });
}
