import { readFileSync } from "node:fs";
import { childrenOf } from "../../src/engines/postgres/process.fixture.ts";
import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { ShardedDatabase } from "../../src/shards/index.ts";
import { type Bank, openBank, prepareBank } from "./bank.ts";
import type { Stage } from "./stage.ts";

/** Writes on 1, 2 or 4 shards, each on a server of its own; taken in turn, round after round. */
export interface Run {
  readonly round: number;
  readonly shards: number;
  readonly perSecond: number;
  /** Processor time for one write, in ms: of all servers together, and of the process that writes. */
  readonly serverMs: number;
  readonly clientMs: number;
}

export interface ThroughputOptions {
  readonly rounds: number;
  readonly runMs: number;
  /** What one server can do: transactions at a time, and the least that each takes, in ms. */
  readonly limit?: { readonly atATime: number; readonly leastMs: number };
  say(text: string): void;
}

export const shardCounts = [1, 2, 4] as const;
const writers = 32;

export async function measureThroughput(stage: Stage, options: ThroughputOptions): Promise<readonly Run[]> {
  const { rounds, limit, say } = options;
  const banks = new Map<number, Bank>();
  const runs: Run[] = [];
  try {
    for (const shards of shardCounts) {
      const schema = `load_${limit ? "limited" : "free"}_${shards}`;
      const bank = await openBank(await stage.address(schema, shards, limit?.atATime ?? 16));
      banks.set(shards, bank);
      await prepareBank(bank);
      // So that sessions and plans are there when it counts.
      await writeFor(bank.router(), 300, limit?.leastMs);
    }
    for (let round = 0; round < rounds; round++) {
      for (const shards of shardCounts) {
        const run = await measure(stage, banks.get(shards) as Bank, options);
        runs.push({ round, shards, ...run });
      }
      const own = runs.slice(-shardCounts.length).map(({ shards, perSecond }) => `${shards}: ${Math.round(perSecond)}`);
      say(`writes a second, ${limit ? "limited servers" : "all that there is"}, round ${round + 1}: ${own.join(", ")}`);
    }
  } finally {
    for (const bank of banks.values()) await bank.close();
  }
  return runs;
}

async function measure({ servers }: Stage, bank: Bank, { runMs, limit }: ThroughputOptions) {
  const db = bank.router();
  // The map, before it counts.
  await db.at("customer-0").sql`select 1 as one`;
  const own = process.cpuUsage();
  const theirs = await cpuMsOf(servers);
  const startedAt = performance.now();
  const count = await writeFor(db, runMs, limit?.leastMs);
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(own);
  const serverMs = (await cpuMsOf(servers)) - theirs;
  return { perSecond: count / seconds, serverMs: serverMs / count, clientMs: (user + system) / 1000 / count };
}

/** Each writer writes as fast as it is answered, to any of 2,000 keys. */
async function writeFor(db: ShardedDatabase, runMs: number, leastMs = 0): Promise<number> {
  const endsAt = performance.now() + runMs;
  let count = 0;
  const work = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      const key = `customer-${Math.floor(Math.random() * 2_000)}`;
      const id = db.newId();
      await db.at(key).transaction(async (tx) => {
        await tx.sql`
          insert into accounts (id, version) values (${key}, 1)
          on conflict (id) do update set version = accounts.version + 1`;
        await tx.sql`insert into entries (account, id, version) values (${key}, ${id}, 0)`;
        if (leastMs > 0) await tx.sql`select pg_sleep(${leastMs / 1000}::float8)::text as slept`;
      });
      count++;
    }
  };
  await Promise.all(Array.from({ length: writers }, work));
  return count;
}

/** Of all processes of the servers, since they began; in ticks of 10 ms. */
async function cpuMsOf(servers: readonly TestPostgres[]): Promise<number> {
  let ticks = 0;
  for (const { pid } of servers) {
    if (pid === undefined) continue;
    const [own, ...children] = [pid, ...(await childrenOf(pid))].map(ticksOf);
    // The postmaster knows what children that are gone had used.
    ticks += (own?.own ?? 0) + (own?.gone ?? 0) + children.reduce((sum, child) => sum + child.own, 0);
  }
  return ticks * 10;
}

function ticksOf(pid: number): { readonly own: number; readonly gone: number } {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [user = 0, system = 0, userGone = 0, systemGone = 0] = fields.slice(11, 15);
    return { own: user + system, gone: userGone + systemGone };
  } catch {
    return { own: 0, gone: 0 };
  }
}

export function medianOf(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle - 1)] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

/** Of each round, how many times as much as on one shard. */
export function ratiosOf(runs: readonly Run[], shards: number): readonly number[] {
  return runs
    .filter((run) => run.shards === shards)
    .map(({ round, perSecond }) => {
      const one = runs.find((run) => run.round === round && run.shards === 1);
      return perSecond / (one?.perSecond ?? Number.NaN);
    });
}
