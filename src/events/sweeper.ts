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
/** At most so many pieces at a time; the rest waits for the next. */
const piecesMax = 100;

export function createSweeper({ clock, random, everyMs, sweep, onError }: SweeperOptions): Sweeper {
  let stopped = false;
  let cancel = () => {};
  let current: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    try {
      for (let i = 0; i < piecesMax && !stopped; i++) if ((await sweep(pieceSize)) < pieceSize) break;
    } catch (thrown) {
      onError(thrown);
    }
    current = undefined;
    plan();
  };
  const plan = (): void => {
    if (stopped) return;
    // Up to a fifth earlier, so that many processes do not sweep together.
    cancel = clock.after(everyMs * (1 - 0.2 * random.next()), () => {
      current = run();
    });
  };

  return {
    start: plan,
    async stop() {
      stopped = true;
      cancel();
      await current;
    },
  };
}
