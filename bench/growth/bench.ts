import assert from "node:assert/strict";
import { createServer } from "node:net";
import { type Bench, type BenchOptions, isWanted, type Sheet, wantedOf } from "../bench.ts";
import type { Driven } from "../call/drive.ts";
import { judge } from "../goals.ts";
import { runLoadApart } from "../load/apart.ts";
import { findLoad } from "../load/load.ts";
import { canPin, cpuUs, memoryMiB, type Program, startProgram } from "../program.ts";
import { measureInRounds, median, type Sample, type Table } from "../rounds.ts";

/**
 * What an app's size costs: a request at 10, 1,000 and 10,000 routes, a request and a call at 1, 100 and 1,000 services, its
 * start, and its memory. And what a second process behind the same port gives.
 */
const routeCounts = [10, 1000, 10_000];
const serviceCounts = [1, 100, 1000];
const startCount = 2;
const routesTable = "a request, of ten routes in turn";
const processesTable = "processes behind one port";

interface Facts {
  readonly url: string;
  readonly paths: readonly string[];
  readonly startMs: number;
  readonly heapMiB: number;
  readonly rssMiB: number;
}
type Grown = Program<Facts>;

export const growth: Bench = {
  title: "Growth",
  rounds: 5,
  seconds: 2,
  check: { rounds: 5, seconds: 0.5, only: ["10,000 routes"], tables: [routesTable] },
  async run(options) {
    const cases = allCases
      .filter(([name]) => isWanted(name, options))
      .map(([name, candidates, measure]) => [name, wantedOf(candidates, options), measure] as const);
    const apps = new Map<string, Grown>();
    const sizes = new Map<string, Facts[]>();
    try {
      const starts = options.tables ? 1 : startCount;
      for (let i = 0; i < starts; i++) {
        for (const name of new Set(cases.flatMap(([, candidates]) => candidates))) {
          const grown = await start(name);
          sizes.set(name, [...(sizes.get(name) ?? []), grown.facts]);
          if (i < starts - 1) await grown.stop();
          else apps.set(name, grown);
        }
      }
      for (const grown of apps.values()) await prove(grown);
      const tables: Table[] = [];
      for (const [name, candidates, measure] of cases) {
        options.say(`${name}: ${options.rounds} rounds of ${candidates.join("; ")}, ${options.seconds} s each`);
        const slice = (candidate: string) => measure(apps.get(candidate) as Grown, options.seconds);
        for (const candidate of candidates) await slice(candidate);
        const table = await measureInRounds({ name, candidates, rounds: options.rounds, slice });
        const largest = candidates.at(-1) ?? "";
        tables.push(name === routesTable ? judge(table, [{ candidate: largest, atLeast: 0.95 }]) : table);
      }
      await stopAll(apps);
      if (isWanted(processesTable, options)) tables.push(await measureProcesses(options));
      return { tables, sheets: [sheetOf(sizes)], conditions: { pinned: canPin, starts }, notes };
    } finally {
      await stopAll(apps);
    }
  },
};

const allCases: readonly [string, readonly string[], (app: Grown, seconds: number) => Promise<Sample>][] = [
  [routesTable, named("routes", routeCounts), request],
  ["a request, of up to ten services in turn", named("services", serviceCounts), request],
  ["a call in the process, of up to ten services in turn", named("services", serviceCounts), call],
];

const notes = [
  "of the first three tables, per second is per second of the server's processor time: a generator that walks over many paths takes more than the server does",
  "start: from the beginning of the process, with all of its modules, until it listens; memory after a collection. The median of its starts",
  "processes: Plinth has no option for it. They are forked by Node's own `cluster`, which shares the port between runtimes as they are; the load has the same two cores, so two processes cannot do twice as much",
];

function named(what: string, counts: readonly number[]): string[] {
  return counts.map(
    (count) => `${count.toLocaleString("en")} ${what === "services" && count === 1 ? "service" : what}`,
  );
}

function start(name: string): Promise<Grown> {
  const [count = "", what = ""] = name.split(" ");
  const args = [what.startsWith("route") ? "routes" : "services", count.replaceAll(",", "")];
  return startProgram<Facts>("growth/plinth", { core: 0, args, command: [process.execPath, "--expose-gc"] });
}

async function prove({ facts: { url, paths } }: Grown): Promise<void> {
  for (const path of paths) {
    const answer = await fetch(url + path);
    assert.equal(answer.status, 200, path);
    assert.equal(((await answer.json()) as { id: string }).id, "42", path);
  }
  assert.equal((await fetch(`${url}/area-1/nothing/42`)).status, 404);
}

async function request(grown: Grown, seconds: number): Promise<Sample> {
  const { url, paths } = grown.facts;
  const routes = paths.map((path, i) => ({ name: String(i), path }));
  const before = await cpuUs(grown);
  const plan = { url, routes, rate: "closed", seconds, connectionsMax: 16, warmConnections: 16 } as const;
  const { all } = await runLoadApart(plan);
  const used = (await cpuUs(grown)) - before;
  assert.equal(all.good, all.sent, `${all.sent - all.good} of ${all.sent} requests failed`);
  const each = used / all.sent;
  return { perSecond: 1e6 / each, p50Ms: all.p50Ms, p99Ms: all.p99Ms, cpuUs: each };
}

async function call(grown: Grown, seconds: number): Promise<Sample> {
  const before = await cpuUs(grown);
  const { calls, p50Ms, p99Ms } = await grown.ask<Driven>("run", seconds);
  const each = ((await cpuUs(grown)) - before) / calls;
  return { perSecond: 1e6 / each, p50Ms, p99Ms, cpuUs: each };
}

function sheetOf(sizes: ReadonlyMap<string, readonly Facts[]>): Sheet {
  const middle = (all: readonly Facts[], of: (facts: Facts) => number) => Math.round(median(all.map(of)));
  return {
    columns: ["app", "start ms", "heap MiB", "resident MiB"],
    rows: [...sizes].map(([name, all]) => [
      name,
      middle(all, ({ startMs }) => startMs),
      middle(all, ({ heapMiB }) => heapMiB),
      middle(all, ({ rssMiB }) => rssMiB),
    ]),
  };
}

async function measureProcesses({ rounds, seconds, say }: BenchOptions): Promise<Table> {
  const load = findLoad();
  const counts = { "1 process": 1, "2 processes": 2 };
  const programs = new Map<string, Program<Pick<Facts, "url" | "paths">>>();
  try {
    for (const [name, count] of Object.entries(counts)) {
      const environment = { BENCH_PORT: String(await freePort()) };
      programs.set(name, await startProgram("growth/cluster", { args: [String(count)], environment }));
    }
    const candidates = Object.keys(counts);
    say(`processes: ${rounds} rounds of ${candidates.join("; ")}, ${seconds} s each, load by ${load.name}`);
    const slice = async (candidate: string): Promise<Sample> => {
      const program = programs.get(candidate);
      assert.ok(program);
      const { url, paths } = program.facts;
      const before = await cpuUs(program);
      const wanted = { method: "GET", url: url + paths[0], headers: {} };
      const {
        requests,
        failures,
        seconds: took,
        ...rest
      } = await load.run({ request: wanted, connections: 64, seconds, core: 1 });
      assert.equal(failures, 0, `${failures} of ${requests} requests failed`);
      const used = (await cpuUs(program)) - before;
      const rssMiB = await memoryMiB(program);
      return { perSecond: requests / took, p50Ms: rest.p50Ms, p99Ms: rest.p99Ms, cpuUs: used / requests, rssMiB };
    };
    for (const candidate of candidates) await slice(candidate);
    return await measureInRounds({ name: processesTable, candidates, rounds, slice });
  } finally {
    await stopAll(programs);
  }
}

async function stopAll(programs: ReadonlyMap<string, Program<unknown>>): Promise<void> {
  await Promise.all([...programs.values()].map((program) => program.stop()));
}

/** Free a moment ago: all processes of one port have to be told the same. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
