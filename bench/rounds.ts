import { setTimeout as sleep } from "node:timers/promises";
import type { Goal } from "./goals.ts";

/** What one slice of time gave for one candidate. */
export interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time for one request or call: of the server, or of both sides. */
  readonly cpuUs?: number;
  /** Resident memory of what was measured, at the end of the slice. */
  readonly rssMiB?: number;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Row {
  readonly candidate: string;
  /** To the reference in the same round. */
  readonly ratio: Spread;
  /** What the same processor time does, to the reference in the same round. Says more on a machine that is not quiet. */
  readonly cpuRatio?: Spread;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs?: number;
  readonly rssMiB?: number;
}

export interface Table {
  readonly name: string;
  readonly reference: string;
  readonly rows: readonly Row[];
  /** How this one was measured, by name, where it differs from the others of its bench. */
  readonly conditions?: Readonly<Record<string, string | number | boolean>>;
  /** What a reader has to know; a sentence each. */
  readonly notes?: readonly string[];
  /** What it has to reach, and whether it does; `judge` makes them. */
  readonly goals?: readonly Goal[];
}

export interface RoundOptions {
  readonly name: string;
  /** The first is the reference. */
  readonly candidates: readonly string[];
  readonly rounds: number;
  slice(candidate: string): Promise<Sample>;
  /** Between slices, for what the one before left to do. Default 50. */
  readonly pauseMs?: number;
}

/**
 * Measures in rounds, A B C A B C: what makes the machine slower for a while makes it slower for all, and the ratio of two
 * candidates in the same round keeps its meaning. A round whose reference did nothing has no ratios and is left out; with
 * more than a third of such rounds nothing is measured. A candidate that did nothing did nothing: its ratio is 0.
 */
export async function measureInRounds({ name, candidates, rounds, slice, pauseMs = 50 }: RoundOptions): Promise<Table> {
  const samples = new Map<string, Sample[]>(candidates.map((candidate) => [candidate, []]));
  for (let round = 0; round < rounds; round++) {
    for (const candidate of candidates) {
      samples.get(candidate)?.push(await slice(candidate));
      await sleep(pauseMs);
    }
  }
  const [reference = ""] = candidates;
  const own = samples.get(reference) ?? [];
  const lost = own.filter(didNothing).length;
  const remark = `${reference} did nothing in ${lost} of ${rounds} rounds`;
  if (lost > rounds / 3) throw new Error(`${name}: ${remark}, so there is nothing to compare with`);
  const sound = (all: readonly Sample[] = []) => all.filter((_, round) => !didNothing(own[round]));
  return {
    name,
    reference,
    rows: candidates.map((candidate) => toRow(candidate, sound(samples.get(candidate)), sound(own))),
    ...(lost > 0 && { notes: [`${remark}, which are left out`] }),
  };
}

/** Nothing at all, or nothing that is a number. */
function didNothing(sample: Sample | undefined): boolean {
  return !(sample && sample.perSecond > 0 && Number.isFinite(sample.perSecond));
}

function toRow(candidate: string, samples: readonly Sample[], reference: readonly Sample[]): Row {
  const ratioOf = (mine: Sample, field: "perSecond" | "cpuUs", round: number) =>
    (mine[field] ?? Number.NaN) / (reference[round]?.[field] ?? Number.NaN);
  const ratios = samples.map((mine, round) => (didNothing(mine) ? 0 : ratioOf(mine, "perSecond", round)));
  const cpuRatios = samples.map((mine, round) => (didNothing(mine) ? 0 : 1 / ratioOf(mine, "cpuUs", round)));
  // What never came took for ever.
  const took = (field: "p50Ms" | "p99Ms" | "cpuUs") =>
    median(samples.map((mine) => (didNothing(mine) && mine[field] !== undefined ? Infinity : (mine[field] ?? NaN))));
  const cpuUs = took("cpuUs");
  const rssMiB = median(samples.map((mine) => mine.rssMiB ?? Number.NaN));
  return {
    candidate,
    ratio: spreadOf(ratios),
    ...(!cpuRatios.some(Number.isNaN) && { cpuRatio: spreadOf(cpuRatios) }),
    perSecond: Math.round(median(samples.map((mine) => (didNothing(mine) ? 0 : mine.perSecond)))),
    p50Ms: rounded(took("p50Ms"), 3),
    p99Ms: rounded(took("p99Ms"), 3),
    ...(!Number.isNaN(cpuUs) && { cpuUs: rounded(cpuUs, 1) }),
    ...(!Number.isNaN(rssMiB) && { rssMiB: Math.round(rssMiB) }),
  };
}

function spreadOf(ratios: readonly number[]): Spread {
  return {
    median: rounded(median(ratios), 3),
    min: rounded(Math.min(...ratios), 3),
    max: rounded(Math.max(...ratios), 3),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
