import type { ChildProcess } from "node:child_process";
import type { Addresses } from "../app/index.ts";
import type { Clock } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { exitCodes } from "../lifecycle/index.ts";
import { isReadyMessage } from "./parent.ts";

/**
 * Keeps several processes of an app running on one machine.
 *
 * Promises: `start` is through when each of them was ready, and fails when one ends before; from then on one that ends
 * is started again, after 0.5 s and twice as long each time, up to 30 s, anew from 0.5 s once it was ready for a minute.
 * `stop` passes the signal on to all, so that each drains, and is through when all have ended; what is left after
 * `graceMs` is killed. A second `stop` passes its signal on as well, which makes them stop at once.
 *
 * Not promised: that it outlives its own end. Its children notice that and stop by themselves.
 */
export interface Supervisor {
  start(): Promise<ReadonlyMap<string, Addresses>>;
  /** The exit code: 0 when all stopped as asked, otherwise the worst of theirs. */
  stop(signal: NodeJS.Signals): Promise<ExitCode>;
}

export interface Member {
  readonly name: string;
  spawn(): ChildProcess;
}

export interface SupervisorOptions {
  readonly members: readonly Member[];
  readonly clock: Clock;
  readonly graceMs: number;
  /** Tells a person what happened to a member. */
  readonly say: (text: string) => void;
  /** Default: 500 and 30,000. */
  readonly backoffMs?: { readonly min: number; readonly max: number };
}

const steadyMs = 60_000;

interface Running {
  readonly member: Member;
  child: ChildProcess | undefined;
  readyAt: number | undefined;
  failures: number;
  addresses: Addresses | undefined;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, graceMs, say } = options;
  const backoffMs = options.backoffMs ?? { min: 500, max: 30_000 };
  const all: Running[] = options.members.map((member) => ({
    member,
    child: undefined,
    readyAt: undefined,
    failures: 0,
    addresses: undefined,
  }));
  let stage: "starting" | "running" | "stopping" = "starting";
  let worst: ExitCode = exitCodes.ok;
  let settle: { ready(): void; failed(thrown: MemberFailed): void } | undefined;
  let end: ((code: ExitCode) => void) | undefined;
  const ended = new Promise<ExitCode>((resolve) => {
    end = resolve;
  });

  const begin = (one: Running): void => {
    const child = one.member.spawn();
    one.child = child;
    child.on("message", (message) => {
      if (isReadyMessage(message)) onReady(one, message.addresses);
    });
    child.once("error", (cause) => onEnd(one, child, exitCodes.failed, `it cannot be started: ${cause.message}`));
    child.once("close", (code, signal) => onEnd(one, child, toExitCode(code), signal ?? `exit code ${code}`));
  };

  const onReady = (one: Running, addresses: Addresses): void => {
    one.addresses = addresses;
    one.readyAt = clock.now();
    if (stage !== "starting" || !all.every(({ readyAt }) => readyAt !== undefined)) return;
    stage = "running";
    settle?.ready();
  };

  const onEnd = (one: Running, child: ChildProcess, code: ExitCode, how: string): void => {
    if (one.child !== child) return;
    one.child = undefined;
    if (stage === "starting") settle?.failed(new MemberFailed(one.member.name, how, code));
    else if (stage === "running") beginAgain(one, how);
    else {
      worst = Math.max(worst, code) as ExitCode;
      if (all.every((each) => each.child === undefined)) end?.(worst);
    }
  };

  const beginAgain = (one: Running, how: string): void => {
    const steady = one.readyAt !== undefined && clock.now() - one.readyAt >= steadyMs;
    one.failures = steady ? 1 : one.failures + 1;
    one.readyAt = undefined;
    const delayMs = Math.min(backoffMs.max, backoffMs.min * 2 ** (one.failures - 1));
    say(`${one.member.name} ended (${how}); it is started again in ${delayMs / 1000} s`);
    // A sleep keeps this process alive, which may have no child left.
    void clock.sleep(delayMs).then(() => {
      if (stage === "running") begin(one);
    });
  };

  const stop = (signal: NodeJS.Signals): Promise<ExitCode> => {
    const isFirst = stage !== "stopping";
    stage = "stopping";
    const running = all.flatMap(({ child }) => child ?? []);
    for (const child of running) child.kill(signal);
    if (running.length === 0) end?.(worst);
    if (isFirst) {
      clock.after(graceMs, () => {
        for (const { child } of all) child?.kill("SIGKILL");
      });
    }
    return ended;
  };

  return {
    stop,
    async start() {
      const started = new Promise<void>((ready, failed) => {
        settle = { ready, failed };
      });
      for (const one of all) begin(one);
      try {
        await started;
      } catch (thrown) {
        await stop("SIGTERM");
        throw thrown;
      }
      return new Map(all.map(({ member, addresses }) => [member.name, addresses ?? {}]));
    },
  };
}

function toExitCode(code: number | null): ExitCode {
  return code === exitCodes.ok || code === exitCodes.wrong ? code : exitCodes.failed;
}

/** A member that ended before it was ready. It has said why itself; its exit code is for whoever started it. */
export class MemberFailed extends Error {
  override readonly name = "MemberFailed";
  readonly code: ExitCode;

  constructor(member: string, how: string, code: ExitCode) {
    super(`${member} ended before it was ready (${how})`);
    this.code = code === exitCodes.ok ? exitCodes.failed : code;
  }
}
