import { setTimeout as sleep } from "node:timers/promises";
import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { Member } from "../member.ts";
import { countTicks, hasOpenTick, isUpToDate } from "./evidence.ts";

/** What was done to leaders. */
export interface LeaderFaults {
  kills: number;
  stops: number;
  /** Of the stops: while the transaction of a tick was open. */
  inTick: number;
  /** The longest time from a fault to the next tick, in ms. */
  gapMsMax: number;
}

export interface ChaosOptions {
  readonly server: TestPostgres;
  readonly members: readonly Member[];
  readonly ticks: number;
  say(text: string): void;
}

/** Longer than a lease, so that somebody else leads when the stopped one goes on. */
const stoppedMs = 20_000;
const patienceMs = 90_000;

/** Kills and stops the leader by turns until so many ticks have run, and one of each was done at least. */
export async function hurtLeaders({ server, members, ticks, say }: ChaosOptions): Promise<LeaderFaults> {
  const faults: LeaderFaults = { kills: 0, stops: 0, inTick: 0, gapMsMax: 0 };
  const away = new Set<Member>();
  const returns: Promise<void>[] = [];
  const between = Math.max(3, Math.round(ticks / 14));
  for (let turn = 0; ; turn++) {
    await untilTicks(server, (await countTicks(server)) + between);
    const done = await countTicks(server);
    if (done >= ticks && faults.kills > 0 && faults.stops > 0) break;
    if (turn % 4 < 2) await until(() => hasOpenTick(server), 3_000).catch(() => {});
    const leader = await leaderOf(members, away);
    if (!leader) continue;
    const isKill = turn % 2 === 0;
    away.add(leader);
    const before = await countTicks(server);
    const at = performance.now();
    if (isKill) {
      await leader.kill();
      faults.kills++;
      returns.push(leader.start().then(() => void away.delete(leader)));
    } else {
      leader.signal("SIGSTOP");
      faults.stops++;
      returns.push(wake(leader).then(() => void away.delete(leader)));
    }
    if (!isKill && (await hasOpenTick(server))) faults.inTick++;
    await untilTicks(server, before + 1);
    faults.gapMsMax = Math.max(faults.gapMsMax, performance.now() - at);
    say(`${isKill ? "killed" : "stopped"} at tick ${done}, the next after ${Math.round(performance.now() - at)} ms`);
  }
  await Promise.all(returns);
  // What fell due meanwhile runs too, and those that went on have time to do harm.
  await until(() => isUpToDate(server), patienceMs);
  return faults;
}

async function wake(member: Member): Promise<void> {
  await sleep(stoppedMs);
  member.signal("SIGCONT");
}

async function leaderOf(members: readonly Member[], away: ReadonlySet<Member>): Promise<Member | undefined> {
  for (const member of members) {
    if (!away.has(member) && member.pid !== undefined && (await leads(member))) return member;
  }
  return undefined;
}

async function leads({ ports }: Member): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${ports.management}/metrics`, { signal: AbortSignal.timeout(2_000) });
    return /^plinth_schedules_leading\{[^}]*\} 1$/m.test(await answer.text());
  } catch {
    return false;
  }
}

function untilTicks(server: TestPostgres, count: number): Promise<void> {
  return until(async () => (await countTicks(server)) >= count, patienceMs);
}

async function until(condition: () => Promise<boolean>, waitMs: number): Promise<void> {
  const endAt = performance.now() + waitMs;
  while (!(await condition())) {
    if (performance.now() > endAt) throw new Error(`waited for ${waitMs} ms in vain`);
    await sleep(30);
  }
}
