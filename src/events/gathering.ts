import type { Clock } from "../base/index.ts";
import { crowdMin, distanceMs } from "./crowd.ts";

/**
 * Does together what is asked for at the same time: while one piece of work runs, what is asked meanwhile gathers, and is
 * the next piece. Nothing waits for company: the first goes in the same turn of the event loop. Only
 * crowds wait (crowd.ts).
 *
 * When a piece fails, all who asked for it are told.
 */
export interface Gathering<Item, Result> {
  add(item: Item): Promise<Result>;
}

/** `run` answers for each item, in their order. */
export function createGathering<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  sizeMax: number,
  clock: Clock,
): Gathering<Item, Result> {
  interface Waiting {
    readonly item: Item;
    readonly resolve: (result: Result) => void;
    readonly reject: (thrown: unknown) => void;
  }
  const waiting: Waiting[] = [];
  let isRunning = false;

  const runAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const beganAt = clock.now();
      const piece = waiting.splice(0, sizeMax);
      try {
        const results = await run(piece.map(({ item }) => item));
        for (const [i, { resolve }] of piece.entries()) resolve(results[i] as Result);
      } catch (thrown) {
        for (const { reject } of piece) reject(thrown);
      }
      const leftMs = beganAt + distanceMs - clock.now();
      if (piece.length >= crowdMin && leftMs > 0 && waiting.length < sizeMax) await clock.sleep(leftMs);
    }
    isRunning = false;
  };

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (isRunning) return;
        isRunning = true;
        setImmediate(() => void runAll());
      }),
  };
}
