import type { Goal } from "../goals.ts";
import type { MemorySample } from "./plinth.ts";
import { type Point, trendOf } from "./trend.ts";
import { wavesAt } from "./week.ts";

/** What a process held at a moment of the week. */
export interface Taken {
  /** Seconds since its beginning. */
  readonly at: number;
  readonly sample: MemorySample;
}

type Measure = "heapMiB" | "externalMiB" | "residentMiB";
/** Growth over the second half at most, at the upper end of its 95 % interval. */
const bounds: Readonly<Record<Measure, (mean: number) => number>> = {
  heapMiB: (mean) => mean * 0.05,
  externalMiB: () => 1,
  residentMiB: (mean) => mean * 0.05,
};
const names: Readonly<Record<Measure, string>> = {
  heapMiB: "heap after collection, MiB",
  externalMiB: "outside of the heap, MiB",
  residentMiB: "resident, MiB",
};

/** Whether memory was flat in the second half of a week of so many seconds: a row and a goal for each measure. */
export function judgeMemory(samples: readonly Taken[], seconds: number): readonly { row: string[]; goal: Goal }[] {
  const half = samples.slice(Math.floor(samples.length / 2));
  return (Object.keys(bounds) as Measure[]).map((measure) => judge(measure, samples[0], half, seconds));
}

function judge(measure: Measure, first: Taken | undefined, half: readonly Taken[], seconds: number) {
  const points: Point[] = half.map(({ at, sample }) => ({ at, value: sample[measure], waves: wavesAt(at, seconds) }));
  const { mean, growth, low, high } = trendOf(points);
  const bound = bounds[measure](mean);
  const text = (value: number) => value.toFixed(2);
  const goal: Goal = {
    what: `${names[measure]}, growth over the second half`,
    wanted: `at most ${text(bound)}`,
    measured: `${text(growth)} (${text(low)} to ${text(high)})`,
    isReached: high <= bound,
  };
  const began = text(first?.sample[measure] ?? Number.NaN);
  const row = [names[measure], began, text(mean), text(growth), `${text(low)} to ${text(high)}`, text(bound)];
  return { goal, row };
}
