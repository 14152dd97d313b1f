import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { StartError } from "../../base/index.ts";

/**
 * One process for a data directory. PGlite has no lock of its own, and two processes destroy the data
 * (electric-sql/pglite#1106).
 *
 * The lock is a row of files `lock-1`, `lock-2` …: whoever makes the next one exclusively has it, the older ones then
 * go. So a stale lock is taken over without the moment in which two starters both remove it. A lock is stale when its
 * process is gone, which the process's start time tells apart from a new process with the same number. A process on
 * another machine cannot be asked: its lock holds until somebody removes it.
 */
export interface DirectoryLock {
  release(): void;
}

interface Holder {
  readonly pid: number;
  readonly startedAt: string | undefined;
  readonly host: string;
  readonly released?: boolean;
}

export function lockDirectory(directory: string): DirectoryLock {
  const me: Holder = { pid: process.pid, startedAt: startTimeOf(process.pid), host: hostname() };
  for (;;) {
    const last = newest(directory);
    if (last > 0) refuseWhenHeld(directory, join(directory, `lock-${last}`));
    const mine = last + 1;
    const path = join(directory, `lock-${mine}`);
    if (!create(path, me)) continue;
    if (newest(directory) > mine) {
      // Somebody went past us while we looked at an older state of the folder.
      rmSync(path, { force: true });
      continue;
    }
    for (const number of numbers(directory))
      if (number < mine) rmSync(join(directory, `lock-${number}`), { force: true });
    return { release: () => writeFileSync(path, JSON.stringify({ ...me, released: true })) };
  }
}

function create(path: string, holder: Holder): boolean {
  try {
    writeFileSync(path, JSON.stringify(holder), { flag: "wx" });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  }
}

function numbers(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => (/^lock-\d+$/.test(name) ? [Number(name.slice(5))] : []));
}

function newest(directory: string): number {
  return Math.max(0, ...numbers(directory));
}

function refuseWhenHeld(directory: string, path: string): void {
  const holder = read(path);
  if (!holder || holder.released) return;
  if (holder.host !== hostname()) {
    throw inUse(directory, `process ${holder.pid} on machine ${holder.host}`, `if it is gone, remove ${path}`);
  }
  if (!isAlive(holder)) return;
  if (holder.pid === process.pid) {
    const remedy = "use one Plinth and one thread per directory, or give each its own";
    throw inUse(directory, `this very process (${holder.pid}), through another thread or copy of Plinth`, remedy);
  }
  throw inUse(
    directory,
    `process ${holder.pid}`,
    "stop that process, choose another directory, or use Postgres for several processes",
  );
}

function inUse(directory: string, who: string, remedy: string): StartError {
  return new StartError("DATA_DIRECTORY_IN_USE", `data directory ${directory} is in use by ${who}: ${remedy}.`);
}

/** A file that is empty or cut is the work of a process that died, or is writing this moment: it is looked at again. */
function read(path: string): Holder | undefined {
  for (let tries = 0; tries < 20; tries++) {
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Holder;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
  return undefined;
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const startedAt = startTimeOf(holder.pid);
  if (startedAt === dying) return false;
  return holder.startedAt === undefined || startedAt === undefined || startedAt === holder.startedAt;
}

/** A killed process while the system clears it away, and until its parent has looked: it writes nothing any more. */
const dying = "dying";
/** Linux's PF_EXITING (include/linux/sched.h). */
const exitingFlag = 4;

/** When a process started, as text that only equals itself: clock ticks since boot on Linux, `ps` elsewhere. */
function startTimeOf(pid: number): string | undefined {
  try {
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The second field is the name in brackets, and may hold spaces and brackets itself.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return /[ZX]/.test(fields[0] ?? "") || Number(fields[6]) & exitingFlag ? dying : fields[19];
    }
    if (process.platform === "win32") return undefined;
    const [state = "", ...started] = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
    })
      .trim()
      .split(/\s+/);
    return /[ZE]/.test(state) ? dying : started.join(" ") || undefined;
  } catch {
    return undefined;
  }
}
