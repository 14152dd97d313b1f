import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A program of this proof as a process of its own, which is told what to do as JSON and tells what it did. */
export interface Worker<Told> {
  readonly pid: number;
  /** Resolves with the next that it tells and `isIt` takes. Throws after 60 s, and when it ends before. */
  hears(isIt: (told: Told) => boolean): Promise<Told>;
  ask(question: unknown): void;
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** How it ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  kill(): Promise<void>;
}

export interface WorkerOptions<Told> {
  readonly onTold?: (told: Told) => void;
  readonly environment?: Readonly<Record<string, string>>;
}

const patienceMs = 60_000;
const flags = ["--conditions=plinth:source", "--import", "tsx"];

/** Starts a file beside this one; resolves when it says "up". */
export async function startWorker<Told>(
  file: string,
  argument: unknown,
  { onTold = () => {}, environment = {} }: WorkerOptions<Told> = {},
): Promise<Worker<Told>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(argument)], {
    execArgv: flags,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const waiting = new Set<(told: Told) => void>();
  child.on("message", (told: Told) => {
    onTold(told);
    for (const hear of waiting) hear(told);
  });
  const ended = once(child, "exit").then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  const worker: Worker<Told> = {
    pid: child.pid as number,
    ended,
    hears(isIt) {
      return new Promise((resolve, reject) => {
        const end = (settle: () => void): void => {
          waiting.delete(hear);
          clearTimeout(timer);
          settle();
        };
        const fail = (what: string) => end(() => reject(new Error(`${file}: ${what}`)));
        const timer = setTimeout(() => fail(`it said nothing of what was waited for in ${patienceMs} ms`), patienceMs);
        const hear = (told: Told): void => {
          if (isIt(told)) end(() => resolve(told));
        };
        waiting.add(hear);
        void ended.then((how) => fail(`it ended with ${how}`));
      });
    },
    ask: (question) => void child.send(question as object),
    signal: (signal) => void child.kill(signal),
    async kill() {
      if (isAlive(child)) child.kill("SIGKILL");
      await ended;
    },
  };
  await worker.hears((told) => (told as unknown) === "up");
  return worker;
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
