import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Environment } from "../config/index.ts";
import { parentVariable } from "./parent.ts";
import type { Screen } from "./terminal.ts";

/** The launcher, seen from the source and from what is built. */
export const launcher = fileURLToPath(new URL("../../bin/plinth.js", import.meta.url));

/** Node's own flags for another process of this command: all but those of a test run. */
export function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => !flag.startsWith("--test"));
}

export interface ChildOptions {
  readonly cwd: string;
  readonly environment: Environment;
  /** Stands before each line that it writes; without it, it writes to where this process does. */
  readonly prefix?: string;
  readonly terminal: { readonly out: Screen; readonly err: Screen };
}

/**
 * Another `plinth` on this machine, with a channel to this one. It has a process group of its own, so that Ctrl-C
 * reaches it through its supervisor alone, and once.
 */
export function spawnPlinth(line: readonly string[], options: ChildOptions): ChildProcess {
  const { prefix, terminal } = options;
  const output = prefix === undefined ? "inherit" : "pipe";
  const child = spawn(process.execPath, [...nodeFlags(), launcher, ...line], {
    cwd: options.cwd,
    env: { ...options.environment, [parentVariable]: "1" },
    stdio: ["ignore", output, output, "ipc"],
    detached: true,
  });
  if (prefix !== undefined) {
    child.stdout?.setEncoding("utf8").on("data", byLine(prefix, terminal.out));
    child.stderr?.setEncoding("utf8").on("data", byLine(prefix, terminal.err));
  }
  return child;
}

/** Longest line that is held back until its end comes. */
const lineLengthMax = 64 * 1024;

/** Puts whole lines out, so that those of several processes do not mix. */
export function byLine(prefix: string, screen: Screen): (chunk: string) => void {
  let held = "";
  return (chunk) => {
    const lines = (held + chunk).split("\n");
    held = lines.pop() ?? "";
    if (held.length > lineLengthMax) {
      lines.push(held);
      held = "";
    }
    if (lines.length > 0) screen.write(lines.map((line) => `${prefix}${line}\n`).join(""));
  };
}
