/**
 * `npm run bench -- [NAME…] [--rounds N] [--seconds N] [--smoke]`: measures, prints, and keeps what counts in
 * `bench/results/NAME.json` and `docs/benchmarks.md`. `--smoke` runs one short round, unless told of more, to show that
 * all works, and keeps nothing. Nothing else should run on the machine meanwhile.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { root } from "../scripts/source/tree.ts";
import type { Bench } from "./bench.ts";
import { buildPrograms } from "./build.ts";
import { call } from "./call/bench.ts";
import { edge } from "./edge/bench.ts";
import { edgeOn } from "./edge/on.ts";
import { edgeRuntimes } from "./edge/runtimes.ts";
import { events } from "./events/bench.ts";
import { describeMachine } from "./machine.ts";
import { type Result, renderDocument, renderResult } from "./report.ts";

/** In the order of the document. */
const benches: Readonly<Record<string, Bench>> = {
  edge,
  "edge-on": edgeOn,
  "edge-runtimes": edgeRuntimes,
  call,
  events,
};
const documentFile = `${root}docs/benchmarks.md`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string" }, seconds: { type: "string" }, smoke: { type: "boolean", default: false } },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(benches);
  const unknown = names.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined) throw new Error(`there is no bench "${unknown}"; there are ${Object.keys(benches)}`);

  buildPrograms();
  for (const name of names) {
    const bench = benches[name] as Bench;
    const rounds = numberOf("rounds", values.rounds, values.smoke ? 1 : bench.rounds);
    const seconds = numberOf("seconds", values.seconds, values.smoke ? 1 : bench.seconds);
    const measured = await bench.run({ rounds, seconds, say });
    const result: Result = { title: bench.title, machine: describeMachine(), rounds, seconds, ...measured };
    say(`${renderResult(result)}\n`);
    if (!values.smoke) keep(name, result);
  }
}

function keep(name: string, result: Result): void {
  mkdirSync(`${root}bench/results`, { recursive: true });
  writeFileSync(resultFile(name), `${JSON.stringify(result, null, 2)}\n`);
  spawnSync(`${root}node_modules/.bin/biome`, ["format", "--write", resultFile(name)], { cwd: root });
  const kept = Object.keys(benches).filter((each) => existsSync(resultFile(each)));
  const results = kept.map((each) => JSON.parse(readFileSync(resultFile(each), "utf8")) as Result);
  writeFileSync(documentFile, renderDocument(readFileSync(documentFile, "utf8"), results));
}

function resultFile(name: string): string {
  return `${root}bench/results/${name}.json`;
}

function numberOf(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100) throw new Error(`--${name}: write a number from 1 to 100`);
  return value;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
