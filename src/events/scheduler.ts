import type { Clock, PlinthError, Random } from "../base/index.ts";
import { assert, error, StartError, servicePrincipal, systemClock, systemRandom } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import type { EventLog } from "./event-log.ts";
import { silentLog } from "./event-log.ts";
import type { Lease, LeaseOptions } from "./lease.ts";
import { createLease } from "./lease.ts";
import { createRunningCalls } from "./running-calls.ts";
import type { Schedule, SchedulePlan } from "./schedule.ts";
import { planSchedules } from "./schedule.ts";
import { dueOf } from "./schedule-due.ts";
import type { RunTick, RunTickParts, TickOutcome } from "./schedule-run.ts";
import { createRunTick } from "./schedule-run.ts";
import type { ClaimedTick, ScheduleRow, ScheduleStore, ScheduleView, TickState } from "./schedule-store.ts";
import { createScheduleStore } from "./schedule-store.ts";
import type { Sweeper } from "./sweeper.ts";
import { createSweeper } from "./sweeper.ts";

/**
 * Runs the schedules of one service, in whichever of its processes leads.
 *
 * **Promises.** Each tick takes effect once: its row (schedule, time) is marked as done in the transaction of its effect,
 * under the epoch of the lease and the attempt that was counted before, so that a leader who was stopped and goes on, or
 * two who both believe, change nothing twice. A tick that was begun is not lost with its leader: the next one finds it
 * open and runs it. What is due is computed from the last tick that was decided on and the database's time, so an outage
 * is followed by what `catchUp` says, and clocks of processes do not matter. Ticks of one schedule never overlap, also
 * not across processes.
 *
 * **Not promised.** What a handler does outside of `tx` may happen once for each attempt: give `scope.idempotencyKey`
 * to it. A handler that goes on after its deadline is left alone, without its transaction. While an attempt waits to be
 * tried again, the next tick waits too. A new schedule starts from now, as does one whose times were changed; while two
 * versions with different times run side by side, those of the leader hold.
 *
 * **Limits.** 100 schedules a service, 8 ticks at a time, at least 100 ms between ticks, which come a few milliseconds
 * late. A leader that dies is followed within 15 s, one that drains within 5 s. Ticks that are over are remembered
 * for 7 days, at most 1,000 of a schedule.
 */
export interface Scheduler {
  /** Makes the schedules known, and leads when nobody else does. */
  start(): Promise<void>;
  /**
   * Begins no tick any more, waits for those that run, which their deadlines bound, and lets another lead. When the signal
   * aborts, those that still run are cancelled, and whoever leads next runs them again. May be called again.
   */
  drain(signal?: AbortSignal): Promise<void>;
  /**
   * Asks for a tick out of turn, which whoever leads runs like any other, and waits until it is over, or for `waitMs`:
   * then it is still "open". Default: deadline and 10 s.
   */
  runNow(name: string, waitMs?: number): Promise<TickReport>;
  stats(): SchedulerStats;
}

export interface TickReport extends TickState {
  readonly scheduledAt: Date;
}

export interface SchedulerStats {
  /** Whether this process leads now. */
  readonly leads: boolean;
  readonly takenCount: number;
  readonly lostCount: number;
  /** By this process, since it began. */
  readonly schedules: readonly ScheduleStats[];
}

export interface ScheduleStats {
  readonly schedule: string;
  readonly doneCount: number;
  readonly retriedCount: number;
  readonly failedCount: number;
  /** Attempts that were taken over by another leader. */
  readonly lostCount: number;
  /** Ticks passed by, as `catchUp` says. Of more than 1,000 at once some are not counted. */
  readonly skippedCount: number;
  /** How late the last one began. Undefined before the first. */
  readonly lateMs: number | undefined;
}

export interface SchedulerOptions {
  readonly service: string;
  /** The service's own, with `eventMigrations` applied. */
  readonly database: Database | undefined;
  readonly schedules: readonly Schedule[];
  /** Who this is, for people who look at the lease: "worker-3". */
  readonly owner: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: EventLog;
  readonly crashPoint?: CrashPoint;
  /** Of the lease, as in `createLease`. */
  readonly leaseTtlMs?: number;
  readonly leaseRenewMs?: number;
  /** @internal What shows in tests what each part is for; nothing of an app reaches it. */
  readonly internal?: {
    /** False: a leader that has lost the lease goes on. */
    readonly fenced?: boolean;
    /** False: the tick's row is marked after its effect. */
    readonly atomic?: boolean;
    /** How far the schedules' time is ahead of the database's. */
    readonly shiftMs?: () => number;
  };
}

/** A tick that another process asked for is seen within this. */
const lookEveryMs = 1_000;
const concurrencyMax = 8;
const nothingMs = 20;
const sweepEveryMs = 600_000;

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { service, clock = systemClock, log = silentLog, internal = {} } = options;
  const plans = planSchedules(options.schedules, service);
  const database = options.database ?? homeless(service);
  const store = createScheduleStore(database, internal.shiftMs);
  const tallies = new Map(plans.map(({ name }) => [name, newTally()]));
  const calls = createRunningCalls();
  const running = new Map<string, Promise<void>>();
  let state: "new" | "running" | "draining" = "new";
  let looking: Promise<void> | undefined;
  let woken = false;
  let cancelWait = () => {};

  const lease = leaseOf(options, database, {
    onTaken: () => wake(),
    onLost(why) {
      log.warn({ service, why }, "another process runs the schedules now");
      if (internal.fenced !== false) calls.cancel(notLeading());
    },
  });
  const runTick = runTickOf(options, { database, store, lease, calls });
  const sweeper = sweeperOf(options, async (pieceSize) => {
    if (!lease.held()) return 0;
    await store.register(plans, "leave");
    return store.deleteOld(pieceSize);
  });

  /** Begins what is due. Answers how long there is nothing more to do. */
  const look = async (): Promise<number> => {
    const epoch = lease.epoch();
    // Whoever takes the lease wakes this.
    if (epoch === undefined) return lookEveryMs;
    const view = await lookAt();
    let waitMs = lookEveryMs;
    for (const plan of plans) {
      const row = view.schedules.get(plan.name);
      if (!row || running.has(plan.name)) continue;
      const leftMs = leftOf(plan, row, view.nowMs);
      if (leftMs > 0) waitMs = Math.min(waitMs, leftMs);
      // The next place that becomes free looks again.
      else if (running.size < concurrencyMax) begin(plan, row, view.nowMs, epoch);
    }
    return waitMs;
  };

  const lookAt = async (): Promise<ScheduleView> => {
    const view = await store.look(plans.map(({ name }) => name));
    if (plans.every(({ name, times }) => view.schedules.get(name)?.definition === times.definition)) return view;
    await store.register(plans, "restart");
    return store.look(plans.map(({ name }) => name));
  };

  const begin = (plan: SchedulePlan, row: ScheduleRow, nowMs: number, epoch: string): void => {
    const work = tickOnce(plan, row, nowMs, epoch)
      .catch((thrown: unknown) => {
        log.warn({ service, schedule: plan.name, err: thrown }, "a tick could not begin; it is tried again");
        return clock.sleep(lookEveryMs);
      })
      .then(() => {
        running.delete(plan.name);
        wake();
      });
    running.set(plan.name, work);
  };

  const tickOnce = async (plan: SchedulePlan, row: ScheduleRow, nowMs: number, epoch: string): Promise<void> => {
    const tally = tallies.get(plan.name) ?? newTally();
    const tick = await claim(plan, row, nowMs, epoch, tally);
    // Passed by, given up, or somebody else's: in no hurry to look again, lest two look at each other all the time.
    if (!tick) return clock.sleep(nothingMs);
    tally.lateMs = Math.max(0, nowMs - tick.tickMs);
    tally[await runTick(plan, tick)]++;
  };

  const claim = async (
    plan: SchedulePlan,
    row: ScheduleRow,
    nowMs: number,
    epoch: string,
    tally: Tally,
  ): Promise<ClaimedTick | undefined> => {
    const { open } = row;
    if (!open) {
      const due = dueOf(plan, row.lastTickMs, nowMs);
      tally.skipped += due?.skippedCount ?? 0;
      return due && store.open(row, due, epoch);
    }
    if (open.attempts < plan.retries.attemptsMax) return store.claim(plan.name, open, epoch);
    const last = { schedule: plan.name, tickMs: open.tickMs, attempt: open.attempts, epoch: open.epoch };
    if (await store.fail(last, exhausted(open.attempts))) tally.failed++;
    log.error({ service, schedule: plan.name, reason: "TICK_ATTEMPTS_EXHAUSTED" }, "a tick has failed");
    return undefined;
  };

  const turn = async (): Promise<void> => {
    woken = false;
    const waitMs = await look().catch((thrown: unknown) => {
      log.warn({ service, err: thrown }, "the schedules could not be read; it is tried again");
      return lookEveryMs;
    });
    looking = undefined;
    if (state !== "running") return;
    if (woken) wake();
    else cancelWait = clock.after(waitMs, wake);
  };
  const wake = (): void => {
    woken = true;
    cancelWait();
    if (state === "running") looking ??= turn();
  };

  let draining: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    state = "draining";
    cancelWait();
    await looking;
    await Promise.all([...running.values(), sweeper.stop()]);
    await lease.release();
  };

  return {
    async start() {
      assert(state === "new", "a scheduler starts once");
      await store.register(plans, "leave");
      state = "running";
      if (plans.length === 0) return;
      lease.start();
      sweeper.start();
    },
    drain(signal) {
      draining ??= end();
      return calls.finish(draining, signal);
    },
    async runNow(name, waitMs) {
      const plan = plans.find((each) => each.name === name) ?? unknownSchedule(service, name, plans);
      const tickMs = await store.request(name);
      wake();
      return reportOf(store, clock, { name, tickMs, endAt: clock.now() + (waitMs ?? plan.deadlineMs + 10_000) });
    },
    stats: () => statsOf(lease, tallies),
  };
}

function leaseOf(
  options: SchedulerOptions,
  database: Database,
  hooks: Required<Pick<LeaseOptions, "onTaken" | "onLost">>,
): Lease {
  const { service, owner, clock = systemClock, random = systemRandom, log = silentLog } = options;
  return createLease({
    database,
    name: "schedules",
    owner,
    ttlMs: options.leaseTtlMs ?? 15_000,
    renewMs: options.leaseRenewMs ?? 5_000,
    fenced: options.internal?.fenced ?? true,
    clock,
    random,
    ...hooks,
    onError: (thrown) => log.warn({ service, err: thrown }, "who runs the schedules is not known; it is tried again"),
  });
}

function runTickOf(
  options: SchedulerOptions,
  parts: Pick<RunTickParts, "database" | "store" | "lease" | "calls">,
): RunTick {
  const { service, clock = systemClock, random = systemRandom, log = silentLog } = options;
  return createRunTick({
    ...parts,
    principal: servicePrincipal(service),
    clock,
    random,
    log,
    crashPoint: options.crashPoint ?? noCrashPoint,
    atomic: options.internal?.atomic ?? true,
  });
}

function sweeperOf(options: SchedulerOptions, sweep: (pieceSize: number) => Promise<number>): Sweeper {
  const { service, clock = systemClock, random = systemRandom, log = silentLog } = options;
  const onError = (thrown: unknown) =>
    log.warn({ service, err: thrown }, "old ticks could not be cleaned; it is tried again");
  return createSweeper({ clock, random, everyMs: sweepEveryMs, sweep, onError });
}

/** Waits until the tick is over, and no longer. */
async function reportOf(
  store: ScheduleStore,
  clock: Clock,
  { name, tickMs, endAt }: { readonly name: string; readonly tickMs: number; readonly endAt: number },
): Promise<TickReport> {
  for (let pauseMs = 5; ; pauseMs = Math.min(250, pauseMs * 2)) {
    const found = (await store.tick(name, tickMs)) ?? { state: "open", attempts: 0, reason: undefined };
    if (found.state !== "open" || clock.now() >= endAt) return { ...found, scheduledAt: new Date(tickMs) };
    await clock.sleep(pauseMs);
  }
}

type Tally = Record<TickOutcome | "skipped", number> & { lateMs: number | undefined };

function newTally(): Tally {
  return { done: 0, retried: 0, failed: 0, lost: 0, skipped: 0, lateMs: undefined };
}

function statsOf(lease: Lease, tallies: ReadonlyMap<string, Tally>): SchedulerStats {
  const { held, takenCount, lostCount } = lease.stats();
  const schedules = [...tallies].map(([schedule, tally]) => toStats(schedule, tally));
  return { leads: held, takenCount, lostCount, schedules };
}

function toStats(schedule: string, { done, retried, failed, lost, skipped, lateMs }: Tally): ScheduleStats {
  return {
    schedule,
    doneCount: done,
    retriedCount: retried,
    failedCount: failed,
    lostCount: lost,
    skippedCount: skipped,
    lateMs,
  };
}

/** How long until there is something to do about a schedule; 0 for now. */
function leftOf({ times }: SchedulePlan, { open, lastTickMs }: ScheduleRow, nowMs: number): number {
  const atMs = open ? open.readyMs : times.next(lastTickMs);
  return atMs === undefined ? Number.POSITIVE_INFINITY : Math.max(0, atMs - nowMs);
}

function homeless(service: string): never {
  throw new StartError(
    "SCHEDULE_HOMELESS",
    `service "${service}" has schedules and no database, so nothing can see to it that each tick runs once. Add database() to its needs, or move the schedules to a service that has one.`,
  );
}

function notLeading(): PlinthError {
  return error("aborted", "Another process runs the schedules now.", { reason: "LEASE_LOST", executed: "maybe" });
}

function exhausted(attempts: number): PlinthError {
  return error("internal", `Each of ${attempts} attempts ended without an answer: the process died, or was stopped.`, {
    reason: "TICK_ATTEMPTS_EXHAUSTED",
  });
}

function unknownSchedule(service: string, name: string, plans: readonly SchedulePlan[]): never {
  const known = plans.map((plan) => plan.name).join(", ") || "none";
  throw error("not_found", `Service "${service}" has no schedule "${name}". It has: ${known}.`, {
    reason: "SCHEDULE_UNKNOWN",
    executed: "no",
  });
}
