import type { SchedulePlan } from "./schedule.ts";
import type { ScheduleTimes } from "./schedule-times.ts";

/** What is to be done about a schedule at a moment, as a pure function of how far it has come. */
export interface Due {
  /** The tick to run now, if any. */
  readonly tickMs: number | undefined;
  /** How far the schedule has come with that: no earlier tick is looked at again. */
  readonly lastTickMs: number;
  /** Ticks that are passed by for good. Counted up to about 1,000; from there on it means "or more". */
  readonly skippedCount: number;
}

/** With `all`: what is older than so many of the newest is passed by. */
export const backlogCountMax = 1_000;
/** With `none`: a tick that is later than this is passed by. */
export const lateMsMax = 5_000;

/** Undefined when no tick is due. */
export function dueOf(
  { times, catchUp }: Pick<SchedulePlan, "times" | "catchUp">,
  lastTickMs: number,
  nowMs: number,
): Due | undefined {
  const first = times.next(lastTickMs);
  if (first === undefined || first > nowMs) return undefined;
  const one: Due = { tickMs: first, lastTickMs: first, skippedCount: 0 };
  // So little time holds no more ticks than may wait.
  if (catchUp === "all" && nowMs - first < backlogCountMax * times.stepMsMin) return one;
  const ticks = newestOf(times, lastTickMs, nowMs);
  const latest = ticks.at(-1) ?? first;
  if (catchUp === "all") {
    const oldest = ticks.at(-backlogCountMax) ?? first;
    return { ...one, tickMs: oldest, lastTickMs: oldest, skippedCount: Math.max(0, ticks.length - backlogCountMax) };
  }
  if (catchUp === "none" && nowMs - latest > lateMsMax) {
    return { tickMs: undefined, lastTickMs: latest, skippedCount: ticks.length };
  }
  return { tickMs: latest, lastTickMs: latest, skippedCount: ticks.length - 1 };
}

const minuteMs = 60_000;

/** All ticks that are due, or the newest 1,000 and some more: a year of missed minutes is not counted one by one. */
function newestOf(times: ScheduleTimes, lastTickMs: number, nowMs: number): readonly number[] {
  for (let windowMs = minuteMs; ; windowMs *= 6) {
    const afterMs = Math.max(lastTickMs, nowMs - windowMs);
    const ticks: number[] = [];
    let at = times.next(afterMs);
    while (at !== undefined && at <= nowMs) {
      ticks.push(at);
      at = times.next(at);
    }
    if (afterMs === lastTickMs || ticks.length >= backlogCountMax) return ticks;
  }
}
