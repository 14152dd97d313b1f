import { setTimeout as sleep } from "node:timers/promises";
import type { Member } from "../member.ts";
import { type Shop, shopGroups } from "./shop.ts";

/** A process that was stopped in order and came back. */
export interface Restart {
  readonly member: string;
  readonly group: string;
  readonly round: number;
  /** On the clock of `performance.now()`. */
  readonly at: number;
  readonly exit: number | NodeJS.Signals;
  /** From the signal to the end of the process. */
  readonly drainMs: number;
  /** From its beginning to its being ready. */
  readonly startMs: number;
}

/** The names of processes: "orders-2". */
export function nameOf({ fleet }: Shop, member: Member): string {
  return `${member.group}-${fleet.of(member.group).indexOf(member) + 1}`;
}

/** Each process in turn, group by group: told to leave, and the next only when it is back and says that it is ready. */
export async function restartAll(shop: Shop, round: number, say: (text: string) => void): Promise<Restart[]> {
  const restarts: Restart[] = [];
  for (const group of shopGroups) {
    for (const member of shop.fleet.of(group)) {
      const at = performance.now();
      const exit = await member.stop();
      const goneAt = performance.now();
      await comeBack(shop, member);
      const readyAt = performance.now();
      const name = nameOf(shop, member);
      restarts.push({ member: name, group, round, at, exit, drainMs: goneAt - at, startMs: readyAt - goneAt });
      say(`round ${round}: ${name} left in ${ms(goneAt - at)} (${exit}), was back in ${ms(readyAt - goneAt)}`);
    }
  }
  return restarts;
}

/**
 * The same without leave, for comparison: one process after the other, at least `killsMin`, and on until `hasFailed` or
 * each was killed twice. Answers how many.
 */
export async function killEach(shop: Shop, hasFailed: () => boolean): Promise<number> {
  let killed = 0;
  for (const member of [...shop.fleet.members, ...shop.fleet.members]) {
    await member.kill();
    killed++;
    // Until the others have noticed.
    await sleep(500);
    await comeBack(shop, member);
    if (killed >= killsMin && hasFailed()) break;
  }
  return killed;
}

const killsMin = 2;
const triesMax = 3;

/** Started, and again when it does not come up, as a cluster would; until every gateway is given work. */
async function comeBack({ fleet, service }: Shop, member: Member): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await member.start();
      break;
    } catch (thrown) {
      if (tries === triesMax) throw thrown;
      await member.kill();
    }
  }
  await service.ready(fleet.of("edge").length);
}

export function ms(time: number): string {
  return `${(time / 1000).toFixed(1)} s`;
}
