import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Bench } from "../bench.ts";
import type { Goal } from "../goals.ts";
import { type Program, startProgram } from "../program.ts";
import type { Week } from "./clients.ts";
import type { MemorySample } from "./plinth.ts";
import { type Point, trendOf } from "./trend.ts";

/**
 * Whether a process that has run for long has grown: a week's shape of load (days, nights, bursts, a weekend, clients that
 * are started anew, slow ones, wrong ones) in as many seconds as are given. It says nothing of speed.
 */
const ratePerSecond = 40;
const samplesAbout = 120;

type Measure = Exclude<keyof MemorySample, "handles">;
/** Connections to the database and timers that a process has opened since it began, and keeps for a while. */
const handlesMore = 20;
/** Growth over the second half at most, at the upper end of its 95 % interval. */
const bounds: Readonly<Record<Measure, (mean: number) => number>> = {
  heapMiB: (mean) => mean * 0.05,
  externalMiB: () => 1,
  rssMiB: (mean) => mean * 0.05,
};
const names: Readonly<Record<Measure, string>> = {
  heapMiB: "heap after collection, MiB",
  externalMiB: "outside of the heap, MiB",
  rssMiB: "resident, MiB",
};

export const soak: Bench = {
  title: "Soak",
  rounds: 1,
  seconds: 1200,
  async run({ seconds, say }) {
    const server = process.env.PLINTH_TEST_POSTGRES_URL;
    if (!server)
      throw new Error('soak: set PLINTH_TEST_POSTGRES_URL; eval "$(scripts/engines.sh up postgres)" does it');
    const admin = new pg.Client(server);
    await admin.connect();
    const name = `plinth_bench_${randomBytes(4).toString("hex")}`;
    await admin.query(`create database ${name}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    const programs: Program<unknown>[] = [];
    try {
      const command = [process.execPath, "--expose-gc"];
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const environment = { PLINTH_TOKEN_KEY: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
      const options = { core: 0, command, environment, args: [url.href] };
      const shop = await startProgram<{ url: string }>("soak/plinth", options);
      programs.push(shop);
      const args = [shop.facts.url, String(seconds), String(ratePerSecond)];
      const clients = await startProgram("soak/clients", { core: 1, args });
      programs.push(clients);
      say(`soak: a week in ${seconds} s`);
      const { samples, week } = await watch(shop, clients, seconds);
      const { counts, unexpected } = week;
      assert.deepEqual(unexpected, {}, "some requests were answered otherwise than they should have been");
      const kept = await settled(shop);
      const { handles } = await shop.ask<MemorySample>("sample");
      const half = samples.slice(Math.floor(samples.length / 2));
      const results = (Object.keys(bounds) as Measure[]).map((measure) => judgeMeasure(measure, samples, half));
      return {
        tables: [],
        sheets: [
          {
            columns: ["second half of the week", "first sample of all", "mean", "growth", "95 % interval", "at most"],
            rows: results.map(({ row }) => row),
          },
          { columns: ["what clients did", "how often"], rows: Object.entries(counts) },
        ],
        goals: [...results.map(({ goal }) => goal), judgeHandles(samples[0]?.sample.handles ?? 0, handles)],
        conditions: { samples: samples.length, requestsPerSecond: ratePerSecond, ordersAndEntries: kept },
        notes: [
          "growth is that along the line of least squares through the second half of the samples, each after a full collection; the interval allows for samples that are like the one before",
        ],
      };
    } finally {
      await Promise.all(programs.map((program) => program.stop()));
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    }
  },
};

interface Taken {
  readonly at: number;
  readonly sample: MemorySample;
}

/** Samples until the week is over. */
async function watch(shop: Program<unknown>, clients: Program<unknown>, seconds: number) {
  const samples: Taken[] = [];
  const startedAt = performance.now();
  await clients.ask("begin");
  for (;;) {
    await sleep((seconds / samplesAbout) * 1000);
    const at = (performance.now() - startedAt) / 1000;
    assert.ok(at < seconds + 60, "the clients do not come to an end");
    const week = await clients.ask<Week | null>("result");
    if (week) return { samples, week };
    samples.push({ at, sample: await shop.ask<MemorySample>("sample") });
  }
}

/** Every order has its entry, once all events have arrived. */
async function settled(shop: Program<unknown>): Promise<number> {
  let counts = { orders: 0, entries: -1 };
  for (let i = 0; i < 50 && counts.orders !== counts.entries; i++) {
    await sleep(200);
    counts = await shop.ask<typeof counts>("counts");
  }
  assert.ok(counts.orders > 0, "nothing was ordered");
  assert.equal(counts.entries, counts.orders, "an event was lost");
  return counts.orders;
}

function judgeHandles(first: number, last: number): Goal {
  const atMost = first + handlesMore;
  return {
    what: "handles (sockets, timers, requests that run), once all clients are gone",
    wanted: `at most ${atMost}, ${handlesMore} more than in the first minute`,
    measured: String(last),
    isReached: last <= atMost,
  };
}

function judgeMeasure(measure: Measure, all: readonly Taken[], half: readonly Taken[]) {
  const points: Point[] = half.map(({ at, sample }) => ({ at, value: sample[measure] }));
  const { mean, growth, low, high } = trendOf(points);
  const bound = bounds[measure](mean);
  const text = (value: number) => value.toFixed(2);
  const first = all[0]?.sample[measure] ?? Number.NaN;
  const goal: Goal = {
    what: `${names[measure]}, growth over the second half`,
    wanted: `at most ${text(bound)}`,
    measured: `${text(growth)} (${text(low)} to ${text(high)})`,
    isReached: high <= bound,
  };
  const row = [names[measure], text(first), text(mean), text(growth), `${text(low)} to ${text(high)}`, text(bound)];
  return { goal, row };
}
