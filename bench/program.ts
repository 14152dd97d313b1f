import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { programFile } from "./build.ts";
import type { Usage } from "./child.ts";

/** Programs can be kept to one core each: the tool is there, and there is a core to spare. */
export const canPin: boolean = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

/** The command line that runs `command` on one core, or wherever there is room. */
export function onCore(core: number | undefined, command: readonly string[]): [file: string, args: readonly string[]] {
  const [file = "", ...args] = canPin && core !== undefined ? ["taskset", "-c", String(core), ...command] : command;
  return [file, args];
}

/** A program under measurement, in a process of its own. */
export interface Program<Facts> {
  /** What it told about itself when it was ready. */
  readonly facts: Facts;
  readonly pid: number;
  ask<Answer>(question: string, input?: number): Promise<Answer>;
  /** It stands still until it goes on, and answers nothing. */
  halt(): void;
  goOn(): void;
  stop(): Promise<void>;
}

export interface ProgramOptions {
  /** Default: wherever there is room. */
  readonly core?: number;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** A file that takes what it prints; without one, that is thrown away. */
  readonly output?: string;
  /** What runs the program. Default: the Node that runs the bench. */
  readonly command?: readonly string[];
  readonly directory?: string;
}

const readyMsMax = 60_000;
const answerMsMax = 60_000;

/** They would not see that the bench is gone. */
const halted = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of halted) child.kill("SIGCONT");
});

export async function startProgram<Facts>(name: string, options: ProgramOptions): Promise<Program<Facts>> {
  const output = options.output === undefined ? undefined : openSync(options.output, "w");
  const [file, args] = onCore(options.core, [
    ...(options.command ?? [process.execPath]),
    programFile(name),
    ...(options.args ?? []),
  ]);
  const child = spawn(file, args, {
    stdio: ["ignore", output ?? "ignore", "inherit", "ipc"],
    cwd: options.directory,
    env: {
      ...process.env,
      NODE_ENV: "production",
      PLINTH_BENCH_NAME: name.replaceAll("/", "-"),
      ...options.environment,
    },
  });
  if (output !== undefined) closeSync(output);
  const facts = await answerOf<Facts>(child, name, readyMsMax);
  const goOn = () => void (halted.delete(child) && child.kill("SIGCONT"));
  return {
    facts,
    pid: child.pid ?? 0,
    ask(question, input = 0) {
      child.send({ question, input });
      return answerOf(child, name, answerMsMax);
    },
    halt() {
      if (!halted.has(child)) child.kill("SIGSTOP");
      halted.add(child);
    },
    goOn,
    async stop() {
      goOn();
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

/** Processor time that the programs have used so far. */
export async function cpuUs(...programs: readonly Program<unknown>[]): Promise<number> {
  const used = await Promise.all(programs.map((program) => program.ask<Usage>("usage")));
  return used.reduce((sum, usage) => sum + usage.cpuUs, 0);
}

/** Memory that the programs have now, together. */
export async function memoryMiB(...programs: readonly Program<unknown>[]): Promise<number> {
  const used = await Promise.all(programs.map((program) => program.ask<Usage>("usage")));
  return used.reduce((sum, usage) => sum + usage.rssBytes, 0) / 2 ** 20;
}

async function answerOf<T>(child: ChildProcess, name: string, msMax: number): Promise<T> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    giveUp.abort();
  }, msMax);
  const ended = () => giveUp.abort();
  child.once("exit", ended);
  try {
    const [message] = (await once(child, "message", { signal: giveUp.signal })) as [{ answer: T; failure?: string }];
    if (message.failure !== undefined) throw new Error(`${name}: ${message.failure}`);
    return message.answer;
  } catch (thrown) {
    if (giveUp.signal.aborted) throw new Error(`${name} ended, or did not answer within ${msMax / 1000} s`);
    throw thrown;
  } finally {
    clearTimeout(timer);
    child.off("exit", ended);
  }
}
