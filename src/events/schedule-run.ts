import type { Clock, PlinthError, Principal, Random } from "../base/index.ts";
import { CallScope, createDeadlines, error, toPlinthError } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { isConflict, lazyTransaction } from "../database/index.ts";
import { levelOf } from "../resilience/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import type { EventLog } from "./event-log.ts";
import type { Lease } from "./lease.ts";
import { isTerminal, waitAfter } from "./retry.ts";
import type { RunningCalls } from "./running-calls.ts";
import type { SchedulePlan } from "./schedule.ts";
import type { ClaimedTick, ScheduleStore } from "./schedule-store.ts";

/**
 * One attempt of a tick, which is counted already, from beginning to end:
 *
 *   handler { transaction: fence → the tick's row → effect } → commit, or what has become of it is written down
 *
 * Never throws. What could not be written down is found open by the next look, and tried again.
 */
export type RunTick = (plan: SchedulePlan, tick: ClaimedTick) => Promise<TickOutcome>;

/** `lost`: somebody else does it, or the tick was never begun; whoever leads tries it again. */
export type TickOutcome = "done" | "retried" | "failed" | "lost";

export interface RunTickParts {
  readonly principal: Principal;
  readonly database: Database;
  readonly store: ScheduleStore;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
  readonly crashPoint: CrashPoint;
  /** To be cancelled when the lease is lost, or the time to finish is over. */
  readonly calls: RunningCalls;
  /** False leaves the tick's row out of the transaction: for the tests that show what it is for. */
  readonly atomic: boolean;
}

/** How long to wait when the house is not in order: the database gives no session. */
const unreadyMs = 1_000;
const conflictAttempts = 5;
const conflictWaitMs = 25;

export function createRunTick(parts: RunTickParts): RunTick {
  const { clock, calls, log } = parts;
  const deadlines = createDeadlines(clock);
  return async (plan, tick) => {
    const about = { schedule: tick.schedule, scheduledAt: new Date(tick.tickMs).toISOString(), attempt: tick.attempt };
    parts.crashPoint("tick.claimed");
    const scope = new CallScope({
      principal: parts.principal,
      deadline: clock.now() + plan.deadlineMs,
      idempotencyKey: `${about.schedule}@${about.scheduledAt}`,
      caller: parts.principal.subject,
      attempt: tick.attempt,
      deadlines,
      // It is tried again: what users wait for comes first.
      criticality: levelOf("sheddable_plus"),
    });
    calls.add(scope);
    const run: Run = { plan, tick, scope, began: "whole" };
    try {
      await takeEffect(run, parts);
      parts.crashPoint("tick.committed");
      if (!parts.atomic) await parts.store.finish(parts.database, tick);
      return "done";
    } catch (thrown) {
      const failure = toPlinthError(thrown);
      try {
        return await writeDown(run, failure, parts, about);
      } catch (cause) {
        log.warn({ ...about, err: cause }, "what became of a tick could not be written down; it is tried again");
        return "lost";
      }
    } finally {
      calls.delete(scope);
      scope.finish();
    }
  };
}

interface Run {
  readonly plan: SchedulePlan;
  readonly tick: ClaimedTick;
  readonly scope: CallScope;
  /** `nothing`: its transaction was asked for, and could not begin. */
  began: "whole" | "nothing";
}

/** Runs the handler anew after a conflict with another transaction, as `Database.transaction` would. */
async function takeEffect(run: Run, parts: RunTickParts): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryEffect(run, parts);
    } catch (thrown) {
      if (!isConflict(thrown) || attempt >= conflictAttempts || run.scope.cancelled) throw thrown;
      await parts.clock.sleep(parts.random.next() * conflictWaitMs * 2 ** attempt, run.scope.signal);
    }
  }
}

async function tryEffect(run: Run, { database, store, lease, crashPoint, atomic }: RunTickParts): Promise<void> {
  const { plan, tick, scope } = run;
  let opened = false;
  const effect = lazyTransaction(database.bind(scope), async (tx) => {
    opened = true;
    await lease.fence(tx, tick.epoch);
    if (atomic && !(await store.finish(tx, tick))) throw takenOver();
  });
  try {
    await leaveAtDeadline(scope, () =>
      plan.handle({
        schedule: plan.name,
        scheduledAt: new Date(tick.tickMs),
        attempt: tick.attempt,
        tx: effect.tx,
        scope,
      }),
    );
    await effect.begin();
    crashPoint("tick.written");
    await effect.commit();
  } catch (thrown) {
    await effect.rollback();
    run.began = effect.begun && !opened ? "nothing" : "whole";
    throw thrown;
  }
}

/** The transaction is rolled back under a handler that does not stop. */
async function leaveAtDeadline(scope: CallScope, work: () => Promise<void>): Promise<void> {
  if (scope.cancelled) throw scope.cancelled;
  let detach = () => {};
  const late = new Promise<never>((_, reject) => {
    detach = scope.onCancel(reject);
  });
  try {
    await Promise.race([work(), late]);
  } finally {
    detach();
  }
}

/** A commit whose answer was lost looks like a failure: the tick's row knows better, and nothing is written over it. */
async function writeDown(
  { plan, tick, scope, began }: Run,
  failure: PlinthError,
  { store, random, log, calls }: RunTickParts,
  about: object,
): Promise<TickOutcome> {
  // It stays open for the next leader. The attempt counts: perhaps it is this tick that keeps leaders from leading.
  if (failure.reason === takenOverReason || failure.reason === "LEASE_LOST") return "lost";
  if (calls.wasEnded(scope)) {
    await store.postpone(tick, 0, false, failure);
    return "lost";
  }
  if (began === "nothing") {
    await store.postpone(tick, unreadyMs, false, failure);
    return "lost";
  }
  const isLast = tick.attempt >= plan.retries.attemptsMax || isTerminal(failure);
  const delayMs = waitAfter(failure, plan.retries.waitMs(tick.attempt, random));
  const isMine = isLast ? await store.fail(tick, failure) : await store.postpone(tick, delayMs, true, failure);
  if (!isMine) return (await store.tick(tick.schedule, tick.tickMs))?.state === "done" ? "done" : "lost";
  const err = failure.cause ?? failure;
  if (isLast) log.error({ ...about, reason: failure.reason, err }, "a tick has failed; the next one goes on");
  else log.warn({ ...about, delayMs, err }, "a tick failed; it is tried again");
  return isLast ? "failed" : "retried";
}

const takenOverReason = "TICK_TAKEN_OVER";

function takenOver(): PlinthError {
  return error("aborted", "Another attempt of this tick took over.", { reason: takenOverReason, executed: "no" });
}
