import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A program of this folder as a process of its own. */
export interface Program {
  readonly pid: number;
  /** Resolves when it said that it works. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended, with all that it wrote after "ready". */
  readonly over: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly said: string;
  }>;
  /** SIGTERM; throws when it does not end with 0. Answers what it said. */
  stop(): Promise<string>;
  /** SIGKILL. */
  kill(): void;
}

const flags = ["--conditions=plinth:source", "--import", "tsx"];
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function startProgram(name: string, options: unknown): Program {
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [...flags, script, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  running.add(child);
  let said = "";
  let tellReady = () => {};
  const ready = new Promise<void>((resolve) => {
    tellReady = resolve;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    if (!said.startsWith("ready\n")) return;
    tellReady();
  });
  const over = once(child, "close").then(([code, signal]) => {
    running.delete(child);
    return { code, signal, said: said.replace(/^ready\n/, "") };
  });
  const started = Promise.race([
    ready,
    over.then(({ code, signal }) => {
      throw new Error(`${name} ended before it was ready: ${signal ?? code}`);
    }),
  ]);
  started.catch(() => {});
  return {
    pid: child.pid ?? 0,
    ready: started,
    over,
    async stop() {
      child.kill("SIGTERM");
      const { code, signal, said } = await over;
      if (code !== 0) throw new Error(`${name} did not end in order: ${signal ?? code}`);
      return said;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

/** What the process was started with. */
export function argument<Options>(): Options {
  return JSON.parse(process.argv[2] ?? "{}") as Options;
}

/** Says that the process works, and resolves at SIGTERM, when `onTold` was called. */
export function untilTold(onTold: () => void): Promise<void> {
  return new Promise((resolve) => {
    // Open as long as whoever started this is there.
    process.stdin.resume().once("end", () => process.exit(1));
    process.once("SIGTERM", () => {
      process.stdin.destroy();
      onTold();
      resolve();
    });
    process.stdout.write("ready\n");
  });
}
