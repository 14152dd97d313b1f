import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";

/** The side of a measured program that is profiled: from when it is ready to its end, where its time and its memory go. */
export async function startProfile(file: string): Promise<() => Promise<void>> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 500 });
  // All that is allocated, not what is still there at the end.
  const all = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true };
  await session.post("HeapProfiler.startSampling", { samplingInterval: 65_536, ...all });
  await session.post("Profiler.start");
  return async () => {
    const { profile: cpu } = await session.post("Profiler.stop");
    const { profile: heap } = await session.post("HeapProfiler.stopSampling");
    writeFileSync(`${file}.cpuprofile`, JSON.stringify(cpu));
    writeFileSync(`${file}.heapprofile`, JSON.stringify(heap));
    session.disconnect();
  };
}
