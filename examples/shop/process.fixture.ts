import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** A program that a test has started, and ends. */
export interface Program {
  /** What it has written so far. */
  output(): string;
  /** Resolves with the first match in its output. Throws with all of it when the program ends before, and after 60 s. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** How it ended: a code, or a signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Asks it to leave, and waits until it has. */
  stop(): Promise<void>;
}

export interface ProgramOptions {
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
}

const command = fileURLToPath(new URL("./bin/plinth.js", import.meta.resolve("plinth/package.json")));
const appFile = fileURLToPath(new URL("./app.ts", import.meta.url));

/** A command of `plinth` about the shop, such as `start`, with its data in `folder`. */
export function startCommand(args: readonly string[], options: ProgramOptions): Program {
  return startProgram([command, ...args, "--app", appFile], options);
}

/** A TypeScript file beside this one, as a process of its own. */
export function startFixture(name: string, argument: unknown, options: ProgramOptions): Program {
  const file = fileURLToPath(new URL(name, import.meta.url));
  // WebAssembly is not optimised: a process that lives for seconds spends more on that than it wins, half of its start.
  const flags = ["--liftoff-only", "--conditions=plinth:source", "--import", import.meta.resolve("tsx")];
  return startProgram([...flags, file, JSON.stringify(argument)], options);
}

function startProgram(args: readonly string[], { folder, environment }: ProgramOptions): Program {
  // Coverage is left out: a killed process writes none, and writing it makes the others slow to end.
  const { NODE_V8_COVERAGE: _coverage, NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...inherited, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  return {
    output: () => output,
    async says(pattern) {
      const endAt = performance.now() + 60_000;
      while (performance.now() < endAt) {
        const match = pattern.exec(output);
        if (match) return match;
        if (hasEnded(child)) break;
        await sleep(25);
      }
      throw new Error(`it did not say ${pattern}, only:\n${output}`);
    },
    ended,
    async stop() {
      if (!hasEnded(child)) child.kill("SIGTERM");
      await ended;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
