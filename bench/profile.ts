import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { HeapProfiler, Profiler } from "node:inspector";
import { root } from "../scripts/source/tree.ts";
import { createPlaces, type Place } from "./places.ts";

/**
 * `--profile`: each measured Node program writes where its time and its memory went. `NAME.cpuprofile` and
 * `NAME.heapprofile` open as flame graphs in the developer tools of Chromium and in VS Code; `NAME.txt` has the functions
 * that took most, without those they call.
 */
const folderOf = (bench: string) => `${root}.plinth/profiles/${bench}`;

const functionsMax = 30;
/** Who was there for less has nothing to say: 500 µs each. */
const samplesMin = 400;

type PlaceOf = (frame: Profiler.ProfileNode["callFrame"]) => Place;

/** Of one process. */
export interface ProgramProfile {
  /** `"edge-plinth"`; there may be several of a name. */
  readonly program: string;
  /** Self time by place, µs, of the time in which the program did anything. */
  readonly spent: readonly (readonly [Place, us: number])[];
  readonly text: string;
}

/** From now on, programs that are started are profiled. */
export function turnOnProfiles(bench: string): void {
  const folder = folderOf(bench);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  process.env.PLINTH_BENCH_PROFILE = folder;
}

/** Of those that were long enough there; writes their texts. */
export function readProfiles(bench: string): readonly ProgramProfile[] {
  const folder = folderOf(bench);
  const names = readdirSync(folder).filter((file) => file.endsWith(".cpuprofile"));
  const placeOf = createPlaces();
  return names.sort().flatMap((file) => {
    const name = file.slice(0, -".cpuprofile".length);
    const cpu = readJson<Profiler.Profile>(`${folder}/${file}`);
    if (!cpu || (cpu.samples?.length ?? 0) < samplesMin) return [];
    const heap = readJson<HeapProfiler.SamplingHeapProfile>(`${folder}/${name}.heapprofile`);
    const spent = timesOf(cpu, placeOf);
    const parts = [`${folder}/${name}`, renderTime(spent), ...(heap ? [renderMemory(heap, placeOf)] : [])];
    const text = `${parts.join("\n\n")}\n`;
    writeFileSync(`${folder}/${name}.txt`, text);
    return [{ program: name.replace(/-\d+$/, ""), spent, text }];
  });
}

/** A program that was killed while it wrote left half a file, or none. */
function readJson<Value>(file: string): Value | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Value;
  } catch {
    return undefined;
  }
}

/** Nothing to do, or the profiler itself: the inspector's own function, which begins and ends a profile. */
function isOfNobody({ functionName, url, scriptId }: Profiler.ProfileNode["callFrame"]): boolean {
  return functionName === "(idle)" || (functionName === "dispatch" && url === "" && scriptId === "0");
}

export function timesOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile, placeOf: PlaceOf) {
  const byNode = new Map<number, number>();
  for (const [i, id] of samples.entries()) byNode.set(id, (byNode.get(id) ?? 0) + (timeDeltas[i] ?? 0));
  return nodes.flatMap(({ id, callFrame }) => {
    const us = byNode.get(id);
    return us === undefined || isOfNobody(callFrame) ? [] : [[placeOf(callFrame), us] as const];
  });
}

export function renderTime(spent: ProgramProfile["spent"]): string {
  return renderShares("time", sumBy(spent, "name"), (us) => `${(us / 1000).toFixed(0)} ms`);
}

/** By the function, or by the part of the program. */
export function sumBy(spent: ProgramProfile["spent"], field: keyof Place): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [place, value] of spent) sums.set(place[field], (sums.get(place[field]) ?? 0) + value);
  return sums;
}

/** Bytes allocated by function, whether or not they were freed since. */
export function renderMemory({ head }: HeapProfiler.SamplingHeapProfile, placeOf: PlaceOf): string {
  const taken: (readonly [Place, number])[] = [];
  const walk = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): void => {
    taken.push([placeOf(callFrame), selfSize]);
    children.forEach(walk);
  };
  walk(head);
  return renderShares("allocated", sumBy(taken, "name"), (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`);
}

function renderShares(what: string, by: ReadonlyMap<string, number>, show: (value: number) => string): string {
  const sum = [...by.values()].reduce((total, value) => total + value, 0);
  const most = [...by].sort(([, a], [, b]) => b - a).slice(0, functionsMax);
  const lines = most.map(
    ([name, value]) => `${((100 * value) / sum).toFixed(1).padStart(5)} %  ${show(value).padStart(10)}  ${name}`,
  );
  return [`${what}: ${show(sum)}`, ...lines].join("\n");
}
