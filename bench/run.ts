/**
 * `npm run bench -- [NAME…] [--rounds N] [--seconds N | --minutes N] [--only CANDIDATE]… [--smoke | --profile]`: measures, prints, and
 * keeps what counts in `bench/results/NAME.json` and `docs/benchmarks.md`. `--smoke` runs one short round, unless told of
 * more, to show that all works; `--profile` does the same and tells where each Node program spent its time and memory;
 * `--only` measures some candidates beside the reference. None of these keeps anything. `--render` measures nothing and
 * writes the document anew from what is kept. Nothing else should run on the machine meanwhile.
 *
 * `npm run bench:check [NAME…]` measures a little and compares the ratios with those in `bench/results`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { root } from "../scripts/source/tree.ts";
import type { Bench, BenchOptions } from "./bench.ts";
import { buildPrograms } from "./build.ts";
import { call } from "./call/bench.ts";
import { compareResults, type Move, renderMove } from "./check.ts";
import { edge } from "./edge/bench.ts";
import { edgeOn } from "./edge/on.ts";
import { edgeRuntimes } from "./edge/runtimes.ts";
import { growth } from "./growth/bench.ts";
import { hop } from "./hop/bench.ts";
import { describeMachine } from "./machine.ts";
import { renderProfiles, turnOnProfiles } from "./profile.ts";
import { type Result, renderDocument, renderResult } from "./report.ts";
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
const documentFile = `${root}docs/benchmarks.md`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      minutes: { type: "string" },
      smoke: { type: "boolean", default: false },
      only: { type: "string", multiple: true },
      profile: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      render: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined) throw new Error(`there is no bench "${unknown}"; there are ${Object.keys(benches)}`);
  const names = positionals.length > 0 ? positionals : Object.keys(benches);
  if (values.check) return check(names);
  if (values.render) return writeDocument();

  const isShort = values.smoke || values.profile;
  buildPrograms();
  // Also of a run that fails: why it was slow may be why.
  if (values.profile) {
    turnOnProfiles();
    process.once("exit", () => say(renderProfiles().join("\n")));
  }
  for (const name of names) {
    const bench = benches[name] as Bench;
    const rounds = numberOf("rounds", values.rounds, isShort ? 1 : bench.rounds);
    const seconds =
      values.minutes !== undefined
        ? numberOf("minutes", values.minutes, 1) * 60
        : numberOf("seconds", values.seconds, isShort ? 1 : bench.seconds);
    const result = await runBench(bench, { rounds, seconds, only: values.only, say });
    if (!isShort && !values.only) keep(name, result);
  }
}

async function runBench(bench: Bench, options: BenchOptions): Promise<Result> {
  const { rounds, seconds } = options;
  const measured = await bench.run(options);
  const result: Result = { title: bench.title, machine: describeMachine(), rounds, seconds, ...measured };
  say(`${renderResult(result)}\n`);
  return result;
}

/** A short run of some, beside what is committed. Exit code 1: something fell. */
async function check(names: readonly string[]): Promise<void> {
  buildPrograms();
  const moves: Move[] = [];
  for (const name of names) {
    const bench = benches[name] as Bench;
    if (!bench.check || !existsSync(resultFile(name))) continue;
    const now = await runBench(bench, { ...bench.check, say });
    moves.push(...compareResults(name, readResult(name), now));
  }
  say(moves.map(renderMove).join("\n"));
  const fallen = moves.filter(({ kind }) => kind === "fell").length;
  say(`\n${moves.length} ratios compared with bench/results: ${fallen} fell below their lowest round`);
  if (fallen > 0 || moves.length === 0) process.exitCode = 1;
}

function keep(name: string, result: Result): void {
  mkdirSync(`${root}bench/results`, { recursive: true });
  writeFileSync(resultFile(name), `${JSON.stringify(result, null, 2)}\n`);
  spawnSync(`${root}node_modules/.bin/biome`, ["format", "--write", resultFile(name)], { cwd: root });
  writeDocument();
}

function writeDocument(): void {
  const kept = Object.keys(benches).filter((each) => existsSync(resultFile(each)));
  const results = kept.map(readResult);
  writeFileSync(documentFile, renderDocument(readFileSync(documentFile, "utf8"), results));
}

function readResult(name: string): Result {
  return JSON.parse(readFileSync(resultFile(name), "utf8")) as Result;
}

function resultFile(name: string): string {
  return `${root}bench/results/${name}.json`;
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
