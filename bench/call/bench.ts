import { randomBytes } from "node:crypto";
import { type Bench, isWanted, wantedOf } from "../bench.ts";
import { judge } from "../goals.ts";
import { peerVersions, startPeer } from "../peers.ts";
import { canPin, cpuUs, type Program, startProgram } from "../program.ts";
import { measureInRounds, type Sample, type Table } from "../rounds.ts";
import type { Driven } from "./drive.ts";
import { cases } from "./message.ts";

/** One service calls another: by Plinth in the same process, over RPC and over HTTP, and by what else there is. */
const ways = [
  "HTTP, undici",
  "HTTP, by contract",
  "RPC",
  "in process",
  "node:http2",
  "grpc-js",
  "Connect",
  "NestJS TCP",
  "Moleculer TCP",
];
/** For other sizes, and fewer at a time. */
const mainWays = ["HTTP, undici", "RPC", "in process", "grpc-js", "NestJS TCP", "Moleculer TCP"];

/** Programs that are callee and caller in one. */
const programs: Readonly<Record<string, { readonly start: typeof startProgram; readonly name: string }>> = {
  "HTTP, undici": { start: startProgram, name: "call/plain" },
  "node:http2": { start: startProgram, name: "call/http2" },
  "grpc-js": { start: startPeer, name: "call/grpc" },
  Connect: { start: startPeer, name: "call/connect" },
  "NestJS TCP": { start: startPeer, name: "call/nest" },
  "Moleculer TCP": { start: startPeer, name: "call/moleculer" },
};

interface Pair {
  readonly caller: Program<unknown>;
  readonly callee: Program<unknown>;
}

export const call: Bench = {
  title: "Service to service",
  rounds: 6,
  seconds: 2,
  check: { rounds: 5, seconds: 0.5, only: ["RPC", "in process"], tables: ["calls"] },
  async run(options) {
    const { rounds, seconds, say } = options;
    const started: Program<unknown>[] = [];
    try {
      const pairs = await startPairs(wantedOf(ways, options), started);
      const tables: Table[] = [];
      for (const [index, { inFlight, bytes }] of cases.entries()) {
        const isMain = index === 0;
        const candidates = wantedOf(isMain ? ways : mainWays, options);
        const plan = isMain ? { rounds, seconds } : { rounds: Math.ceil(rounds / 2), seconds: Math.ceil(seconds / 2) };
        const name = isMain ? "calls" : `calls, ${inFlight} in flight, ${bytes} bytes`;
        if (!isWanted(name, options)) continue;
        for (const way of candidates) await pairOf(pairs, way).caller.ask("choose", index);
        say(`${name}: every way answers rightly; ${plan.rounds} rounds of ${candidates.join("; ")}, ${plan.seconds} s`);
        const slice = (way: string) => measure(pairOf(pairs, way), plan.seconds);
        for (const way of candidates) await slice(way);
        const table = await measureInRounds({ name, candidates, rounds: plan.rounds, slice });
        tables.push(isMain ? judged(table) : { ...table, conditions: { inFlight, bytesEachWay: bytes, ...plan } });
      }
      const versions = peerVersions("@grpc/grpc-js", "@connectrpc/connect-node", "@nestjs/microservices", "moleculer");
      return { tables, conditions: { inFlight: 64, bytesEachWay: 300, pinned: canPin, ...versions } };
    } finally {
      await Promise.all(started.map((program) => program.stop()));
    }
  },
};

function judged(table: Table): Table {
  return judge(table, [
    { candidate: "in process", atLeast: 25 },
    { candidate: "RPC", atLeast: 4 },
    { candidate: "RPC", to: "Moleculer TCP", atLeast: 2 },
    { candidate: "RPC", to: "NestJS TCP", atLeast: 2 },
    { candidate: "RPC", to: "grpc-js", atLeast: 20 },
    { candidate: "RPC", by: "perCpu", atLeast: 5 },
  ]);
}

/** Callers are kept to one core and callees to the other. */
async function startPairs(wanted: readonly string[], started: Program<unknown>[]): Promise<ReadonlyMap<string, Pair>> {
  const environment = { PLINTH_RPC_SECRET: randomBytes(32).toString("base64"), PLINTH_LOG: "silent" };
  const keep = <Facts>(program: Program<Facts>): Program<Facts> => {
    started.push(program);
    return program;
  };
  const plinth = keep(await startProgram<{ url: string; rpc: string }>("call/callee", { core: 1, environment }));
  const pairs = new Map<string, Pair>();
  for (const way of wanted) {
    const program = programs[way];
    if (program) {
      const callee = keep(await program.start<{ address: string }>(program.name, { core: 1, args: ["callee"] }));
      const args = ["caller", callee.facts.address];
      pairs.set(way, { callee, caller: keep(await program.start(program.name, { core: 0, args })) });
    } else {
      const args = [way, plinth.facts.url, plinth.facts.rpc];
      pairs.set(way, {
        callee: plinth,
        caller: keep(await startProgram("call/caller", { core: 0, args, environment })),
      });
    }
  }
  return pairs;
}

function pairOf(pairs: ReadonlyMap<string, Pair>, way: string): Pair {
  const pair = pairs.get(way);
  if (!pair) throw new Error(`nobody calls by "${way}"`);
  return pair;
}

async function measure({ caller, callee }: Pair, seconds: number): Promise<Sample> {
  const before = await cpuUs(caller, callee);
  const { calls, seconds: took, p50Ms, p99Ms } = await caller.ask<Driven>("run", seconds);
  return { perSecond: calls / took, p50Ms, p99Ms, cpuUs: ((await cpuUs(caller, callee)) - before) / calls };
}
