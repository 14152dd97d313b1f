import { randomBytes } from "node:crypto";
import pg from "pg";
import type { Bench } from "../bench.ts";
import type { Driven } from "../call/drive.ts";
import { cpuUs, type Program, startProgram } from "../program.ts";
import { measureInRounds, type Sample } from "../rounds.ts";

/** From a change to what it brings about elsewhere: outbox, relay, broker, inbox, effect; beside a change alone. */
const ways = ["INSERT, pg", "INSERT, Plinth", "publish to effect"];
const connections = 10;

export const events: Bench = {
  title: "Events",
  rounds: 5,
  seconds: 3,
  async run({ rounds, seconds, say }) {
    const server = process.env.PLINTH_TEST_POSTGRES_URL;
    if (!server)
      throw new Error('events: set PLINTH_TEST_POSTGRES_URL; eval "$(scripts/engines.sh up postgres)" does it');
    const admin = new pg.Client(server);
    await admin.connect();
    // One each: a program's events are not to be handled by another.
    const names = ways.map(() => `plinth_bench_${randomBytes(4).toString("hex")}`);
    for (const name of names) await admin.query(`create database ${name}`);
    const programs = new Map<string, Program<unknown>>();
    try {
      for (const [i, way] of ways.entries()) {
        const url = new URL(server);
        url.pathname = `/${names[i]}`;
        const args = [way, url.href, String(connections)];
        programs.set(way, await startProgram("events/flow", { core: 0, args }));
      }
      say(`events: ${rounds} rounds of ${ways.join("; ")}, ${seconds} s each`);
      const slice = (way: string) => measure(programs.get(way) as Program<unknown>, seconds);
      for (const way of ways) await slice(way);
      const table = await measureInRounds({ name: "transactions or events", candidates: ways, rounds, slice });
      return { tables: [table], conditions: { connections, keys: 1000, handlers: 32, ...(await settingsOf(admin)) } };
    } finally {
      await Promise.all([...programs.values()].map((program) => program.stop()));
      for (const name of names) await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    }
  },
};

async function measure(program: Program<unknown>, seconds: number): Promise<Sample> {
  const before = await cpuUs(program);
  const { calls, seconds: took, p50Ms, p99Ms } = await program.ask<Driven>("run", seconds);
  return { perSecond: calls / took, p50Ms, p99Ms, cpuUs: ((await cpuUs(program)) - before) / calls };
}

async function settingsOf(admin: pg.Client): Promise<Readonly<Record<string, string>>> {
  const { rows } = await admin.query(
    "select current_setting('server_version') as postgres, current_setting('fsync') as fsync",
  );
  return { postgres: String(rows[0].postgres).split(" ")[0] ?? "", fsync: rows[0].fsync };
}
