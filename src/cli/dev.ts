import type { ChildProcess } from "node:child_process";
import { dirname, relative, resolve as resolvePath } from "node:path";
import type { Addresses } from "../app/index.ts";
import type { Clock } from "../base/index.ts";
import { launcher, spawnPlinth } from "./child.ts";
import { goMessage, isReadyMessage, standbyVariable } from "./parent.ts";
import type { Terminal } from "./terminal.ts";
import { createWatcher } from "./watcher.ts";

/**
 * Runs an app in a process of its own, and anew at each change of its sources. The old one drains first, so no request
 * fails that had begun. An app that does not start has said why; the next change tries again. Ports stay what they were
 * the first time, also where any free one was asked for.
 *
 * Beside the app that runs, a second process waits that has loaded everything but the app, so that a change is there in
 * well under a second. It costs some 60 MB.
 */
export interface DevOptions {
  readonly file: string;
  readonly port: number | undefined;
  readonly clock: Clock;
  readonly terminal: Terminal;
}

export interface Dev {
  /** Resolves when the process that runs has ended. */
  stop(): Promise<void>;
}

/** Plinth's own source, for whoever works on it in a clone: a process in waiting has loaded it already. */
const ownSource = resolvePath(dirname(launcher), "..", "src");

/** After this an app that does not stop is ended by force: in development nobody waits for its requests. */
const stopMsMax = 3_000;

export function startDev({ file, port, clock, terminal }: DevOptions): Dev {
  const { err } = terminal;
  let child: ChildProcess | undefined;
  let standby: ChildProcess | undefined;
  let kept: Readonly<Record<string, string>> = port === undefined ? {} : { PORT: String(port) };
  let turn: Promise<void> | undefined;
  let waiting: string | undefined;
  let isStopped = false;

  const note = (text: string): void => err.write(`${err.style("dim", text)}\n`);

  const end = async (): Promise<void> => {
    const running = child;
    if (!running) return;
    // Its end is asked for: nothing is to be said of it.
    child = undefined;
    const ended = new Promise<void>((resolve) => running.once("close", () => resolve()));
    running.kill("SIGTERM");
    const cancel = clock.after(stopMsMax, () => running.kill("SIGKILL"));
    await ended;
    cancel();
  };

  const spawn = (added: Readonly<Record<string, string>>): ChildProcess =>
    spawnPlinth(["start", "--app", file], {
      cwd: terminal.cwd,
      environment: { ...terminal.environment, ...kept, ...added },
      terminal,
    });

  const keepStandby = (): void => {
    if (!isStopped && !standby?.connected) standby = spawn({ [standbyVariable]: "1" });
  };

  /** The process in waiting, unless what it has loaded is what changed. */
  const takeStandby = (changed: string | undefined): ChildProcess | undefined => {
    const taken = standby;
    standby = undefined;
    if (!taken?.connected) return undefined;
    if (changed !== undefined && resolvePath(terminal.cwd, changed).startsWith(ownSource)) {
      taken.kill("SIGKILL");
      return undefined;
    }
    taken.send(goMessage);
    return taken;
  };

  const begin = (changed: string | undefined, startedAt: number): Promise<void> => {
    const next = takeStandby(changed) ?? spawn({});
    child = next;
    return new Promise((resolve) => {
      next.on("message", (message) => {
        if (!isReadyMessage(message)) return;
        const seconds = ((clock.now() - startedAt) / 1000).toFixed(2);
        kept = { ...kept, ...portsOf(message.addresses) };
        err.write(readyText(message.addresses, seconds, changed, terminal));
        keepStandby();
        resolve();
      });
      next.once("error", (cause) => note(`the app cannot be started: ${cause.message}`));
      next.once("close", (code, signal) => {
        if (child === next) {
          child = undefined;
          keepStandby();
          note(`the app ended (${signal ?? `exit code ${code}`}); waiting for a change`);
        }
        resolve();
      });
    });
  };

  /** One change at a time; what comes meanwhile is one more. */
  const run = async (changed: string | undefined): Promise<void> => {
    let reason = changed;
    do {
      waiting = undefined;
      const startedAt = clock.now();
      await end();
      if (isStopped) return;
      await begin(reason, startedAt);
      reason = waiting;
    } while (waiting !== undefined && !isStopped);
  };
  const restart = (changed: string | undefined): void => {
    waiting = changed;
    // A start that is under way is of files that are old by now.
    if (turn) void end();
    else {
      turn = run(changed).finally(() => {
        turn = undefined;
      });
    }
  };

  const watcher = createWatcher({ folder: watchedFolder(file, terminal.cwd), clock, onChange: restart, say: note });
  restart(undefined);
  return {
    async stop() {
      isStopped = true;
      watcher.close();
      standby?.kill("SIGKILL");
      await end();
      await turn;
    },
  };
}

/** The folder that the command runs in, when the app is inside; otherwise the app's own. */
function watchedFolder(file: string, cwd: string): string {
  return relative(cwd, file).startsWith("..") ? dirname(file) : cwd;
}

function portsOf({ gateway, management }: Addresses): Record<string, string> {
  const portOf = (address: string) => new URL(address).port;
  return {
    ...(gateway !== undefined && { PORT: portOf(gateway) }),
    ...(management !== undefined && { PLINTH_MANAGEMENT_PORT: portOf(management) }),
  };
}

function readyText(
  { gateway, management }: Addresses,
  seconds: string,
  changed: string | undefined,
  { err }: Terminal,
): string {
  const ready = `${err.style("green", "ready")} in ${seconds} s`;
  if (changed !== undefined) return `${ready} after ${changed}\n`;
  const where = [
    ["API", gateway],
    ["reference", gateway && `${gateway}/docs`],
    ["probes and metrics", management],
  ] as const;
  const shown = where.flatMap(([what, address]) => (address ? [` · ${what} ${err.style("cyan", address)}`] : []));
  return `${ready}${shown.join("")} · waiting for changes\n`;
}
