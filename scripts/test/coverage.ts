import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mask } from "../source/mask.ts";
import { isProduct, roomOf } from "../source/rooms.ts";
import { root, type Tree } from "../source/tree.ts";

export const linesPercentMin = 95;

export interface Coverage {
  readonly percent: number;
  readonly byRoom: readonly { readonly room: string; readonly percent: number }[];
  /** Files below the threshold, the emptiest first. */
  readonly below: readonly { readonly path: string; readonly percent: number }[];
}

interface Lines {
  readonly total: number;
  readonly covered: number;
}

/** The share of lines of `src/` that ran, files that nothing loaded included. Undefined when it could not be measured. */
export function measureCoverage(tree: Tree, dataFolder: string): Coverage | undefined {
  const paths = [...tree.keys()].filter((path) => isProduct(path) && !isTypeOnly(tree.get(path) as string));
  const report = spawnSync(
    process.execPath,
    [
      "--max-old-space-size=3072",
      `${root}node_modules/c8/bin/c8.js`,
      "report",
      "--all",
      "--src=src",
      "--include=src/**/*.ts",
      "--exclude=**/*.test.ts",
      "--exclude=**/*.test-d.ts",
      "--exclude=**/*.gen.ts",
      `--temp-directory=${dataFolder}`,
      `--reports-dir=${root}coverage`,
      "--reporter=json-summary",
      "--reporter=lcovonly",
    ],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  );
  if (report.status !== 0) return undefined;
  const summary = JSON.parse(readFileSync(`${root}coverage/coverage-summary.json`, "utf8")) as Record<
    string,
    { lines: Lines }
  >;
  const files = paths.map((path) => ({ path, lines: summary[root + path]?.lines ?? { total: 1, covered: 0 } }));
  return summarise(files);
}

function summarise(files: readonly { path: string; lines: Lines }[]): Coverage {
  const byRoom = new Map<string, Lines[]>();
  for (const { path, lines } of files) {
    const room = roomOf(path) ?? "the doors";
    byRoom.set(room, [...(byRoom.get(room) ?? []), lines]);
  }
  return {
    percent: percentOf(files.map((file) => file.lines)),
    byRoom: [...byRoom]
      .map(([room, lines]) => ({ room, percent: percentOf(lines) }))
      .sort((a, b) => (a.room < b.room ? -1 : 1)),
    below: files
      .map(({ path, lines }) => ({ path, percent: percentOf([lines]) }))
      .filter(({ percent }) => percent < linesPercentMin)
      .sort((a, b) => a.percent - b.percent),
  };
}

function percentOf(all: readonly Lines[]): number {
  const total = all.reduce((sum, lines) => sum + lines.total, 0);
  const covered = all.reduce((sum, lines) => sum + lines.covered, 0);
  return total === 0 ? 100 : (100 * covered) / total;
}

/** Nothing of it is left at run time, so nothing of it can run. Formatted code: a statement begins at the line's start. */
export function isTypeOnly(text: string): boolean {
  return mask(text)
    .code.split("\n")
    .every((line) => /^(?:$|\s|[})\]|&]|(?:import|export) type\b|(?:export )?(?:interface|type|declare) )/.test(line));
}
