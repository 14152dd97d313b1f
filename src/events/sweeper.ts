import type { Clock, Random } from "../base/index.ts";

/** Cleans now and then, in small pieces: each piece is one short statement, so that nobody waits for it. */
export interface Sweeper {
  /** The first time is one interval from now: what was unfinished at a crash gets its turn before its traces go. */
  start(): void;
  stop(): Promise<void>;
}

export interface SweeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly everyMs: number;
  /** Deletes up to `pieceSize` rows, and answers how many it did. */
  readonly sweep: (pieceSize: number) => Promise<number>;
  readonly onError: (thrown: unknown) => void;
}

const pieceSize = 1000;
/** At most so many pieces at a time; where there is more, the next are a second later. */
const piecesMax = 100;
const pauseMs = 1_000;

export function createSweeper({ clock, random, everyMs, sweep, onError }: SweeperOptions): Sweeper {
  let stopped = false;
  let cancel = () => {};
  let current: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    let isDone = false;
    try {
      for (let i = 0; i < piecesMax && !stopped && !isDone; i++) isDone = (await sweep(pieceSize)) < pieceSize;
    } catch (thrown) {
      isDone = true;
      onError(thrown);
    }
    current = undefined;
    plan(isDone ? everyMs : Math.min(everyMs, pauseMs));
  };
  const plan = (waitMs: number): void => {
    if (stopped) return;
    // Up to a fifth earlier, so that many processes do not sweep together.
    cancel = clock.after(waitMs * (1 - 0.2 * random.next()), () => {
      current = run();
    });
  };

  return {
    start: () => plan(everyMs),
    async stop() {
      stopped = true;
      cancel();
      await current;
    },
  };
}
