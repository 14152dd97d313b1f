import type { Clock, Random } from "../base/index.ts";
import { createIds, isError, PlinthError, StartError, systemClock, systemRandom } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { guardedTables } from "./guard.ts";
import { applyChanges, copyRows } from "./move-copy.ts";
import type { MoveCrashPoint } from "./move-crash-points.ts";
import { pendingEvents } from "./move-fence.ts";
import type { FenceLimits } from "./move-steps.ts";
import { begin, clean, dropArchive, fence, switchOver, takeOver, undo } from "./move-steps.ts";
import type { Move, MoveChange, MoveState, MoveStore } from "./move-store.ts";
import { createMoveStore } from "./move-store.ts";
import type { MoveWork } from "./move-work.ts";
import type { ShardBy, ShardedTable } from "./sharded-table.ts";
import { readShardedTables, shapeOf } from "./sharded-table.ts";

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
 * `pauseMsMax` for FENCE; then it opens again and is tried later. A copy that differs is given up, never switched to.
 *
 * **Not promised.** When the mover dies in SWITCH, between the source and the target, its buckets are closed until the
 * next one comes: run `resume` in several processes, or on a schedule. No stream runs back: to undo a move, move again.
 * Tables without a shard key do not move. A schema migration on one of the two shards ends a move that has not switched.
 *
 * **Limits.** 16 buckets for each fence, 1,000 rows a batch, 2 s pause, 5 tries of the fence with growing breaks, a lease
 * of 15 s, an archive kept 7 days (`expire` drops it).
 */
export interface Mover {
  /** Writes the moves down, runs one after the other, and answers how each ended. Buckets that are there already stay. */
  move(request: MoveRequest): Promise<readonly Move[]>;
  /** Goes on with what other movers left, as far as their leases have run out. */
  resume(): Promise<readonly Move[]>;
  /** Gives up a move, whoever works on it; undefined when it has switched, or ended. */
  abort(id: number, why: string): Promise<Move | undefined>;
  /** Drops archives older than `archiveMs`. Answers of how many moves. */
  expire(): Promise<number>;
  readonly store: MoveStore;
}

export interface MoveRequest {
  readonly buckets: readonly number[];
  readonly to: string;
}

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
  /** Rows copied a second, at most. Default: no limit. */
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

export function createMover(options: MoverOptions): Mover {
  const { directory, service, clock = systemClock, random = systemRandom } = options;
  const { leaseMs = 15_000, archiveMs = 7 * 86_400_000, bucketsPerMove = 16 } = options;
  const store = createMoveStore(directory, service, leaseMs);
  const owner = createIds(clock, random)();
  const run = async (id: number): Promise<Move | undefined> => {
    const move = await store.take(id, owner);
    return move && new MoveRun(options, store, move).finish();
  };
  const runAll = async (moves: readonly Move[]): Promise<readonly Move[]> => {
    const ended: Move[] = [];
    for (const { id } of moves) {
      const move = await run(id);
      if (move) ended.push(move);
    }
    return ended;
  };
  return {
    store,
    async move({ buckets, to }) {
      const planned = await store.plan(buckets, to, bucketsPerMove);
      options.crashPoint?.("move.planned");
      return runAll(planned);
    },
    resume: async () => runAll(await store.unfinished()),
    abort: async (id, why) => ((await store.giveUp(id, why)) ? run(id) : undefined),
    async expire() {
      const moves = await store.expired(archiveMs);
      for (const move of moves) {
        await dropArchive(shardOf(options.shards, move.source), move);
        await store.markExpired(move.id);
      }
      return moves.length;
    },
  };
}

/** One mover's work on one move, from wherever it is to its end. */
class MoveRun {
  readonly #options: MoverOptions;
  readonly #store: MoveStore;
  readonly #clock: Clock;
  readonly #random: Random;
  #move: Move;
  #fenceTries = 0;
  #renewedAt: number;
  #startedAt: number;
  #paced = 0;

  constructor(options: MoverOptions, store: MoveStore, move: Move) {
    this.#options = options;
    this.#store = store;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#move = move;
    this.#startedAt = this.#renewedAt = this.#clock.now();
  }

  async finish(): Promise<Move> {
    await this.#patiently(() => takeOver(this.#workOn([])));
    if (this.#move.state === "FENCE") await this.#advance("CATCHUP");
    while (this.#move.state !== "DONE" && this.#move.state !== "ABORTED") {
      try {
        await this.#step();
      } catch (thrown) {
        if (!this.#mayAbort(thrown)) throw thrown;
        await this.#abort(reasonOf(thrown));
      }
      this.#options.onProgress?.(this.#move);
    }
    return this.#move;
  }

  async #step(): Promise<void> {
    // What ends a move must not depend on tables that are not as they should be.
    const isEnding = this.#move.state === "CLEAN" || this.#move.state === "ABORT";
    const work = isEnding ? this.#workOn([]) : await this.#work();
    const { crashPoint, lockTimeoutMs = 2_000 } = this.#options;
    switch (this.#move.state) {
      case "STABLE": {
        const shape = await this.#compareShapes(work);
        const refused = await this.#patiently(() => begin(work, lockTimeoutMs));
        return refused ? this.#abort(refused) : this.#advance("COPY", { shape });
      }
      case "COPY": {
        const rowsCopied = await this.#patiently(() => copyRows(work));
        crashPoint?.("move.copied");
        return this.#advance("CATCHUP", { rowsCopied });
      }
      case "CATCHUP":
        await this.#catchUp(work);
        await this.#compareShapes(work);
        await this.#advance("FENCE");
        return crashPoint?.("move.fencing");
      case "FENCE":
        return this.#fence(work);
      case "SWITCH":
        return this.#switch(work, undefined);
      case "CLEAN":
        await this.#patiently(() => clean(work));
        crashPoint?.("move.cleaned");
        this.#move = await this.#patiently(() => this.#store.end(this.#move, "DONE"));
        return;
      default:
        await this.#patiently(() => undo(work));
        this.#move = await this.#patiently(() => this.#store.end(this.#move, "ABORTED"));
    }
  }

  /** Until less is left than a fence may take. What changes faster than it can be fetched is left to the fence's limit. */
  async #catchUp(work: MoveWork): Promise<void> {
    const { backlogMax = 100 } = this.#options;
    for (let round = 0; round < catchupRoundsMax; round++) {
      const applied = await this.#patiently(() => applyChanges(work));
      if (applied < Math.min(backlogMax, work.batchRows)) return this.#options.crashPoint?.("move.caught-up");
      await work.pace(applied);
    }
  }

  async #fence(work: MoveWork): Promise<void> {
    const { pauseMsMax = 2_000, lockTimeoutMs = 2_000, fenceAttempts = 5, crashPoint } = this.#options;
    const limits = { pauseMsMax, lockTimeoutMs, pendingEvents: this.#options.pendingEvents ?? pendingEvents };
    const pausedAt = this.#clock.now();
    let outcome: Awaited<ReturnType<typeof fence>>;
    try {
      outcome = await fence(work, limits);
    } catch (thrown) {
      // Writers must not wait for what this mover cannot reach any more.
      if (isPassing(thrown)) await this.#patiently(() => takeOver(work));
      if (!isPassing(thrown)) throw thrown;
      outcome = { then: "again", why: reasonOf(thrown) };
    }
    if (outcome.then === "abort") return this.#abort(outcome.why);
    if (outcome.then === "again") {
      if (++this.#fenceTries >= fenceAttempts) return this.#abort(outcome.why);
      await this.#advance("CATCHUP");
      return this.#clock.sleep(fenceBreakMs * 2 ** this.#fenceTries * (0.5 + this.#random.next()));
    }
    await this.#advance("SWITCH");
    crashPoint?.("move.switching");
    await this.#switch({ ...work, move: this.#move }, pausedAt);
  }

  async #switch(work: MoveWork, pausedAt: number | undefined): Promise<void> {
    const epochs = await this.#patiently(() => switchOver(work));
    const pauseMs = pausedAt === undefined ? undefined : this.#clock.now() - pausedAt;
    this.#move = await this.#patiently(() =>
      this.#store.hand(this.#move, epochs, pauseMs === undefined ? {} : { pauseMs }),
    );
    this.#options.crashPoint?.("move.switched");
  }

  async #abort(why: string): Promise<void> {
    await this.#advance("ABORT", { note: why });
  }

  async #advance(to: MoveState, change: MoveChange = {}): Promise<void> {
    this.#move = await this.#patiently(() => this.#store.advance(this.#move, to, change));
    this.#renewedAt = this.#clock.now();
  }

  async #work(): Promise<MoveWork> {
    const { shards, shardBy } = this.#options;
    const { source } = this.#move;
    return this.#workOn(await this.#patiently(() => readShardedTables(shardOf(shards, source), shardBy, source)));
  }

  #workOn(tables: readonly ShardedTable[]): MoveWork {
    const { shards, batchRows = 1_000, crashPoint = () => {} } = this.#options;
    const move = this.#move;
    const source = shardOf(shards, move.source);
    const target = shardOf(shards, move.target);
    const pace = (rows: number) => this.#pace(rows);
    return { move, source, target, tables, clock: this.#clock, crashPoint, batchRows, pace };
  }

  async #pace(rows: number): Promise<void> {
    const { leaseMs = 15_000, rowsPerSecondMax } = this.#options;
    this.#paced += rows;
    if (rowsPerSecondMax !== undefined) {
      const aheadMs = (this.#paced / rowsPerSecondMax) * 1000 - (this.#clock.now() - this.#startedAt);
      for (let left = aheadMs; left > 0; left -= leaseMs / 3) {
        await this.#clock.sleep(Math.min(left, leaseMs / 3));
        await this.#renew(leaseMs);
      }
    }
    await this.#renew(leaseMs);
  }

  async #renew(leaseMs: number): Promise<void> {
    if (this.#clock.now() - this.#renewedAt < leaseMs / 4) return;
    await this.#patiently(() => this.#store.renew(this.#move));
    this.#renewedAt = this.#clock.now();
  }

  /** Both shards have the same tables, all of them guarded, and none guarded that this mover does not know of. */
  async #compareShapes({ source, target, tables, move }: MoveWork): Promise<string> {
    const names = tables.map(({ name }) => name).sort();
    for (const database of [source, target]) {
      const guarded = await this.#patiently(() => guardedTables(database));
      if (guarded.toSorted().join() === names.join()) continue;
      throw new StartError(
        "SHARD_TABLES_UNKNOWN",
        `tables ${guarded.join(", ")} are guarded and ${names.join(", ")} would move: migrate, and move with the version that runs`,
      );
    }
    const shape = shapeOf(tables);
    const theirs = shapeOf(await this.#patiently(() => readShardedTables(target, this.#options.shardBy, move.target)));
    if (theirs === shape && (move.shape ?? shape) === shape) return shape;
    throw new StartError(
      "SHARD_SHAPE",
      `the sharded tables of ${move.target} and ${move.source} differ, or changed during the move: migrate both, and move again`,
    );
  }

  /** Again and again while somebody cannot be reached. Every step may be repeated. */
  async #patiently<R>(step: () => Promise<R>): Promise<R> {
    const { stepTimeoutMs = 30_000 } = this.#options;
    const endsAt = this.#clock.now() + stepTimeoutMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await step();
      } catch (thrown) {
        if (!isPassing(thrown) || this.#clock.now() >= endsAt) throw thrown;
        await this.#clock.sleep(Math.min(1_000, 20 * 2 ** attempt) * (0.5 + this.#random.next()));
      }
    }
  }

  #mayAbort(thrown: unknown): boolean {
    if (isError(thrown, "SHARD_MOVE_TAKEN_OVER") || isPassing(thrown)) return false;
    return ["STABLE", "COPY", "CATCHUP", "FENCE"].includes(this.#move.state);
  }
}

const catchupRoundsMax = 1_000;
const fenceBreakMs = 100;
const passing: readonly string[] = ["unavailable", "aborted", "deadline_exceeded", "resource_exhausted", "unknown"];

/** What another try may cure: a lost connection, a lock, a commit of unknown outcome. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof PlinthError && passing.includes(thrown.code) && thrown.reason !== "SHARD_MOVE_TAKEN_OVER";
}

function reasonOf(thrown: unknown): string {
  const detail =
    thrown instanceof PlinthError ? (thrown.detail as { message?: string } | undefined)?.message : undefined;
  return detail ?? (thrown instanceof Error ? thrown.message : String(thrown));
}

function shardOf(shards: ReadonlyMap<string, Database>, name: string): Database {
  const database = shards.get(name);
  if (database) return database;
  throw new StartError("SHARD_UNKNOWN", `there is no address for shard ${name}: name it in DATABASE_SHARDS`);
}
