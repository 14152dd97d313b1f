import type { Clock, DeadlineEntry, Duration } from "../base/index.ts";
import { createDeadlines, PlinthError, systemClock, toMs } from "../base/index.ts";

export interface TimeLimitOptions {
  /** What is waited for, for the message. */
  readonly name: string;
  readonly limit: Duration;
  readonly clock?: Clock;
}

/** Waits for `work`, but not longer than the limit (within 20 ms). Then: `unavailable`, reason `TOO_SLOW`. */
export type TimeLimit = <T>(work: Promise<T>) => Promise<T>;

/**
 * A limit for things that no call stands around: a command to an engine. One timer serves all that wait. The work is not
 * stopped; what it answers later is dropped.
 */
export function createTimeLimit(options: TimeLimitOptions): TimeLimit {
  const clock = options.clock ?? systemClock;
  const limitMs = toMs(options.limit);
  const deadlines = createDeadlines(clock);
  return (work) =>
    new Promise((resolve, reject) => {
      const watch = new Watch(() => reject(tooSlow(options.name, limitMs)));
      deadlines.add(watch, clock.now() + limitMs);
      work.then(
        (value) => {
          deadlines.remove(watch);
          resolve(value);
        },
        (thrown) => {
          deadlines.remove(watch);
          reject(thrown);
        },
      );
    });
}

function tooSlow(name: string, limitMs: number): PlinthError {
  return new PlinthError("unavailable", `${name} did not answer within ${limitMs} ms.`, { reason: "TOO_SLOW" });
}

class Watch implements DeadlineEntry {
  deadlineSlot = -1;
  deadlinePrev: DeadlineEntry | undefined = undefined;
  deadlineNext: DeadlineEntry | undefined = undefined;
  deadlineAt = 0;
  readonly onDeadline: () => void;

  constructor(onDeadline: () => void) {
    this.onDeadline = onDeadline;
  }
}
