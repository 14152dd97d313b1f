import type { Clock, Random } from "../base/index.ts";

/** Tasks that come again and again, one run of each at a time, a fifth of the interval earlier or not, so that processes spread. */
export interface Upkeep {
  start(): void;
  /** Resolves when nothing runs any more. */
  stop(): Promise<void>;
}

export interface UpkeepOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly tasks: readonly { readonly everyMs: number; readonly run: () => Promise<void> }[];
  readonly onError: (thrown: unknown) => void;
}

export function createUpkeep({ clock, random, tasks, onError }: UpkeepOptions): Upkeep {
  const cancels = new Set<() => void>();
  const running = new Set<Promise<void>>();
  let stopped = false;

  const plan = (task: UpkeepOptions["tasks"][number]): void => {
    if (stopped) return;
    const cancel = clock.after(task.everyMs * (1 - 0.2 * random.next()), () => {
      cancels.delete(cancel);
      const run = task
        .run()
        .catch(onError)
        .finally(() => {
          running.delete(run);
          plan(task);
        });
      running.add(run);
    });
    cancels.add(cancel);
  };

  return {
    start: () => tasks.forEach(plan),
    async stop() {
      stopped = true;
      for (const cancel of cancels) cancel();
      await Promise.all(running);
    },
  };
}
