import { randomBytes } from "node:crypto";
import type { Bench } from "../bench.ts";
import { canPin, cpuUs, type Program, startProgram } from "../program.ts";
import { measureInRounds, type Sample } from "../rounds.ts";
import type { Driven } from "./drive.ts";

/** One service calls another: in the same process, over RPC, and over HTTP. */
const ways = ["HTTP, undici", "HTTP, by contract", "RPC", "in process"];

export const call: Bench = {
  title: "Service to service",
  rounds: 6,
  seconds: 2,
  async run({ rounds, seconds, say }) {
    const environment = { PLINTH_RPC_SECRET: randomBytes(32).toString("base64"), PLINTH_LOG: "silent" };
    const programs: Program<unknown>[] = [];
    try {
      const callee = await startProgram<{ url: string; rpc: string }>("call/callee", { core: 1, environment });
      programs.push(callee);
      const callers = new Map<string, Program<unknown>>();
      for (const way of ways) {
        const args = [way, callee.facts.url, callee.facts.rpc];
        const caller = await startProgram("call/caller", { core: 0, args, environment });
        callers.set(way, caller);
        programs.push(caller);
      }
      say(`calls: ${rounds} rounds of ${ways.join("; ")}, ${seconds} s each`);
      const slice = (way: string) => measure(callers.get(way) as Program<unknown>, callee, seconds);
      for (const way of ways) await slice(way);
      const table = await measureInRounds({ name: "calls", candidates: ways, rounds, slice });
      return { tables: [table], conditions: { inFlight: 64, bytesEachWay: 300, pinned: canPin } };
    } finally {
      await Promise.all(programs.map((program) => program.stop()));
    }
  },
};

async function measure(caller: Program<unknown>, callee: Program<unknown>, seconds: number): Promise<Sample> {
  const before = await cpuUs(caller, callee);
  const { calls, seconds: took, p50Ms, p99Ms } = await caller.ask<Driven>("run", seconds);
  return { perSecond: calls / took, p50Ms, p99Ms, cpuUs: ((await cpuUs(caller, callee)) - before) / calls };
}
