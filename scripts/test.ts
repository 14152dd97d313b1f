/**
 * `npm test`: everything that must hold, in the order in which a failure is cheapest to find. Format and lint, types,
 * every test, coverage. With paths it does the same for a part: `npm test -- src/schema`.
 *
 * The last line is always `N passed, N failed, N skipped`, and the exit code is 0 only without a failure.
 */
import { spawnSync } from "node:child_process";
import { readTree, root, type Tree } from "./source/tree.ts";
import { type Coverage, linesPercentMin, measureCoverage } from "./test/coverage.ts";
import { describeEngines } from "./test/engines.ts";
import { isUnder, kindOf, testFiles, typeClaims } from "./test/files.ts";
import { type FileResult, runFiles } from "./test/run.ts";

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
const byKind = new Map<string, Tally>();
const times: string[] = [];

function count(kind: string, outcome: keyof Tally, number = 1): void {
  const own = byKind.get(kind) ?? { passed: 0, failed: 0, skipped: 0 };
  byKind.set(kind, own);
  own[outcome] += number;
  tally[outcome] += number;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function step(name: string, run: () => Promise<void> | void): Promise<void> {
  say(`\n== ${name}`);
  const startedAt = performance.now();
  await run();
  times.push(`${name} ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

function tool(name: string, args: readonly string[]): { ok: boolean; output: string } {
  const result = spawnSync(`${root}node_modules/.bin/${name}`, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  return { ok: result.status === 0, output: `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}` };
}

function lint(parts: readonly string[]): void {
  const { ok, output } = tool("biome", [
    "check",
    "--error-on-warnings",
    "--max-diagnostics=20",
    ...(parts.length > 0 ? parts : ["."]),
  ]);
  say(ok ? "format and lint: clean" : output);
  count("format and lint", ok ? "passed" : "failed");
}

function types(tree: Tree, parts: readonly string[]): void {
  const { ok, output } = tool("tsc", ["-p", "tsconfig.json", "--pretty", "false"]);
  const all = output.split("\n").filter((line) => /\berror TS/.test(line));
  const mine = all.filter((line) => parts.length === 0 || parts.some((part) => line.startsWith(part)));
  const fine = ok || (parts.length > 0 && all.length > 0 && mine.length === 0);
  if (mine.length > 0) say(mine.join("\n"));
  else say(fine ? `types: clean${all.length > 0 ? `, with ${all.length} errors outside these paths` : ""}` : output);
  count("types", fine ? "passed" : "failed");
  if (parts.length > 0) return;
  const broken = all.filter((line) => /\.test-d\.ts\(/.test(line)).length;
  count("type", "failed", broken);
  count("type", "passed", Math.max(0, typeClaims(tree) - broken));
}

async function tests(paths: readonly string[], folder: string): Promise<void> {
  const results = await runFiles(paths, folder, (result) => {
    const failed = result.tests.filter((test) => test.outcome === "failed").length;
    say(
      `${failed > 0 ? "FAIL" : "ok  "} ${result.path}  ${result.tests.length} tests  ${(result.ms / 1000).toFixed(1)} s`,
    );
    for (const test of result.tests) count(kindOf(result.path), test.outcome);
  });
  if (paths.length === 0) say("no test files here");
  explainFailures(results);
  explainSkips(results);
}

function explainFailures(results: readonly FileResult[]): void {
  for (const { path, tests: list, output } of results) {
    const failed = list.filter((test) => test.outcome === "failed");
    for (const test of failed) say(`\nFAILED ${path}: ${test.name}\n${indent(test.why ?? "")}`);
    if (failed.length > 0 && output.trim() !== "") say(`\nwhat ${path} wrote:\n${indent(output.slice(-4000))}`);
  }
}

/** Skipped tests by their reason, so that none is forgotten. */
function explainSkips(results: readonly FileResult[]): void {
  const reasons = new Map<string, number>();
  for (const { path, tests: list } of results) {
    for (const test of list) {
      if (test.outcome !== "skipped") continue;
      const reason = test.why ?? `no reason given, ${path}: ${test.name}`;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  for (const [reason, number] of reasons) say(`skipped ${number}: ${reason}`);
}

function coverage(tree: Tree, folder: string): void {
  const measured = measureCoverage(tree, `${folder}/v8`);
  if (measured) sayCoverage(measured);
  else say("coverage could not be measured");
  count("coverage", measured && measured.percent >= linesPercentMin ? "passed" : "failed");
}

function sayCoverage({ percent, byRoom, below }: Coverage): void {
  for (const { room, percent: own } of byRoom) say(`${own.toFixed(1).padStart(6)} %  ${room}`);
  for (const file of below.slice(0, 40))
    say(`        below ${linesPercentMin} %: ${file.path} ${file.percent.toFixed(1)} %`);
  say(`lines of src/ that ran: ${percent.toFixed(2)} %, at least ${linesPercentMin} % are needed`);
}

function indent(text: string): string {
  return text.replace(/^/gm, "    ");
}

async function main(): Promise<void> {
  const parts = process.argv.slice(2).map((part) => part.replace(/^\.\//, "").replace(/\/$/, ""));
  const tree = readTree();
  const folder = `${root}coverage`;
  const unknown = parts.find((part) => ![...tree.keys()].some((path) => isUnder(path, part)));
  if (unknown) throw new Error(`there is nothing at ${unknown}`);

  await step("format and lint", () => lint(parts));
  await step("types", () => types(tree, parts));
  await step("tests", () => tests(testFiles(tree, parts), folder));
  if (parts.length === 0) await step("coverage", () => coverage(tree, folder));

  say("\n== summary");
  for (const line of describeEngines(tree, process.env)) say(line);
  for (const [kind, { passed, failed, skipped }] of byKind) {
    say(
      `${kind.padEnd(16)} ${passed} passed${failed ? `, ${failed} failed` : ""}${skipped ? `, ${skipped} skipped` : ""}`,
    );
  }
  say(times.join(", "));
  say(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
  process.exitCode = tally.failed > 0 ? 1 : 0;
}

await main();
