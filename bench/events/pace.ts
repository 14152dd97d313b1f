import type { Driven } from "../call/drive.ts";

/**
 * Publishes no faster than effects follow: at most so many are on their way. What is counted is effects, and timed is the
 * way from the beginning of the change to the commit of its effect.
 */
const underWayMax = 200;

export function createFlow() {
  const begun = new Map<number, number>();
  const durations: number[] = [];
  let ended = 0;
  let resume: (() => void)[] = [];

  const settle = (done: () => boolean): Promise<void> => {
    if (done()) return Promise.resolve();
    return new Promise<void>((resolve) => resume.push(resolve)).then(() => settle(done));
  };

  return {
    begin(n: number): void {
      begun.set(n, performance.now());
    },
    end(n: number): void {
      durations.push(performance.now() - (begun.get(n) ?? Number.NaN));
      begun.delete(n);
      ended++;
      const waiting = resume;
      resume = [];
      for (const each of waiting) each();
    },
    async run(publish: () => Promise<void>, seconds: number, inFlight: number): Promise<Driven> {
      durations.length = 0;
      ended = 0;
      const startedAt = performance.now();
      const endAt = startedAt + seconds * 1000;
      const loop = async () => {
        while (performance.now() < endAt) {
          await settle(() => begun.size < underWayMax);
          await publish();
        }
      };
      await Promise.all(Array.from({ length: inFlight }, loop));
      // Until the last one: nothing that was published may be missing.
      await settle(() => begun.size === 0);
      const sorted = Float64Array.from(durations).sort();
      const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
      return { calls: ended, seconds: (performance.now() - startedAt) / 1000, p50Ms: at(0.5), p99Ms: at(0.99) };
    },
  };
}
