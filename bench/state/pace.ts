import type { Driven } from "../call/drive.ts";

/**
 * Publishes no faster than effects follow: at most so many are on their way. What is counted is effects, and timed is the
 * way from the beginning of the change to the commit of its effect.
 */
const underWayMax = 200;
/** An effect that is later than that is missing. */
const lostMsMax = 30_000;

export interface Flow {
  /** The effect of `n` is committed. A second one is an error. */
  end(n: number): void;
  /** Publishes as fast as effects follow. */
  run(publish: (n: number) => Promise<void>, seconds: number, inFlight: number): Promise<Driven>;
  /** Publishes at a rate, whatever becomes of those before; timed from the moment when each was meant to begin. */
  runAt(rate: number, publish: (n: number) => Promise<void>, seconds: number): Promise<Driven>;
}

export function createFlow(): Flow {
  const begun = new Map<number, number>();
  const durations: number[] = [];
  let next = 0;
  let resume: (() => void)[] = [];
  let failure: Error | undefined;

  const settle = async (done: () => boolean): Promise<void> => {
    while (!done() && !failure) await new Promise<void>((resolve) => resume.push(resolve));
    if (failure) throw failure;
  };
  const wake = (): void => {
    const waiting = resume;
    resume = [];
    for (const each of waiting) each();
  };
  const begin = (at: number): number => {
    begun.set(next, at);
    return next++;
  };
  const finish = async (startedAt: number): Promise<Driven> => {
    const timer = setTimeout(() => {
      failure = new Error(`${begun.size} of what was published had no effect within ${lostMsMax / 1000} s`);
      wake();
    }, lostMsMax);
    // Until the last one: nothing that was published may be missing.
    await settle(() => begun.size === 0).finally(() => clearTimeout(timer));
    const sorted = Float64Array.from(durations).sort();
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
    const seconds = (performance.now() - startedAt) / 1000;
    return { calls: durations.length, seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
  };

  return {
    end(n) {
      const at = begun.get(n);
      if (at === undefined) failure = new Error(`${n} took effect twice`);
      else durations.push(performance.now() - at);
      begun.delete(n);
      wake();
    },
    async run(publish, seconds, inFlight) {
      durations.length = 0;
      const startedAt = performance.now();
      const endAt = startedAt + seconds * 1000;
      const loop = async () => {
        while (performance.now() < endAt) {
          await settle(() => begun.size < underWayMax);
          await publish(begin(performance.now()));
        }
      };
      await Promise.all(Array.from({ length: inFlight }, loop));
      return finish(startedAt);
    },
    async runAt(rate, publish, seconds) {
      durations.length = 0;
      const startedAt = performance.now();
      const publishing: Promise<void>[] = [];
      for (let i = 0; i < rate * seconds; i++) {
        const dueAt = startedAt + (i * 1000) / rate;
        for (let left = dueAt - performance.now(); left > 0; left = dueAt - performance.now()) {
          await new Promise((resolve) => setTimeout(resolve, left));
        }
        publishing.push(publish(begin(dueAt)));
      }
      await Promise.all(publishing);
      return finish(startedAt);
    },
  };
}
