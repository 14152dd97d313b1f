import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Bench } from "../bench.ts";
import type { Goal } from "../goals.ts";
import { type Program, startProgram } from "../program.ts";
import type { Week } from "./clients.ts";
import { judgeMemory, type Taken } from "./judge.ts";
import type { MemorySample } from "./plinth.ts";

/**
 * Whether a process that has run for long has grown: a week's shape of load (days, nights, bursts, a weekend, clients that
 * are started anew, slow ones, wrong ones) in as many seconds as are given. It says nothing of speed. `--only leaking` is
 * the control: the same with a leak on purpose (`leak.ts`), which has to be found.
 */
const ratePerSecond = 40;
const samplesAbout = 120;

/** Connections to the database and timers that a process has opened since it began, and keeps for a while. */
const handlesMore = 20;

export const soak: Bench = {
  title: "Soak",
  rounds: 1,
  seconds: 1200,
  async run({ seconds, only, say }) {
    const leaks = only?.includes("leaking") ?? false;
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
      const options = { core: 0, command, environment, args: [url.href, ...(leaks ? ["leaking"] : [])] };
      const shop = await startProgram<{ url: string }>("soak/plinth", options);
      programs.push(shop);
      const args = [shop.facts.url, String(seconds), String(ratePerSecond)];
      const clients = await startProgram("soak/clients", { core: 1, args });
      programs.push(clients);
      say(`soak: a week in ${seconds} s${leaks ? ", with a leak on purpose" : ""}`);
      const { samples, week } = await watch(shop, clients, seconds);
      const { counts, unexpected } = week;
      assert.deepEqual(unexpected, {}, "some requests were answered otherwise than they should have been");
      const kept = await settled(shop);
      const { handles } = await shop.ask<MemorySample>("sample");
      const results = judgeMemory(samples, seconds);
      const nursery = samples.map(({ sample }) => sample.nurseryMiB);
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
        conditions: {
          samples: samples.length,
          requestsPerSecond: ratePerSecond,
          ordersAndEntries: kept,
          nurseryMiB: `${Math.min(...nursery).toFixed(1)} to ${Math.max(...nursery).toFixed(1)}`,
        },
        notes: [
          "growth is that along the line of least squares through the second half of the samples, each after a full collection that compacts, without what follows the wave of a day and the weekend; the interval allows for samples that are like the one before",
          "resident memory is without V8's nursery, which follows the traffic within bounds of its own: it is large by day and is given back by night",
        ],
      };
    } finally {
      await Promise.all(programs.map((program) => program.stop()));
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    }
  },
};

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
