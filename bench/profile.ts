import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { HeapProfiler, Profiler, Runtime } from "node:inspector";
import { root } from "../scripts/source/tree.ts";

/**
 * `--profile`: each measured Node program writes where its time and its memory went. `NAME.cpuprofile` and
 * `NAME.heapprofile` open as flame graphs in the developer tools of Chromium and in VS Code; `NAME.txt` has the functions
 * that took most, without those they call.
 */
export const profileFolder = `${root}.plinth/profiles`;

const functionsMax = 30;
/** Who was there for less has nothing to say: 500 µs each. */
const samplesMin = 400;

/** From now on, programs that are started are profiled. */
export function turnOnProfiles(): void {
  rmSync(profileFolder, { recursive: true, force: true });
  mkdirSync(profileFolder, { recursive: true });
  process.env.PLINTH_BENCH_PROFILE = profileFolder;
}

/** Writes the texts and answers them. */
export function renderProfiles(): readonly string[] {
  const names = readdirSync(profileFolder).filter((file) => file.endsWith(".cpuprofile"));
  return names.sort().flatMap((file) => {
    const base = `${profileFolder}/${file.slice(0, -".cpuprofile".length)}`;
    const cpu = JSON.parse(readFileSync(`${base}.cpuprofile`, "utf8")) as Profiler.Profile;
    if ((cpu.samples?.length ?? 0) < samplesMin) return [];
    const parts = [`${base}`, renderTime(cpu)];
    if (existsSync(`${base}.heapprofile`))
      parts.push(
        renderMemory(JSON.parse(readFileSync(`${base}.heapprofile`, "utf8")) as HeapProfiler.SamplingHeapProfile),
      );
    const text = `${parts.join("\n\n")}\n`;
    writeFileSync(`${base}.txt`, text);
    return [text];
  });
}

/** Self time by function, of the time in which the program did anything. */
export function renderTime({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): string {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const spent = new Map<string, number>();
  for (const [i, id] of samples.entries()) {
    const frame = byId.get(id);
    if (!frame || frame.functionName === "(idle)") continue;
    const name = nameOf(frame);
    spent.set(name, (spent.get(name) ?? 0) + (timeDeltas[i] ?? 0));
  }
  return renderShares("time", spent, (us) => `${(us / 1000).toFixed(0)} ms`);
}

/** Bytes allocated by function, whether or not they were freed since. */
export function renderMemory({ head }: HeapProfiler.SamplingHeapProfile): string {
  const taken = new Map<string, number>();
  const walk = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): void => {
    const name = nameOf(callFrame);
    taken.set(name, (taken.get(name) ?? 0) + selfSize);
    children.forEach(walk);
  };
  walk(head);
  return renderShares("allocated", taken, (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`);
}

function renderShares(what: string, by: ReadonlyMap<string, number>, show: (value: number) => string): string {
  const sum = [...by.values()].reduce((total, value) => total + value, 0);
  const most = [...by].sort(([, a], [, b]) => b - a).slice(0, functionsMax);
  const lines = most.map(
    ([name, value]) => `${((100 * value) / sum).toFixed(1).padStart(5)} %  ${show(value).padStart(10)}  ${name}`,
  );
  return [`${what}: ${show(sum)}`, ...lines].join("\n");
}

function nameOf({ functionName, url, lineNumber }: Runtime.CallFrame): string {
  const file = url.replace(/^.*\/(?:node_modules\/(?=.*node_modules\/)|programs\/|node_modules\/)/, "");
  return `${functionName || "(anonymous)"}${url ? `  ${file}:${lineNumber + 1}` : ""}`;
}
