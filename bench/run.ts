/**
 * `npm run bench -- [NAME…] [--rounds N] [--seconds N | --minutes N] [--only CANDIDATE]… [--table TABLE]… [--smoke | --profile [--keep]]`:
 * measures, prints, and keeps what counts in `bench/results/NAME.json` and `docs/benchmarks.md`. `--smoke` runs one short
 * round, unless told of more, to show that all works; `--profile` does the same and tells where each Node program spent its
 * time and memory; `--only` measures some candidates beside the reference, `--table` some tables. None of these keeps
 * anything, but for `--profile --keep`: its summary goes to `bench/results/profiles/NAME.json`, and the document shows it
 * where goals are not reached. `--render` measures nothing and writes the document anew from what is kept. Nothing else
 * should run on the machine meanwhile.
 *
 * `npm run bench:check [NAME…]` measures a little and compares the ratios with those in `bench/results`.
 */
import { parseArgs } from "node:util";
import type { Bench, BenchOptions } from "./bench.ts";
import { buildPrograms } from "./build.ts";
import { call } from "./call/bench.ts";
import { checkBenches } from "./check.ts";
import { edge } from "./edge/bench.ts";
import { edgeOn } from "./edge/on.ts";
import { edgeRuntimes } from "./edge/runtimes.ts";
import { growth } from "./growth/bench.ts";
import { hop } from "./hop/bench.ts";
import { describeMachine } from "./machine.ts";
import { readProfiles, turnOnProfiles } from "./profile.ts";
import { summarize } from "./profile-summary.ts";
import { type Result, renderResult } from "./report.ts";
import { keepProfile, keepResult, readResult, writeDocument } from "./results.ts";
import { shop } from "./shop/bench.ts";
import { soak } from "./soak/bench.ts";
import { start } from "./start/bench.ts";
import { state } from "./state/bench.ts";

/** In the order of the document. */
const benches: Readonly<Record<string, Bench>> = {
  edge,
  "edge-on": edgeOn,
  "edge-runtimes": edgeRuntimes,
  call,
  hop,
  shop,
  state,
  growth,
  soak,
  start,
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      minutes: { type: "string" },
      smoke: { type: "boolean", default: false },
      only: { type: "string", multiple: true },
      table: { type: "string", multiple: true },
      profile: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      render: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined) throw new Error(`there is no bench "${unknown}"; there are ${Object.keys(benches)}`);
  const names = positionals.length > 0 ? positionals : Object.keys(benches);
  if (values.render) return writeDocument(Object.keys(benches));
  if (values.keep && !values.profile) throw new Error("--keep is for --profile; what is measured is kept by itself");

  const isShort = values.smoke || values.profile;
  buildPrograms();
  if (values.check) {
    const checking = { benches, read: readResult, measure: runBench, say, elapsedMs: () => performance.now() };
    process.exitCode = await checkBenches(names, checking);
    return;
  }
  for (const name of names) {
    const bench = benches[name] as Bench;
    const rounds = numberOf("rounds", values.rounds, isShort ? 1 : bench.rounds);
    const seconds =
      values.minutes !== undefined
        ? numberOf("minutes", values.minutes, 1) * 60
        : numberOf("seconds", values.seconds, isShort ? 1 : bench.seconds);
    const options = { rounds, seconds, only: values.only, tables: values.table, say };
    if (values.profile) await profileBench(name, options, values.keep);
    else {
      const result = await runBench(bench, options);
      if (isShort || values.only || values.table) continue;
      keepResult(name, result);
      writeDocument(Object.keys(benches));
    }
  }
}

async function runBench(bench: Bench, options: BenchOptions): Promise<Result> {
  const { rounds, seconds } = options;
  const measured = await bench.run(options);
  const result: Result = { title: bench.title, machine: describeMachine(), rounds, seconds, ...measured };
  say(`${renderResult(result)}\n`);
  return result;
}

async function profileBench(name: string, options: BenchOptions, keeps: boolean): Promise<void> {
  turnOnProfiles(name);
  try {
    await runBench(benches[name] as Bench, options);
  } finally {
    // Also of a run that fails: why it was slow may be why.
    for (const { text } of readProfiles(name)) say(text);
  }
  if (!keeps) return;
  const words = process.argv.slice(2).map((each) => (/[ ,]/.test(each) ? JSON.stringify(each) : each));
  keepProfile(name, summarize(readProfiles(name), describeMachine(), `npm run bench -- ${words.join(" ")}`));
  writeDocument(Object.keys(benches));
}

function numberOf(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100) throw new Error(`--${name}: write a number from 1 to 100`);
  return value;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
