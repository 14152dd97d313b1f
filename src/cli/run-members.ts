import { systemClock } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { tellAllReady } from "./serve.ts";
import type { Member } from "./supervisor.ts";
import { createSupervisor, MemberFailed } from "./supervisor.ts";
import type { Terminal } from "./terminal.ts";

/** After the time that a process allows itself, its supervisor still waits this long. */
const marginMs = 5_000;

export interface MembersOptions {
  readonly name: string;
  readonly hasDocs: boolean;
  readonly graceMs: number;
  readonly terminal: Terminal;
}

/** Keeps the members running until a signal comes, and answers the exit code when all have ended. */
export async function runMembers(members: readonly Member[], options: MembersOptions): Promise<ExitCode> {
  const { name, hasDocs, graceMs, terminal } = options;
  const { err } = terminal;
  const supervisor = createSupervisor({
    members,
    clock: systemClock,
    graceMs: graceMs + marginMs,
    say: (text) => err.write(`${err.style("yellow", "note:")} ${text}\n`),
  });
  const stopped = new Promise<ExitCode>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => void supervisor.stop(signal).then(resolve));
    }
  });
  try {
    tellAllReady(name, await supervisor.start(), hasDocs, err);
  } catch (thrown) {
    if (!(thrown instanceof MemberFailed)) throw thrown;
    err.write(`${err.style("red", "error:")} ${thrown.message}\n`);
    return thrown.code;
  }
  return stopped;
}
