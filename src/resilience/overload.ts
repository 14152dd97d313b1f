import type { Clock, Random } from "../base/index.ts";
import type { AdaptiveLimit, Lane } from "./adaptive-limit.ts";
import { createAdaptiveLimit } from "./adaptive-limit.ts";
import type { Level } from "./criticality.ts";
import { criticalities, levelOf } from "./criticality.ts";
import type { LoopDelay } from "./loop-delay.ts";
import { createLoopDelay } from "./loop-delay.ts";
import type { Waiter } from "./overload-queue.ts";
import { OverloadQueue } from "./overload-queue.ts";

/**
 * Whether a process takes on one more request. It says no while that is cheap: what is refused at once costs a hundredth of
 * what is served too late. Made once for a process; all that brings work from outside asks it first.
 *
 *     const pass = overload.tryEnter(lane, level, now);   a few comparisons
 *     if (!pass) overload.wait(waiter);                   runs it later, or refuses it
 *     …
 *     pass.end(clock.now());
 *
 * Three things bound what it lets in, each by level, so that what matters less is refused first:
 *
 * - **in flight**: the adaptive limit (`adaptive-limit.ts`), which knows slow dependencies, and the room that the event
 *   loop has: while it is late by 15 ms, there is a third less room every 100 ms, beginning from what is in flight, and a
 *   twentieth more while it is not and half of it is used. From sheddable to critical_plus 35, 55, 90 and 100 % of both.
 * - **the turn**: in one turn of the event loop, requests are begun for 2, 4, 16 and 50 ms, at least one; what else came in
 *   that turn waits. Otherwise the loop would take on all that came while it was busy, each turn longer than the last.
 *   Turns are to be short: each takes in one new connection, whatever the backlog (libuv 1.45 and later).
 * - **the loop**: late by 50 ms on average over a second, nothing sheddable is taken; by 200 ms nothing sheddable_plus.
 *
 * Who is not let in waits, critical for no longer than 500 ms, others 100 ms, and half of its time; sheddable requests no longer than 20 ms when others
 * have been waiting for 100 ms without a pause (CoDel's rule), and then no more than 16 of them. As many wait as may be in flight, at most 1,000. See
 * `overload-queue.ts` for who is next. A refusal says that nothing was done and that nobody inside is to try again.
 *
 * The numbers were tried in `overload-simulation.test.ts`, and on real processes in `proof/overload`.
 *
 * Not promised: fairness among callers (that is what rate limits are for), and anything about work that continues after
 * its answer, or that nobody asked for from outside.
 */
export interface Overload {
  /** A place, if there is one now. */
  tryEnter(lane: Lane, level: Level, nowMs: number): Pass | undefined;
  /** Runs or refuses it, sooner or later. `run` is to begin with `enter`. */
  wait(waiter: Waiter): void;
  /** A place for whom `wait` has let in. */
  enter(lane: Lane, nowMs: number): Pass;
  /** How many seconds a refused client is told to stay away: 1 to 3, so that they do not come back together. */
  retryAfterSeconds(): number;
  readonly stats: OverloadStats;
  /** Ends what it measures; nothing is to come any more. */
  close(): void;
}

export type ShedReason = "limit" | "turn" | "loop" | "wait";

export interface OverloadStats {
  readonly limit: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly loopDelayMs: number;
  /** Refused since the start, by level. */
  shed(level: Level): Readonly<Record<ShedReason, number>>;
}

export interface OverloadOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The most in flight. Default 2,000. */
  readonly inFlightMax?: number;
  readonly loopDelay?: LoopDelay;
  /** Runs a task when the loop has taken what there is to take. Default `setImmediate`. */
  readonly atTurnEnd?: (task: () => void) => void;
}

/** The most that a process works on at a time, before it has learned better. */
export const inFlightMaxDefault = 2_000;

/** From sheddable to critical_plus. */
const limitShares: readonly number[] = [0.35, 0.55, 0.9, 1];
const turnBudgetsMs: readonly number[] = [2, 4, 16, 50];
const loopDelaysMs: readonly number[] = [50, 200];
const lookEveryMs = 100;
/** The weight of one look in the average: about a second's worth. */
const lookWeight = 0.1;
/** The loop is late. (DAGOR's mark for what waits in a queue is 20.) */
const lateMs = 15;
/** So many looks in a row, so that one long pause changes nothing. */
const lateLooks = 2;
const roomMin = 8;
const queueMax = 1_000;
/** What matters outlasts a burst, and is still in time for whoever asked; the rest is asked for again. */
const waitMaxMsEach: readonly number[] = [100, 100, 500, 500];

/** How long somebody of that level may wait, who has `leftMs` for all. */
export function waitMaxMsOf(level: Level, leftMs: number): number {
  return Math.min(waitMaxMsEach[level] as number, leftMs / 2);
}

const sheddableWaitMs = 100;
const congestedAfterMs = 100;
const congestedWaitMs = 20;
const congestedQueueMax = 16;
const critical = levelOf("critical");
const expireEveryMs = 10;

export function createOverload(options: OverloadOptions): Overload {
  return new ProcessOverload(options);
}

/** The right to be in flight. Ended once, in one of two ways. */
export class Pass {
  readonly #overload: ProcessOverload;
  readonly #lane: Lane;
  readonly #since: number;

  constructor(overload: ProcessOverload, lane: Lane, since: number) {
    this.#overload = overload;
    this.#lane = lane;
    this.#since = since;
  }

  /** It was answered. */
  end(nowMs: number): void {
    this.#overload.leave(this.#lane, nowMs - this.#since, nowMs);
  }

  /** It goes on as something that holds nobody up, such as a stream. */
  release(): void {
    this.#overload.leave(undefined, 0, 0);
  }
}

class ProcessOverload implements Overload {
  inFlight = 0;
  loopDelayMs = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #loopDelay: LoopDelay;
  readonly #atTurnEnd: (task: () => void) => void;
  readonly #limit: AdaptiveLimit;
  readonly #queue = new OverloadQueue();
  readonly #shed = criticalities.map(() => ({ limit: 0, turn: 0, loop: 0, wait: 0 }));
  /** The most in flight for each level. */
  #bounds: readonly number[] = [];
  /** The lowest level that the loop has time for. */
  #levelMin = 0;
  #lookAt = 0;
  #peak = 0;
  /** What the loop has time for, in flight; and the most in flight since it was last looked at. */
  #room: number;
  #lookPeak = 0;
  #lateCount = 0;
  #isTurnOpen = false;
  #turnStartedAt = 0;
  /** Somebody who waited was let in at the end of this turn. */
  #hasBegun = false;
  /** When somebody began to wait without a pause since; undefined while nobody does. */
  #waitingSince: number | undefined = undefined;
  #expiredAt = 0;
  #stopExpiring: (() => void) | undefined = undefined;

  constructor(options: OverloadOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#loopDelay = options.loopDelay ?? createLoopDelay();
    this.#atTurnEnd = options.atTurnEnd ?? setImmediate;
    this.#limit = createAdaptiveLimit({ max: options.inFlightMax ?? inFlightMaxDefault });
    this.#room = this.#limit.limit;
    this.#setBounds();
  }

  tryEnter(lane: Lane, level: Level, nowMs: number): Pass | undefined {
    if (nowMs >= this.#lookAt) this.#look(nowMs);
    if (!this.#isTurnOpen) this.#openTurn(nowMs);
    return this.#obstacle(level, nowMs) === undefined ? this.enter(lane, nowMs) : undefined;
  }

  enter(lane: Lane, nowMs: number): Pass {
    this.inFlight++;
    if (this.inFlight > this.#peak) this.#peak = this.inFlight;
    if (this.inFlight > this.#lookPeak) this.#lookPeak = this.inFlight;
    return new Pass(this, lane, nowMs);
  }

  wait(waiter: Waiter): void {
    const { level, since } = waiter;
    const obstacle = this.#obstacle(level, since);
    // Waiting for a loop that is late would make it later.
    if (obstacle === "loop" || this.#isHopeless(level, since)) {
      this.#refuse(waiter, obstacle ?? "limit");
      return;
    }
    const isFull = this.#queue.size >= Math.min(queueMax, this.#limit.limit);
    const loser = isFull ? (this.#queue.evict(level) ?? waiter) : undefined;
    if (loser !== waiter) {
      this.#queue.add(waiter);
      this.#waitingSince ??= since;
      this.#startExpiring();
      this.#openTurn(since);
    }
    if (loser) this.#refuse(loser, obstacle ?? "limit");
  }

  leave(lane: Lane | undefined, durationMs: number, nowMs: number): void {
    this.inFlight--;
    if (lane) {
      this.#limit.note(lane, durationMs);
      if (this.#limit.isDue(nowMs)) {
        if (this.#limit.advance(nowMs, this.#peak)) this.#setBounds();
        this.#peak = this.inFlight;
      }
    }
    if (this.#queue.size > 0) this.#openTurn(this.#clock.now());
  }

  retryAfterSeconds(): number {
    return 1 + Math.floor(this.#random.next() * 3);
  }

  close(): void {
    this.#loopDelay.stop?.();
  }

  get stats(): OverloadStats {
    return {
      limit: Math.floor(Math.min(this.#limit.limit, this.#room)),
      inFlight: this.inFlight,
      queued: this.#queue.size,
      loopDelayMs: this.loopDelayMs,
      shed: (level) => this.#shed[level] as Record<ShedReason, number>,
    };
  }

  #obstacle(level: Level, nowMs: number): ShedReason | undefined {
    if (level < this.#levelMin) return "loop";
    if (this.inFlight >= (this.#bounds[level] as number)) return "limit";
    if (nowMs - this.#turnStartedAt >= (turnBudgetsMs[level] as number)) return "turn";
    return undefined;
  }

  /** Others of its level will not all be let in either; to wait in vain costs more than to be refused. */
  #isHopeless(level: Level, nowMs: number): boolean {
    return level < critical && this.#isCongested(nowMs) && this.#queue.countOf(level) >= congestedQueueMax;
  }

  #isCongested(nowMs: number): boolean {
    return this.#waitingSince !== undefined && nowMs - this.#waitingSince > congestedAfterMs;
  }

  #look(nowMs: number): void {
    this.#lookAt = nowMs + lookEveryMs;
    const delayMs = this.#loopDelay();
    this.loopDelayMs += lookWeight * (delayMs - this.loopDelayMs);
    this.#levelMin = loopDelaysMs.filter((ms) => this.loopDelayMs > ms).length;
    this.#lateCount = delayMs > lateMs ? this.#lateCount + 1 : 0;
    const { limit } = this.#limit;
    if (this.#lateCount >= lateLooks) {
      this.#room = Math.max(roomMin, Math.min(this.#room, limit, this.#lookPeak) * 0.7);
    } else if (this.#lateCount === 0 && this.#lookPeak * 2 >= this.#room) {
      this.#room = Math.min(limit, this.#room * 1.05 + 1);
    }
    this.#lookPeak = this.inFlight;
    this.#setBounds();
  }

  #setBounds(): void {
    const inFlightMax = Math.min(this.#limit.limit, this.#room);
    this.#bounds = limitShares.map((share) => Math.max(1, Math.floor(inFlightMax * share)));
  }

  #openTurn(startedAt: number): void {
    if (this.#isTurnOpen) return;
    this.#isTurnOpen = true;
    this.#turnStartedAt = startedAt;
    this.#atTurnEnd(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#isTurnOpen = false;
    if (this.#queue.size === 0) return;
    this.#hasBegun = false;
    this.#letIn();
  };

  /** One at a time: what the first does in promises that are settled is done before the clock is looked at again. */
  readonly #letIn = (): void => {
    const nowMs = this.#clock.now();
    const level = this.#queue.nextLevel;
    const obstacle = level === -1 ? undefined : this.#obstacle(level, nowMs);
    const isSpent = obstacle === "turn" && this.#hasBegun;
    if (level === -1) this.#onEmpty();
    else if (isSpent) this.#openTurn(nowMs);
    // Whoever leaves opens the turn again; who waits too long is refused by the timer.
    if (level === -1 || isSpent || (obstacle && obstacle !== "turn")) return;
    this.#hasBegun = true;
    const waiter = this.#queue.take(nowMs) as Waiter;
    if (!waiter.isOver) waiter.run();
    queueMicrotask(() => process.nextTick(this.#letIn));
  };

  #startExpiring(): void {
    if (this.#stopExpiring) return;
    this.#expiredAt = this.#clock.now();
    this.#stopExpiring = this.#clock.every(expireEveryMs, this.#expire);
  }

  readonly #expire = (): void => {
    const nowMs = this.#clock.now();
    // Who waited for the loop alone is let in at the end of this turn, if it matters.
    const isLate = nowMs - this.#expiredAt > expireEveryMs + lateMs;
    this.#expiredAt = nowMs;
    const limits = {
      sheddableMs: this.#isCongested(nowMs) ? congestedWaitMs : sheddableWaitMs,
      criticalMs: isLate ? Number.POSITIVE_INFINITY : 0,
    };
    for (const waiter of this.#queue.expire(nowMs, limits)) {
      if (!waiter.isOver) this.#refuse(waiter, "wait");
    }
    if (this.#queue.size === 0) this.#onEmpty();
  };

  #onEmpty(): void {
    this.#waitingSince = undefined;
    this.#stopExpiring?.();
    this.#stopExpiring = undefined;
  }

  #refuse(waiter: Waiter, reason: ShedReason): void {
    (this.#shed[waiter.level] as Record<ShedReason, number>)[reason]++;
    waiter.refuse();
  }
}
