import { type ChildProcess, spawn } from "node:child_process";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launcher } from "./child.ts";

/** The command as a process of its own, with what it writes. */
export interface Process {
  readonly child: ChildProcess;
  /** Everything so far, both streams. */
  text(): string;
  /** Waits for text that matches, and gives the match. */
  find(pattern: RegExp): Promise<RegExpExecArray>;
  end(signal?: NodeJS.Signals): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

export interface ProcessOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

const waitMsMax = 60_000;
const running = new Set<ChildProcess>();
// A test that failed leaves nothing behind.
after(() => {
  for (const child of running) child.kill("SIGKILL");
});

export function startProcess(line: readonly string[], { cwd, environment = {} }: ProcessOptions): Process {
  const { PATH, HOME, NODE_V8_COVERAGE } = process.env;
  const child = spawn(process.execPath, [launcher, ...line], {
    cwd,
    env: { PATH, HOME, NODE_V8_COVERAGE, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let isOver = false;
  void ended.then(() => {
    isOver = true;
    running.delete(child);
  });
  return {
    child,
    ended,
    text: () => text,
    async find(pattern) {
      for (let waited = 0; waited < waitMsMax; waited += 20) {
        const match = pattern.exec(text);
        if (match) return match;
        if (isOver) break;
        await sleep(20);
      }
      throw new Error(`${pattern} did not come; there was:\n${text}`);
    },
    end(signal = "SIGTERM") {
      child.kill(signal);
      return ended;
    },
  };
}
