import type { Clock, Random } from "../base/index.ts";
import {
  CallScope,
  error,
  isError,
  PlinthError,
  StartError,
  servicePrincipal,
  systemClock,
  systemRandom,
} from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { epochsOf, hasLeft, takeBack, withdraw } from "./move-back.ts";
import { checkSides, shapesDiffer } from "./move-check.ts";
import { applyChanges, copyRows } from "./move-copy.ts";
import { pendingEvents, rehearse } from "./move-fence.ts";
import { begin, clean, fence, switchOver, takeOver, undo } from "./move-steps.ts";
import type { Move, MoveChange, MoveState, MoveStore } from "./move-store.ts";
import type { MoveWork } from "./move-work.ts";
import type { MoverOptions } from "./mover-options.ts";
import type { ShardedTable } from "./sharded-table.ts";
import { readShardedTables } from "./sharded-table.ts";

/** One mover's work on one move, from wherever it is to its end. */
export class MoveRun {
  readonly #options: MoverOptions;
  readonly #store: MoveStore;
  readonly #clock: Clock;
  readonly #random: Random;
  #move: Move;
  #fenceTries = 0;
  #renewedAt: number;
  #startedAt: number;
  #paced = 0;
  #isRehearsed = false;
  readonly #signal: AbortSignal | undefined;
  /** Ended by the signal: statements of the states that may be left at any time run under it. */
  readonly #scope = new CallScope({
    principal: servicePrincipal("mover"),
    deadline: Number.POSITIVE_INFINITY,
    caller: "mover",
  });

  constructor(options: MoverOptions, store: MoveStore, move: Move, signal?: AbortSignal) {
    this.#signal = signal;
    this.#options = options;
    this.#store = store;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#move = move;
    this.#startedAt = this.#renewedAt = this.#clock.now();
  }

  /** Throws SHARD_MOVE_STOPPED when the signal came first. */
  async finish(): Promise<Move> {
    const stop = (): void => this.#scope.cancel(stopped(this.#move.id));
    this.#signal?.addEventListener("abort", stop);
    if (this.#signal?.aborted) stop();
    try {
      return await this.#finish();
    } finally {
      this.#signal?.removeEventListener("abort", stop);
      this.#scope.finish();
    }
  }

  async #finish(): Promise<Move> {
    await this.#patiently(() => takeOver(this.#workOn([])));
    if (this.#move.state === "FENCE") await this.#advance("CATCHUP");
    while (this.#move.state !== "DONE" && this.#move.state !== "ABORTED") {
      try {
        this.#assertWanted("FENCE");
        await this.#step();
      } catch (thrown) {
        this.#assertWanted();
        if (!this.#mayAbort(thrown)) throw thrown;
        await this.#abort(messageOf(thrown));
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
        const shape = await this.#check(work);
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
        await this.#check(work);
        await this.#rehearse(work);
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
        return this.#undo(work);
    }
  }

  async #rehearse(work: MoveWork): Promise<void> {
    if (this.#isRehearsed) return;
    try {
      await this.#patiently(() => rehearse(work));
    } catch (thrown) {
      if (this.#scope.cancelled || isPassing(thrown) || isError(thrown, "SHARD_MOVE_TAKEN_OVER")) throw thrown;
      throw new StartError("SHARD_ROWS_REFUSED", `${work.move.target} would refuse rows: ${messageOf(thrown)}`);
    }
    this.#isRehearsed = true;
    // It took a while.
    await this.#catchUp(work);
  }

  async #undo(work: MoveWork): Promise<void> {
    if (!(await this.#patiently(() => withdraw(work)))) {
      return this.#advance("SWITCH", { note: `too late to be given up: ${work.move.target} had taken over` });
    }
    if (await this.#patiently(() => hasLeft(work))) {
      const whole = await this.#work();
      await this.#patiently(() => takeBack(whole));
    }
    await this.#patiently(() => undo(work));
    const epochs = await this.#patiently(() => epochsOf(work));
    this.#move = await this.#patiently(() => this.#store.end(this.#move, "ABORTED", epochs));
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
      outcome = { then: "again", why: messageOf(thrown) };
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
    let epochs: ReadonlyMap<number, number>;
    try {
      epochs = await this.#patiently(() => switchOver(work));
    } catch (thrown) {
      if (!isRefusal(thrown) || !(await this.#patiently(() => withdraw(work)))) throw thrown;
      return this.#abort(messageOf(thrown));
    }
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
    const [source, target] = [move.source, move.target].map((name) => {
      const database = shardOf(shards, name);
      return interruptible.includes(move.state) ? database.bind(this.#scope) : database;
    }) as [Database, Database];
    const pace = (rows: number) => this.#pace(rows);
    return { move, source, target, tables, clock: this.#clock, crashPoint, batchRows, pace };
  }

  async #pace(rows: number): Promise<void> {
    this.#assertWanted();
    const { leaseMs = 15_000, rowsPerSecondMax = this.#move.rowsPerSecond } = this.#options;
    this.#paced += rows;
    if (rowsPerSecondMax !== null) {
      const aheadMs = (this.#paced / rowsPerSecondMax) * 1000 - (this.#clock.now() - this.#startedAt);
      for (let left = aheadMs; left > 0; left -= leaseMs / 3) {
        await this.#clock.sleep(Math.min(left, leaseMs / 3), this.#scope.signal);
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

  async #check({ source, target, tables, move }: MoveWork): Promise<string> {
    const sides = { source, target, from: move.source, to: move.target, shardBy: this.#options.shardBy };
    const shape = await this.#patiently(() => checkSides(sides, tables));
    if (move.shape !== null && move.shape !== shape) throw shapesDiffer(move.source, move.target);
    return shape;
  }

  /** Again and again while somebody cannot be reached. Every step may be repeated. */
  async #patiently<R>(step: () => Promise<R>): Promise<R> {
    const { stepTimeoutMs = 30_000 } = this.#options;
    const endsAt = this.#clock.now() + stepTimeoutMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await step();
      } catch (thrown) {
        this.#assertWanted();
        if (!isPassing(thrown) || this.#clock.now() >= endsAt) throw thrown;
        await this.#clock.sleep(Math.min(1_000, 20 * 2 ** attempt) * (0.5 + this.#random.next()));
      }
    }
  }

  /** Throws when the signal said so and the move is in a state, or in `more`, where it may be left lying. */
  #assertWanted(more?: MoveState): void {
    const { state } = this.#move;
    if (this.#scope.cancelled && (state === more || interruptible.includes(state))) throw stopped(this.#move.id);
  }

  #mayAbort(thrown: unknown): boolean {
    if (isError(thrown, "SHARD_MOVE_TAKEN_OVER") || isPassing(thrown)) return false;
    return ["STABLE", "COPY", "CATCHUP", "FENCE"].includes(this.#move.state);
  }
}

const interruptible: readonly MoveState[] = ["STABLE", "COPY", "CATCHUP"];
const catchupRoundsMax = 1_000;
const fenceBreakMs = 100;
const passing: readonly string[] = ["unavailable", "aborted", "deadline_exceeded", "resource_exhausted", "unknown"];

/** What another try may cure: a lost connection, a lock, a commit of unknown outcome. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof PlinthError && passing.includes(thrown.code) && thrown.reason !== "SHARD_MOVE_TAKEN_OVER";
}

/** A database said no, and will say so again. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof PlinthError && !isPassing(thrown) && thrown.reason !== "SHARD_MOVE_TAKEN_OVER";
}

function stopped(id: number): PlinthError {
  return error("cancelled", `Move ${id} was left for later.`, { reason: "SHARD_MOVE_STOPPED", executed: "maybe" });
}

export function messageOf(thrown: unknown): string {
  const detail =
    thrown instanceof PlinthError ? (thrown.detail as { message?: string } | undefined)?.message : undefined;
  return detail ?? (thrown instanceof Error ? thrown.message : String(thrown));
}

export function shardOf(shards: ReadonlyMap<string, Database>, name: string): Database {
  const database = shards.get(name);
  if (database) return database;
  throw new StartError("SHARD_UNKNOWN", `there is no address for shard ${name}: name it in DATABASE_SHARDS`);
}
