import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { root } from "../scripts/source/tree.ts";
import type { ProfileSummary } from "./profile-summary.ts";
import { type Result, renderDocument } from "./report.ts";
import { parseWhys, type Whys } from "./whys.ts";

/**
 * What is committed: a file for each bench, why its goals are not reached where some are not, a summary of its profile where
 * one is kept, and the document of all.
 */
const documentFile = `${root}docs/benchmarks.md`;
const resultFile = (name: string) => `${root}bench/results/${name}.json`;
const whysFile = (name: string) => `${root}bench/results/${name}.whys.md`;
const profileFile = (name: string) => `${root}bench/results/profiles/${name}.json`;

export function readResult(name: string): Result | undefined {
  return readJson<Result>(resultFile(name));
}

export function readWhys(name: string): Whys | undefined {
  const file = whysFile(name);
  return existsSync(file) ? parseWhys(readFileSync(file, "utf8")) : undefined;
}

export function keepResult(name: string, result: Result): void {
  writeJson(resultFile(name), result);
}

export function keepProfile(name: string, summary: ProfileSummary): void {
  writeJson(profileFile(name), summary);
}

/** `names`: in the order of the document. */
export function writeDocument(names: readonly string[]): void {
  const kept = names.flatMap((name) => {
    const result = readResult(name);
    const profile = readJson<ProfileSummary>(profileFile(name));
    return result ? [{ result, whys: readWhys(name), profile }] : [];
  });
  writeFileSync(documentFile, renderDocument(readFileSync(documentFile, "utf8"), kept));
}

function readJson<Value>(file: string): Value | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Value) : undefined;
}

function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
  spawnSync(`${root}node_modules/.bin/biome`, ["format", "--write", file], { cwd: root });
}
