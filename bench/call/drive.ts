/** Calls over and over, `inFlight` at a time, for so many seconds. */
export interface Driven {
  readonly calls: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export async function drive(call: () => Promise<unknown>, seconds: number, inFlight: number): Promise<Driven> {
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  const durations: number[] = [];
  let calls = 0;
  const loop = async () => {
    for (let now = performance.now(); now < endAt; ) {
      await call();
      const done = performance.now();
      // Every sixteenth, so that what is measured stays small beside what measures.
      if ((calls++ & 15) === 0) durations.push(done - now);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const sorted = Float64Array.from(durations).sort();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { calls, seconds: (performance.now() - startedAt) / 1000, p50Ms: at(0.5), p99Ms: at(0.99) };
}
