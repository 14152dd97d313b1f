import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { StartError } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { exitCodes } from "../lifecycle/index.ts";
import { nodeFlags } from "./child.ts";
import { environmentOf } from "./environment.ts";
import type { Terminal } from "./terminal.ts";

const registration = new URL("../../bin/register.js", import.meta.url).href;

/** Runs tests with node:test in processes of their own; 1 when one fails. `flags` are for node. */
export async function runTests(
  places: readonly string[],
  flags: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  const files = places.length === 0 ? findTests(terminal.cwd) : places.flatMap((place) => testsAt(terminal.cwd, place));
  if (files.length === 0) {
    throw new StartError(
      "TESTS_ABSENT",
      `There is no test in ${terminal.cwd}; write one into a file that ends with .test.ts, such as app.test.ts.`,
    );
  }
  const child = spawn(process.execPath, [...nodeFlags(), "--import", registration, "--test", ...flags, ...files], {
    cwd: terminal.cwd,
    env: { NODE_ENV: "test", ...environmentOf(terminal), NODE_TEST_CONTEXT: undefined },
    stdio: "inherit",
  });
  const code = await new Promise<number | null>((done, failed) => {
    child.once("error", failed);
    child.once("close", done);
  });
  return code === 0 ? exitCodes.ok : exitCodes.failed;
}

function testsAt(cwd: string, place: string): readonly string[] {
  const path = resolve(cwd, place);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new StartError("TESTS_ABSENT", `${place}: there is no such file or folder in ${cwd}.`);
  return found.isDirectory() ? findTests(path) : [path];
}

/** Every test file in a folder and below, in order; packages, built files and hidden folders left out. */
export function findTests(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return /^(?:\..*|node_modules|dist|coverage)$/.test(entry.name) ? [] : findTests(path);
      return /\.test\.[mc]?[jt]s$/.test(entry.name) ? [path] : [];
    });
}
