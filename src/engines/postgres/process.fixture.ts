import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../../base/index.ts";

/** Server programs for tests: started as somebody who is not root, ended by their pid, swept when a test was killed. */

/** Who a server runs as; without numbers, whoever we are. */
export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

export interface Server {
  readonly pid: number;
  readonly ended: boolean;
  /** Sends the signal and waits for the end; after 10 s it is killed. */
  stop(signal: NodeJS.Signals): Promise<void>;
}

const run = promisify(execFile);
const stopMs = 10_000;

/** Servers refuse to run as root. Undefined: we are root, and there is no such user. */
export function ownerOf(name: string): Owner | undefined {
  if (process.getuid?.() !== 0) return {};
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

/** The folder in PATH, or in the two that PATH lacks for some users, that holds `program`. */
export function pathOf(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.find((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** A folder that names the process it belongs to, and that its owner may enter. */
export async function newFolder(prefix: string, { uid, gid }: Owner): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  return folder;
}

/** Ends servers, and removes folders, of test processes that are gone. */
export async function sweepLeftovers(prefix: string): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const made = Number(name.slice(prefix.length).split("-")[0]);
    if (made === process.pid || isAlive(made)) continue;
    const folder = join(tmpdir(), name);
    for (const pid of await processesOf(folder)) signal(pid, "SIGKILL");
    await rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  }
}

/** Processes whose command line names the folder. */
async function processesOf(folder: string): Promise<number[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,args="]);
  return stdout.split("\n").flatMap((line) => (line.includes(`${folder}/`) ? [Number.parseInt(line, 10)] : []));
}

export async function childrenOf(parent: number): Promise<number[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid="]);
  return stdout.split("\n").flatMap((line) => {
    const [pid, of] = line.trim().split(/\s+/).map(Number);
    return of === parent && pid ? [pid] : [];
  });
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Runs a program to its end; what it wrote to stderr is in the error. */
export async function runAs(owner: Owner, program: string, args: string[], env: Record<string, string>): Promise<void> {
  await run(program, args, { ...owner, cwd: "/", env: { ...process.env, ...env }, timeout: 60_000 });
}

interface ServerOptions {
  readonly owner: Owner;
  readonly command: string;
  readonly args: readonly string[];
  readonly log: string;
}

const running = new Set<number>();

/** Whatever ends this process in order ends its servers too; the next one that starts sweeps their folders. */
function endAll(): void {
  for (const pid of running) {
    signal(pid, "SIGCONT");
    signal(pid, "SIGQUIT");
  }
}

export async function startServer({ owner, command, args, log }: ServerOptions): Promise<Server> {
  const out = openSync(log, "a");
  const child = spawn(command, args, { ...owner, cwd: "/", stdio: ["ignore", out, out], detached: true });
  await once(child, "spawn");
  const pid = child.pid as number;
  let ended = false;
  const exit = once(child, "exit").then(() => {
    ended = true;
    running.delete(pid);
  });
  child.unref();
  if (running.size === 0) process.once("exit", endAll);
  running.add(pid);
  return {
    pid,
    get ended() {
      return ended;
    },
    async stop(how) {
      // Only while somebody waits for its end does it keep this process alive.
      child.ref();
      const children = await childrenOf(pid);
      signal(pid, how);
      const stopTimer = systemClock.after(stopMs, () => {
        for (const each of [pid, ...children]) signal(each, "SIGKILL");
      });
      await exit;
      stopTimer();
    },
  };
}

function isAlive(pid: number): boolean {
  return signal(pid, 0);
}

/** False when there is no such process (any more). */
export function signal(pid: number, how: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, how);
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
