import type { Clock } from "../base/index.ts";
import { crowdMin, distanceMs } from "./crowd.ts";

/**
 * Looks for work again and again: at once while there is some, then after 5 ms, twice as long each time nothing is
 * found, up to 250 ms. `wake` looks at once, and leaves the rhythm as it is: it is for what comes unannounced. One look at
 * a time, never two.
 *
 * Under load looks keep a distance (crowd.ts), so that each finds more.
 *
 * A look that throws is reported and tried again after the longest wait: a broken engine is not hammered.
 */
export interface Poller {
  start(): void;
  wake(): void;
  /** Starts no look any more; resolves when the one that runs is over. */
  stop(): Promise<void>;
}

export interface PollerOptions {
  readonly clock: Clock;
  /** Answers how much it found: after something there may be more. */
  readonly look: () => Promise<number>;
  /** Asked after a look that found something: false when that was all. Default: always true. */
  readonly isMoreLikely?: () => boolean;
  readonly onError: (thrown: unknown) => void;
  readonly waitMsMin?: number;
  readonly waitMsMax?: number;
}

export function createPoller(options: PollerOptions): Poller {
  const { clock, look, onError, isMoreLikely = () => true, waitMsMin = 5, waitMsMax = 250 } = options;
  let state: "new" | "running" | "stopped" = "new";
  let current: Promise<void> | undefined;
  let woken = false;
  /** The next wait, if the next look finds nothing. */
  let nextWaitMs = waitMsMin;
  let cancelWait = () => {};
  let notBefore = Number.NEGATIVE_INFINITY;

  const run = async (): Promise<void> => {
    const wasWoken = woken;
    woken = false;
    const beganAt = clock.now();
    let found = 0;
    try {
      found = await look();
      if (found > 0 && !wasWoken) nextWaitMs = waitMsMin;
      if (found >= crowdMin) notBefore = beganAt + distanceMs;
    } catch (thrown) {
      nextWaitMs = waitMsMax;
      woken = false;
      onError(thrown);
    }
    current = undefined;
    if (state !== "running") return;
    if (woken || (found > 0 && isMoreLikely())) return begin();
    cancelWait = clock.after(nextWaitMs, begin);
    nextWaitMs = Math.min(waitMsMax, nextWaitMs * 2);
  };
  const begin = (): void => {
    if (state !== "running" || current) return;
    cancelWait();
    const earlyMs = notBefore - clock.now();
    if (earlyMs > 0) cancelWait = clock.after(earlyMs, begin);
    else current = new Promise((resolve) => setImmediate(() => resolve(run())));
  };

  return {
    start() {
      if (state !== "new") return;
      state = "running";
      begin();
    },
    wake() {
      woken = true;
      begin();
    },
    async stop() {
      state = "stopped";
      cancelWait();
      await current;
    },
  };
}
