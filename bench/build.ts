import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { root } from "../scripts/source/tree.ts";

/** Where everything goes that a run makes and nobody keeps. Git ignores it. */
export const workFolder = `${root}.plinth/bench`;

/**
 * Builds what is measured: Plinth as it is published, and the programs of this folder as plain JavaScript beside it. A
 * loader that compiles while the program runs, as tests use, leaves traces in the code and would be measured too. Types are
 * not checked here: `npm test` does that.
 */
export function buildPrograms(): void {
  rmSync(workFolder, { recursive: true, force: true });
  const plinth = `${workFolder}/node_modules/plinth`;
  mkdirSync(plinth, { recursive: true });
  // A package of its own: inside ours, "plinth" would be this folder's and not the built one.
  writeFileSync(`${workFolder}/package.json`, '{ "private": true, "type": "module" }\n');
  copyFileSync(`${root}package.json`, `${plinth}/package.json`);
  compile(["-p", "tsconfig.build.json", "--outDir", `${plinth}/dist`, "--declaration", "false", "--noCheck"]);
  compile(["-p", "bench/tsconfig.programs.json"]);
}

/** The file of a program: `programFile("edge/raw")`. */
export function programFile(name: string): string {
  return `${workFolder}/programs/${name}.js`;
}

function compile(args: readonly string[]): void {
  const { status, stdout } = spawnSync(`${root}node_modules/.bin/tsc`, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`what is to be measured does not compile:\n${stdout}`);
}
