import type { CallScope, Duration } from "../base/index.ts";
import { parseDuration, StartError } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import type { RetryPlan } from "./retry.ts";
import { planRetries } from "./retry.ts";
import type { ReadTimes, ScheduleTimes } from "./schedule-times.ts";
import { readCron, readEvery } from "./schedule-times.ts";

/** Something that a service does again and again. When: see `schedule-times.ts`. */
export interface Schedule {
  /** Marks how far it has come, so it stays when the code changes. Letters, digits, `_`, `-` and `.`; at most 100. */
  readonly name: string;
  readonly every?: Duration;
  readonly cron?: string;
  /** For `cron`. Default "UTC". */
  readonly timeZone?: string;
  /** How long one attempt may take, 1 ms to 15 min. Default 30 s. */
  readonly deadline?: Duration;
  /** Waits before the attempts after the first. Default 1 s, 5 s, 30 s; then the tick is recorded as failed. */
  readonly retries?: readonly Duration[];
  /**
   * What becomes of ticks that fell due while nobody led, or the tick before still ran. "latest" (default): the last of
   * them runs. "all": each runs, in order, of the last 1,000. "none": none does; a tick begins within 5 s or not at all.
   */
  readonly catchUp?: CatchUp;
  /** Resolving commits `tx` and the tick with it; throwing rolls both back, and it is tried again. */
  handle(tick: Tick): Promise<void>;
}

export type CatchUp = "latest" | "all" | "none";

export interface Tick {
  readonly schedule: string;
  /** When it was due: the same in every attempt, and never that of another tick. */
  readonly scheduledAt: Date;
  /** 1 for the first. */
  readonly attempt: number;
  /**
   * The transaction in which the tick takes effect, once. Begins with its first statement: call other services before
   * that, not within.
   */
  readonly tx: Transaction;
  /** Acts for the service itself. `idempotencyKey` is of this tick: give it to what is outside of the database. */
  readonly scope: CallScope;
}

/** A schedule with everything decided that can be at start. */
export interface SchedulePlan {
  readonly name: string;
  readonly times: ScheduleTimes;
  readonly deadlineMs: number;
  readonly retries: RetryPlan;
  readonly catchUp: CatchUp;
  readonly handle: Schedule["handle"];
}

const deadlineMsMax = 15 * 60_000;
const retriesDefault: readonly Duration[] = ["1s", "5s", "30s"];
const retriesCountMax = 20;
const waitMsMax = 24 * 3_600_000;
const policies: readonly CatchUp[] = ["latest", "all", "none"];
export const schedulesCountMax = 100;

export function planSchedules(schedules: readonly Schedule[], service: string): readonly SchedulePlan[] {
  const problems: string[] = [];
  if (schedules.length > schedulesCountMax) {
    problems.push(`service "${service}" has ${schedules.length} schedules. Give it at most ${schedulesCountMax}.`);
  }
  const names = new Set<string>();
  const plans: SchedulePlan[] = [];
  for (const schedule of schedules) {
    const where = `service "${service}", schedule "${schedule.name}"`;
    const found = problemsOf(schedule);
    if (names.has(schedule.name)) found.push("its name is taken: it marks how far one has come. Give each its own.");
    names.add(schedule.name);
    const read = timesOf(schedule);
    if ("problem" in read) found.push(read.problem);
    else if (found.length === 0) plans.push(planOf(schedule, read.times, where));
    problems.push(...found.map((problem) => `${where}: ${problem}`));
  }
  if (problems.length > 0) throw new StartError("SCHEDULE_INVALID", problems);
  return plans;
}

function planOf(schedule: Schedule, times: ScheduleTimes, where: string): SchedulePlan {
  return {
    name: schedule.name,
    times,
    deadlineMs: parseDuration(schedule.deadline ?? "30s") ?? 0,
    retries: planRetries(schedule.retries ?? retriesDefault, where),
    catchUp: schedule.catchUp ?? "latest",
    handle: schedule.handle,
  };
}

function timesOf({ every, cron, timeZone }: Schedule): ReadTimes {
  if (every !== undefined && cron === undefined && timeZone === undefined) return readEvery(every);
  if (cron !== undefined && every === undefined) return readCron(cron, timeZone);
  if (every !== undefined && cron === undefined) {
    return { problem: `every has no timeZone, since it counts from 1970 in UTC. Leave it out, or write a cron.` };
  }
  return { problem: `give it either every, such as "1m", or cron, such as "0 3 * * *".` };
}

function problemsOf({ name, deadline = "30s", retries = [], catchUp = "latest" }: Schedule): string[] {
  const found: string[] = [];
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(name)) {
    found.push("a name has 1 to 100 letters, digits, underscores, hyphens and dots.");
  }
  const deadlineMs = parseDuration(deadline);
  if (deadlineMs === undefined || deadlineMs < 1 || deadlineMs > deadlineMsMax) {
    found.push(`deadline is ${JSON.stringify(deadline)}. Give "1ms" to "15m"; split longer work into events.`);
  }
  if (!policies.includes(catchUp)) found.push(`catchUp is "${catchUp}". Write one of ${policies.join(", ")}.`);
  if (retries.length > retriesCountMax) {
    found.push(`retries has ${retries.length} waits. Give at most ${retriesCountMax}; then the tick has failed.`);
  }
  for (const retry of retries) {
    const waitMs = parseDuration(retry);
    if (waitMs !== undefined && waitMs <= waitMsMax) continue;
    found.push(`retries has ${JSON.stringify(retry)}. Give durations up to "24h": the next tick waits meanwhile.`);
  }
  return found;
}
