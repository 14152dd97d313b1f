import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { bundle } from "../scripts/bundle.ts";
import { root } from "../scripts/source/tree.ts";

const runsFolder = `${root}.plinth/bench`;

/** Where everything goes that this run makes and nobody keeps; a folder of its own for each run. Git ignores it. */
export const workFolder = `${runsFolder}/run-${process.pid}`;

/** What the peers come with, whether or not it is there already. */
export const peersFolder = `${root}bench/peers`;

/**
 * Builds what is measured: Plinth as it is published, and the programs of this folder as plain JavaScript beside it. A
 * loader that compiles while the program runs, as tests use, leaves traces in the code and would be measured too. Types are
 * not checked here: `npm test` does that, and `npx tsc -p bench/peers` for the peers.
 */
export function buildPrograms(): void {
  removeOld();
  removeAtEnd();
  const plinth = `${workFolder}/node_modules/plinth`;
  mkdirSync(plinth, { recursive: true });
  // A package of its own: inside ours, "plinth" would be this folder's and not the built one.
  writeFileSync(`${workFolder}/package.json`, '{ "private": true, "type": "module" }\n');
  copyFileSync(`${root}package.json`, `${plinth}/package.json`);
  compile(["-p", "tsconfig.build.json", "--outDir", `${plinth}/dist`, "--declaration", "false", "--noCheck"]);
  const problem = bundle(`${plinth}/dist`);
  if (problem !== undefined) throw new Error(problem);
  compile(["-p", "bench/tsconfig.programs.json", "--outDir", `${workFolder}/programs`]);
  // Peers find their own packages, everything else ours.
  mkdirSync(`${workFolder}/programs/peers`, { recursive: true });
  symlinkSync(`${peersFolder}/node_modules`, `${workFolder}/programs/peers/node_modules`);
}

/** The file of a program: `programFile("edge/raw")`, `programFile("peers/edge/koa")`. */
export function programFile(name: string): string {
  const file = ["js", "mjs"].map((end) => `${workFolder}/programs/${name}.${end}`).find((each) => existsSync(each));
  if (file === undefined) throw new Error(`there is no program bench/${name}.ts`);
  return file;
}

/** Of runs that were killed, so that they could not clean up after themselves. */
function removeOld(): void {
  mkdirSync(runsFolder, { recursive: true });
  for (const name of readdirSync(runsFolder)) {
    if (!isAlive(Number(/^run-(\d+)$/.exec(name)?.[1])))
      rmSync(`${runsFolder}/${name}`, { recursive: true, force: true });
  }
  rmSync(workFolder, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    return Number.isInteger(pid) && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function removeAtEnd(): void {
  process.once("exit", () => rmSync(workFolder, { recursive: true, force: true }));
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
}

function compile(args: readonly string[]): void {
  const { status, stdout } = spawnSync(`${root}node_modules/.bin/tsc`, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`what is to be measured does not compile:\n${stdout}`);
}
