import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../scripts/source/tree.ts";
import { isReadyMessage, parentVariable } from "../src/cli/parent.ts";

/** A process of an app: one group of its placement, at ports that stay the same over its lives. */
export interface Member {
  readonly group: string;
  readonly ports: Ports;
  /** Of the present life; undefined while there is none. */
  readonly pid: number | undefined;
  /** What it has written, all lives together; the last 256 KiB. */
  output(): string;
  /** Resolves when it says that it is ready. Throws with what it wrote when it ends before, and after 60 s. */
  start(): Promise<void>;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM. Resolves with its exit code, or the signal that ended it, after 60 s SIGKILL. */
  stop(): Promise<number | NodeJS.Signals>;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
}

export interface Ports {
  readonly http: number;
  readonly rpc: number;
  readonly management: number;
}

export interface MemberOptions {
  readonly group: string;
  readonly ports: Ports;
  readonly appFile: string;
  /** Where it runs: its data folder is below. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

const outputMax = 256 * 1024;

export function createMember({ group, ports, appFile, folder, environment }: MemberOptions): Member {
  let child: ChildProcess | undefined;
  let output = "";
  const isAlive = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const ended = async (): Promise<number | NodeJS.Signals> => {
    const one = child;
    if (!one) return 0;
    if (one.exitCode === null && one.signalCode === null) await once(one, "exit");
    return one.exitCode ?? one.signalCode ?? 0;
  };
  return {
    group,
    ports,
    get pid() {
      return isAlive() ? child?.pid : undefined;
    },
    output: () => output,
    async start() {
      let life = "";
      child = spawn(process.execPath, [`${root}bin/plinth.js`, "start", "--app", appFile, "--group", group], {
        cwd: folder,
        // With a channel to this process it ends when this one does, however that comes about.
        env: { ...withoutCoverage(process.env), ...environment, ...portVariables(ports), [parentVariable]: "1" },
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      });
      let isReady = false;
      child.on("message", (message) => {
        isReady ||= isReadyMessage(message);
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding("utf8").on("data", (text: string) => {
          life = (life + text).slice(-outputMax);
          output = (output + text).slice(-outputMax);
        });
      }
      const endAt = performance.now() + 60_000;
      while (performance.now() < endAt && isAlive()) {
        if (isReady) return;
        await sleep(20);
      }
      throw new Error(`${group} did not become ready:\n${life}`);
    },
    async kill() {
      if (isAlive()) child?.kill("SIGKILL");
      await ended();
    },
    async stop() {
      if (isAlive()) child?.kill("SIGTERM");
      const last = setTimeout(() => child?.kill("SIGKILL"), 60_000);
      const how = await ended();
      clearTimeout(last);
      return how;
    },
    signal(signal) {
      child?.kill(signal);
    },
  };
}

function portVariables({ http, rpc, management }: Ports): Readonly<Record<string, string>> {
  return { PORT: String(http), PLINTH_RPC_PORT: String(rpc), PLINTH_MANAGEMENT_PORT: String(management) };
}

/** A killed process writes no coverage, and writing it makes the others slow to end. */
function withoutCoverage({
  NODE_V8_COVERAGE: _coverage,
  NODE_TEST_CONTEXT: _context,
  ...rest
}: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return rest;
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
