import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A program whose start is measured. It listens where PORT says. */
export interface Launch {
  readonly command: readonly string[];
  readonly directory: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly path: string;
  /** Whether this answer with status 200 is the right one. */
  isRight(body: unknown): boolean;
}

export interface Started {
  /** From the moment at which the process was asked for to its first right answer. */
  readonly answerMs: number;
  /** Processor time of all its threads until then, and of the one that runs JavaScript. */
  readonly cpuMs: number;
  readonly mainMs: number;
  readonly rssMiB: number;
}

const giveUpMs = 120_000;
const askEveryMs = 3;

/** Starts it, asks until it answers rightly, and stops it. */
export async function launch({ command, directory, environment, path, isRight }: Launch): Promise<Started> {
  const port = await freePort();
  const [file = "", ...args] = command;
  const begunAt = performance.now();
  const child = spawn(file, args, {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PORT: String(port), ...environment },
  });
  let told = "";
  child.stderr.on("data", (chunk) => {
    told = `${told}${chunk}`.slice(-2000);
  });
  try {
    for (;;) {
      const body = await ask(port, path);
      if (body !== undefined) {
        const answerMs = performance.now() - begunAt;
        if (!isRight(body)) throw new Error(`${command.join(" ")} answers ${JSON.stringify(body)}`);
        return { answerMs, ...usageOf(child.pid as number) };
      }
      if (child.exitCode !== null) throw new Error(`${command.join(" ")} ended: ${told}`);
      if (performance.now() - begunAt > giveUpMs) throw new Error(`${command.join(" ")} does not answer: ${told}`);
      await sleep(askEveryMs);
    }
  } finally {
    await stop(child);
  }
}

/** The answer's JSON; undefined where there is none yet. */
function ask(port: number, path: string): Promise<unknown> {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(response.statusCode === 200 ? JSON.parse(text) : undefined));
    });
    request.on("error", () => resolve(undefined));
  });
}

const tickMs = 10;

function usageOf(pid: number): Omit<Started, "answerMs"> {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const main = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0];
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
    mainMs: Number(main) / 1e6,
    rssMiB: Number(rss) / 1024,
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const impatient = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(impatient);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
