import { availableParallelism } from "node:os";
import { usualMix } from "../../examples/shop/traffic/operations.ts";
import type { Bench, BenchOptions } from "../bench.ts";
import { judge, type Wanted } from "../goals.ts";
import { peerVersions } from "../peers.ts";
import type { Program } from "../program.ts";
import { measureInRounds, type Row, type Sample, type Table } from "../rounds.ts";
import { findCapacity, type Trial } from "./capacity.ts";
import { compileShop } from "./compiled.ts";
import { createShopDatabase } from "./database.ts";
import { proveThree } from "./proof.ts";
import { startShop, startShopApart } from "./shop-stage.ts";
import {
  type Attempts,
  type Stage,
  startFastifyThree,
  startNestThree,
  startPlinthThree,
  startPlinthThreeApart,
  startTraffic,
  stopStage,
} from "./stage.ts";

/** The shop under its own traffic, and three of its services as others would write them. */
const customers = 300;
const warmSeconds = 1.5;
/** Of the mix, without what writes. */
const reads = { browse: usualMix.browse, view: usualMix.view, cart: usualMix.cart, currency: usualMix.currency };
/** What all of the three-service candidates can do. */
const commonRate = 2000;
/** A single round shows that all works, on a machine that may be busy. */
const smokeRate = 150;

const threes: Readonly<Record<string, () => Promise<Stage>>> = {
  "NestJS, TCP": startNestThree,
  "Fastify, HTTP": startFastifyThree,
  "Plinth, four processes": startPlinthThreeApart,
  "Plinth, one process": startPlinthThree,
};

export const shop: Bench = {
  title: "The shop",
  rounds: 3,
  seconds: 2,
  async run(options) {
    const server = process.env.PLINTH_TEST_POSTGRES_URL;
    if (!server)
      throw new Error('shop: set PLINTH_TEST_POSTGRES_URL; eval "$(scripts/engines.sh up postgres)" does it');
    const tables = [...(await measureThrees(options)), await measureShop(server, options)];
    return {
      tables,
      conditions: { customers, ...peerVersions("@nestjs/core", "fastify") },
      notes: [
        "CPU µs each are those of all processes but the load's, Postgres' included; divided by 1,000, CPU-seconds for 1,000 requests.",
      ],
    };
  },
};

async function measureThrees({ rounds, seconds, say }: BenchOptions): Promise<Table[]> {
  const rate = rounds > 1 ? commonRate : smokeRate;
  const running = new Map<string, { readonly stage: Stage; readonly traffic: Attempts }>();
  const fallback = await threes["Plinth, one process"]?.();
  if (!fallback) throw new Error("there is always Plinth");
  try {
    const tokens = await tokensOf(fallback);
    const plan = { tokens, shares: usualMix, isSlice: true, warmSeconds, seconds };
    for (const [name, start] of Object.entries(threes)) {
      const stage = name === "Plinth, one process" ? fallback : await start();
      await proveThree(name, stage.origins, tokens);
      running.set(name, { stage, traffic: await startTraffic(stage, plan) });
    }
    const attempt = async (name: string, rate: number): Promise<Trial> => {
      const candidate = running.get(name);
      if (!candidate) throw new Error(`there is no candidate "${name}"`);
      return candidate.traffic.attempt(rate);
    };
    say(`shop: three services, ${rounds} rounds of ${Object.keys(threes).join("; ")} at ${rate}/s`);
    for (const name of Object.keys(threes)) await attempt(name, rate);
    const common = await measureInRounds({
      name: `three services at ${rate}/s`,
      candidates: Object.keys(threes),
      rounds,
      async slice(name) {
        const tell = told(name, say, (each) => attempt(name, each));
        const first = await tell(rate);
        return toSample(first.problem === undefined ? first : await tell(rate));
      },
    });
    const trials = new Map<string, Trial>();
    for (const name of Object.keys(threes)) {
      trials.set(
        name,
        await findCapacity(
          rate,
          availableParallelism(),
          told(name, say, (each) => attempt(name, each)),
        ),
      );
    }
    const highest = toTable("three services, highest rate", trials);
    const wanted = ["NestJS, TCP", "Fastify, HTTP"].map(
      (to): Wanted => ({ candidate: "Plinth, one process", to, by: "perCpu", atLeast: 5 }),
    );
    return [common, judge(highest, wanted)];
  } finally {
    for (const { stage, traffic } of running.values()) await Promise.all([traffic.stop(), stopStage(stage)]);
    await stopStage(fallback);
  }
}

async function measureShop(server: string, { seconds, say }: BenchOptions): Promise<Table> {
  const folder = compileShop();
  const trials = new Map<string, Trial>();
  for (const [name, start] of [
    ["one process", startShop],
    ["four processes", startShopApart],
  ] as const) {
    const database = await createShopDatabase(server);
    const stage = await start(folder, database);
    try {
      await database.fill(customers);
      const tokens = await tokensOf(stage);
      for (const [mix, shares, low] of [
        ["the mix", usualMix, 100],
        ["its reads", reads, 500],
      ] as const) {
        const plan = { tokens, shares, isSlice: false, warmSeconds, seconds };
        const traffic = await startTraffic(stage, plan);
        const label = `${mix}, ${name}`;
        await traffic.attempt(low);
        trials.set(label, await findCapacity(low, availableParallelism(), told(label, say, traffic.attempt)));
        await traffic.stop();
      }
    } finally {
      await stopStage(stage);
      await database.drop();
    }
  }
  const table = toTable("the shop, highest rate", trials);
  const best = trials.get("the mix, one process")?.rate ?? 0;
  const goal = {
    what: "the shop's mix in one process, load on the same cores, p99 under 200 ms, no error",
    wanted: "at least 10,000/s",
    measured: `${Math.round(best).toLocaleString("en")}/s`,
    isReached: best >= 10_000,
  };
  return { ...table, goals: [goal] };
}

async function tokensOf({ programs }: Stage): Promise<readonly string[]> {
  const lists = await Promise.all(
    programs.slice(0, 1).map((each: Program<unknown>) => each.ask<string[]>("tokens", customers)),
  );
  return lists.flat();
}

function told(name: string, say: BenchOptions["say"], attempt: (rate: number) => Promise<Trial>) {
  return async (rate: number): Promise<Trial> => {
    const trial = await attempt(rate);
    const { report, cpuUs, problem } = trial;
    say(
      `shop: ${name} at ${Math.round(trial.rate)}/s: ${problem ?? "holds"}, p50 ${report.all.p50Ms.toFixed(1)} p99 ${report.all.p99Ms.toFixed(0)} ms, ${cpuUs.toFixed(0)} µs each, sender late ${report.lateMs.toFixed(0)} ms`,
    );
    return trial;
  };
}

function toSample({ rate, report, cpuUs, rssMiB, problem }: Trial): Sample {
  if (problem !== undefined) throw new Error(`the rate that all should hold: ${problem}`);
  return { perSecond: rate, p50Ms: report.all.p50Ms, p99Ms: report.all.p99Ms, cpuUs, rssMiB };
}

/** A rate that did not hold is none: it shows as 0. */
function toTable(name: string, trials: ReadonlyMap<string, Trial>): Table {
  const [reference = ""] = trials.keys();
  const rateOf = (each: string): number => {
    const trial = trials.get(each);
    return trial && trial.problem === undefined ? trial.rate : 0;
  };
  const rows = [...trials].map(([candidate, { report, cpuUs, rssMiB }]): Row => {
    const ratio = Number((rateOf(candidate) / rateOf(reference)).toFixed(2));
    return {
      candidate,
      ratio: { median: ratio, min: ratio, max: ratio },
      perSecond: Math.round(rateOf(candidate)),
      p50Ms: report.all.p50Ms,
      p99Ms: report.all.p99Ms,
      cpuUs: Number(cpuUs.toFixed(1)),
      rssMiB: Math.round(rssMiB),
    };
  });
  return { name, reference, rows };
}
