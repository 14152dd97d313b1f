/**
 * Does together what is asked for at the same time: while one piece of work runs, what is asked meanwhile gathers, and is
 * the next piece. Nothing waits for company: the first goes in the same turn of the event loop.
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
      const piece = waiting.splice(0, sizeMax);
      try {
        const results = await run(piece.map(({ item }) => item));
        for (const [i, { resolve }] of piece.entries()) resolve(results[i] as Result);
      } catch (thrown) {
        for (const { reject } of piece) reject(thrown);
      }
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
