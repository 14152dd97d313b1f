import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import pg from "pg";
import { type Bench, type BenchOptions, isWanted, wantedOf } from "../bench.ts";
import type { Driven } from "../call/drive.ts";
import { judge, type Wanted } from "../goals.ts";
import { peersLack, peerVersions, startPeer } from "../peers.ts";
import { canPin, cpuUs, memoryMiB, type Program, startProgram } from "../program.ts";
import { measureInRounds, type Sample, type Table } from "../rounds.ts";
import { pacePerSecond, readerCount } from "./orders.ts";

/**
 * What state costs: transactions beside the driver alone, a cached read beside the clients of Redis, and the way from a
 * change to what it brings about elsewhere beside two queues.
 */
const connections = 10;

interface Candidate {
  readonly program: string;
  readonly question: string;
}
type Candidates = Readonly<Record<string, Candidate>>;

const inserts: Candidates = {
  pg: { program: "pg", question: "insert" },
  "pg, named": { program: "pg", question: "insert, named" },
  Plinth: { program: "Plinth", question: "insert" },
};
const changes: Candidates = {
  pg: { program: "pg", question: "change" },
  "pg, named": { program: "pg", question: "change, named" },
  Plinth: { program: "Plinth", question: "change" },
};
const reads: Candidates = {
  "@redis/client": { program: "@redis/client", question: "read" },
  ioredis: { program: "ioredis", question: "read" },
  "Plinth, far": { program: "Plinth, far", question: "read" },
  "Plinth, near": { program: "Plinth, near", question: "read" },
};
const flows = ["pg-boss, at least once", "pg-boss, once", "BullMQ, may be lost", "BullMQ, once", "Plinth, once"];

const insertTable = "a transaction of one INSERT";
const changeTable = "read, change and write";
const effectTable = "publish to effect";
const cases: readonly [table: string, candidates: Candidates, goals: readonly Wanted[]][] = [
  [insertTable, inserts, [{ candidate: "Plinth", atLeast: 0.8 }]],
  [changeTable, changes, [{ candidate: "Plinth", atLeast: 0.8 }]],
  ["a cached read", reads, []],
  [effectTable, flowsBy("effect"), flows.slice(0, -1).map((to) => ({ candidate: "Plinth, once", to, atLeast: 1 }))],
  [`${effectTable}, ${pacePerSecond} a second`, flowsBy("pace"), []],
];

export const state: Bench = {
  title: "State",
  rounds: 5,
  seconds: 2,
  check: {
    rounds: 5,
    seconds: 0.5,
    only: ["Plinth", "Plinth, once"],
    tables: [insertTable, effectTable],
    lacks: () => (process.env.PLINTH_TEST_POSTGRES_URL ? peersLack() : "PLINTH_TEST_POSTGRES_URL is not set"),
  },
  async run(options) {
    const server = required("PLINTH_TEST_POSTGRES_URL", "postgres");
    const wanted = cases
      .filter(([name]) => isWanted(name, options))
      .map(([name, candidates, goals]) => ({ name, candidates: selected(candidates, options), goals }));
    const admin = new pg.Client(server);
    await admin.connect();
    const databases = createDatabases(admin, server);
    const programs = new Map<string, Program<unknown>>();
    try {
      const needed = wanted.flatMap(({ candidates }) => Object.values(candidates).map(({ program }) => program));
      await start(new Set(needed), programs, databases.make);
      const tables: Table[] = [];
      for (const { name, candidates, goals } of wanted)
        tables.push(judge(await measure(name, candidates, programs, options), goals));
      await proveCounts(programs, options);
      for (const name of ["@redis/client", "ioredis", "BullMQ, may be lost", "BullMQ, once"]) {
        await programs.get(name)?.ask("end");
      }
      return { tables, conditions: { connections, readers: readerCount, ...(await conditionsOf(admin)) }, notes };
    } finally {
      await Promise.all([...programs.values()].map((program) => program.stop()));
      await databases.drop();
      await admin.end();
    }
  },
};

const notes = [
  "once: the effect of an event is committed once, in one transaction with what remembers it, and no event of a committed change is lost. So with Plinth, and with the work by hand that makes the others so",
  "pg-boss, at least once: no job is lost; one whose worker dies is done again, for which its handler has to provide",
  "BullMQ, may be lost: the job is added after the commit. A process that dies in between has a change without its effect, and so has a Redis that loses its last second",
];

function selected(candidates: Candidates, options: BenchOptions): Candidates {
  return Object.fromEntries(
    wantedOf(Object.keys(candidates), options).map((name) => [name, candidates[name] as Candidate]),
  );
}

async function start(
  needed: ReadonlySet<string>,
  programs: Map<string, Program<unknown>>,
  database: () => Promise<string>,
): Promise<void> {
  const redis = () => required("PLINTH_TEST_REDIS_URL", "redis");
  const size = String(connections);
  const begin = async (name: string, run: typeof startProgram, program: string, argsOf: () => Promise<string[]>) => {
    if (needed.has(name)) programs.set(name, await run(program, { core: 0, args: await argsOf() }));
  };
  await begin("pg", startProgram, "state/pg", async () => [await database(), size]);
  for (const name of ["Plinth", "Plinth, once"])
    await begin(name, startProgram, "state/plinth", async () => ["database", await database(), size]);
  await begin("Plinth, far", startProgram, "state/plinth", async () => ["cache", redis(), "0"]);
  await begin("Plinth, near", startProgram, "state/plinth", async () => ["cache", redis(), "32mb"]);
  for (const client of ["@redis/client", "ioredis"])
    await begin(client, startPeer, "state/redis", async () => [client, redis()]);
  for (const promise of ["at least once", "once"])
    await begin(`pg-boss, ${promise}`, startPeer, "state/pg-boss", async () => [await database(), size, promise]);
  for (const promise of ["may be lost", "once"])
    await begin(`BullMQ, ${promise}`, startPeer, "state/bullmq", async () => [
      await database(),
      size,
      promise,
      redis(),
    ]);
}

async function measure(
  name: string,
  candidates: Candidates,
  programs: ReadonlyMap<string, Program<unknown>>,
  { rounds, seconds, say }: BenchOptions,
): Promise<Table> {
  const names = Object.keys(candidates);
  say(`${name}: ${rounds} rounds of ${names.join("; ")}, ${seconds} s each`);
  const slice = async (wanted: string): Promise<Sample> => {
    const { program: by, question } = candidates[wanted] as Candidate;
    const program = programs.get(by) as Program<unknown>;
    const before = await cpuUs(program);
    const { calls, seconds: took, p50Ms, p99Ms } = await program.ask<Driven>(question, seconds);
    const used = (await cpuUs(program)) - before;
    return { perSecond: calls / took, p50Ms, p99Ms, cpuUs: used / calls, rssMiB: await memoryMiB(program) };
  };
  for (const each of names) await slice(each);
  return measureInRounds({ name, candidates: names, rounds, slice });
}

function flowsBy(question: string): Candidates {
  return Object.fromEntries(flows.map((name) => [name, { program: name, question }]));
}

interface Counts {
  readonly orders: number;
  readonly entries?: number;
  readonly changes?: number;
}

/** Each order has its entry, and everything that was to be written is there. */
async function proveCounts(programs: ReadonlyMap<string, Program<unknown>>, options: BenchOptions): Promise<void> {
  for (const name of flows.filter((each) => programs.has(each))) {
    const { orders, entries } = (await programs.get(name)?.ask<Counts>("counts")) ?? {};
    assert.ok(orders !== undefined && orders > 0, `${name}: nothing was written`);
    assert.equal(entries, orders, `${name}: ${orders} orders have ${entries} entries`);
  }
  for (const name of ["pg", "Plinth"].filter((each) => programs.has(each))) {
    const { orders = 0, changes = 0 } = (await programs.get(name)?.ask<Counts>("counts")) ?? {};
    assert.ok(orders > 0 || !isWanted(insertTable, options), `${name}: nothing was inserted`);
    assert.ok(changes > 0 || !isWanted(changeTable, options), `${name}: nothing was changed`);
  }
}

/** One for each program: the events of one are not to be handled by another. */
function createDatabases(admin: pg.Client, server: string) {
  const names: string[] = [];
  return {
    async make(): Promise<string> {
      const name = `plinth_bench_${randomBytes(4).toString("hex")}`;
      await admin.query(`create database ${name}`);
      names.push(name);
      const url = new URL(server);
      url.pathname = `/${name}`;
      return url.href;
    },
    async drop(): Promise<void> {
      for (const name of names) await admin.query(`drop database ${name} with (force)`);
    },
  };
}

async function conditionsOf(admin: pg.Client): Promise<Readonly<Record<string, string | boolean>>> {
  const { rows } = await admin.query(
    "select current_setting('server_version') as postgres, current_setting('fsync') as fsync",
  );
  const versions = peerVersions("pg-boss", "bullmq", "ioredis");
  return { postgres: String(rows[0].postgres).split(" ")[0] ?? "", fsync: rows[0].fsync, pinned: canPin, ...versions };
}

function required(variable: string, engine: string): string {
  const url = process.env[variable];
  if (url) return url;
  throw new Error(`state: set ${variable}; eval "$(scripts/engines.sh up ${engine})" does it`);
}
