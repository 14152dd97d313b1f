import type { TimeLimit, TimeLimitOptions } from "../resilience/index.ts";
import { createTimeLimit } from "../resilience/index.ts";

/**
 * A time limit that does not blame the store for this process's own standing still. When the time is over after a long turn
 * of the event loop, the answer may have arrived meanwhile and only not have been read: it gets one more turn.
 */
export function createPatientLimit(options: TimeLimitOptions): TimeLimit {
  const limit = createTimeLimit(options);
  return <T>(work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      let isOver = false;
      const end = (settle: () => void): void => {
        if (isOver) return;
        isOver = true;
        settle();
      };
      work.then(
        (value) => end(() => resolve(value)),
        (thrown) => end(() => reject(thrown)),
      );
      // After the timers of a turn come the sockets, and then what was set for the end of it.
      limit(work).catch((thrown) => setImmediate(() => end(() => reject(thrown))));
    });
}
