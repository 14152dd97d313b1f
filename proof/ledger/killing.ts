import { setTimeout as sleep } from "node:timers/promises";
import type { FaultEvidence } from "../../src/verify/index.ts";
import type { Fleet } from "../fleet.ts";

/** Kills with SIGKILL, one process after the other, and starts each again. */
export interface Killing {
  /** Rounds over all processes that are complete. */
  readonly rounds: number;
  /** Ends after the process that is being restarted. */
  stop(): Promise<void>;
  /** For each group, processes that were there and were gone after it. */
  evidence(): readonly FaultEvidence[];
}

export interface KillingOptions {
  readonly fleet: Fleet;
  /** Between two kills, up to twice as long. */
  readonly pauseMs: number;
  /** Of each process; fewer are no proof. */
  readonly roundsMin: number;
  readonly roundsMax: number;
  /** Begins when this is so. */
  isTime(): boolean;
  say(text: string): void;
}

export function startKilling({ fleet, pauseMs, roundsMin, roundsMax, isTime, say }: KillingOptions): Killing {
  const kills = new Map(fleet.members.map(({ group }) => [group, 0]));
  let rounds = 0;
  let isStopped = false;
  const run = async (): Promise<void> => {
    while (!isTime()) await sleep(50);
    while (!isStopped && rounds < roundsMax) {
      for (const member of fleet.members) {
        await sleep(pauseMs * (1 + Math.random()));
        if (isStopped) return;
        const { pid, group } = member;
        await member.kill();
        if (pid !== undefined && isGone(pid)) kills.set(group, (kills.get(group) ?? 0) + 1);
        const goneAt = performance.now();
        await member.start();
        say(`killed ${group} (${pid}), back after ${((performance.now() - goneAt) / 1000).toFixed(1)} s`);
      }
      rounds++;
    }
  };
  const running = run();
  // Told by `stop`; until then it must not end the proof in the middle of nowhere.
  running.catch(() => {});
  return {
    get rounds() {
      return rounds;
    },
    async stop() {
      isStopped = true;
      await running;
    },
    evidence: () => [...kills].map(([group, bites]) => ({ fault: `SIGKILL ${group}`, bites, bitesMin: roundsMin })),
  };
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
