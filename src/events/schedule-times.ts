import { Cron } from "croner";
import type { Duration } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";

/**
 * When a schedule falls due, as a pure function of time, so that all processes agree on each tick.
 *
 * `every` counts from 1970-01-01T00:00:00Z: `every: "15m"` is due at the full quarters of an hour, whenever a process
 * was started. A day is 24 hours; for days of a calendar write a cron.
 *
 * `cron` has five fields, or six with seconds first, read in `timeZone` (default UTC). Where clocks are put forward, a
 * fixed time that does not exist that day (02:30) comes when the gap is over (03:00). Where they are put back, a fixed
 * time that exists twice comes once, the first time. Fixed is a cron without `*` and steps in seconds, minutes and
 * hours; others go on by what the clock on the wall shows, so `0 * * * *` comes in each hour that really passes.
 */
export interface ScheduleTimes {
  /** What the times are, as text: equal for equal times. */
  readonly definition: string;
  /** The first tick later than `afterMs`, both in ms since 1970. Undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** No two ticks are closer. */
  readonly stepMsMin: number;
}

/** Says why it is none: the problem, and what to write instead. */
export type ReadTimes = { readonly times: ScheduleTimes } | { readonly problem: string };

const everyMsMin = 100;
const everyMsMax = 366 * 24 * 3_600_000;

export function readEvery(every: Duration): ReadTimes {
  const everyMs = parseDuration(every);
  if (everyMs === undefined || !Number.isInteger(everyMs) || everyMs < everyMsMin || everyMs > everyMsMax) {
    return { problem: `every is ${JSON.stringify(every)}. Write "100ms" to "366d", in whole milliseconds.` };
  }
  const next = (afterMs: number): number => (Math.floor(afterMs / everyMs) + 1) * everyMs;
  return { times: { definition: `every ${everyMs} ms`, next, stepMsMin: everyMs } };
}

/** Before any cron that is used, and an hour that no time zone has as a change of its clocks. */
const longAgo = new Date("2000-01-01T12:00:00Z");

export function readCron(cron: string, timeZone = "UTC"): ReadTimes {
  const pattern = cron.trim().replace(/\s+/g, " ");
  // "?" is the time at which the pattern is read, so different in each process.
  if (pattern.includes("?")) {
    return { problem: `cron "${cron}" has a "?", which means another time in each process. Write "*".` };
  }
  try {
    const job = new Cron(pattern, { timezone: timeZone, paused: true, fixedTimeRule: "no-wildcard" });
    if (!job.nextRun(longAgo)) {
      return { problem: `cron "${cron}" never comes. Write a day that its month has.` };
    }
    const next = (afterMs: number): number | undefined => job.nextRun(new Date(afterMs))?.getTime();
    return { times: { definition: `cron ${pattern} ${timeZone}`, next, stepMsMin: 1_000 } };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const isZone = /timezone/i.test(why);
    return {
      problem: isZone
        ? `timeZone is "${timeZone}". Write a name of the IANA list, such as "Europe/Berlin" or "UTC".`
        : `cron "${cron}" cannot be read (${why}). Write "minute hour day month weekday", such as "0 3 * * *".`,
    };
  }
}
