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
      await member.start();
      await shop.service.ready(shop.fleet.of("edge").length);
      const readyAt = performance.now();
      const name = nameOf(shop, member);
      restarts.push({ member: name, group, round, at, exit, drainMs: goneAt - at, startMs: readyAt - goneAt });
      say(`round ${round}: ${name} left in ${ms(goneAt - at)} (${exit}), was back in ${ms(readyAt - goneAt)}`);
    }
  }
  return restarts;
}

/** The same without leave, for comparison: one of each group, and back again. */
export async function killEach({ fleet, service }: Shop): Promise<number> {
  let killed = 0;
  for (const group of shopGroups) {
    const [member] = fleet.of(group);
    if (!member) continue;
    await member.kill();
    killed++;
    await sleep(200);
    await member.start();
    await service.ready(fleet.of("edge").length);
  }
  return killed;
}

export function ms(time: number): string {
  return `${(time / 1000).toFixed(1)} s`;
}
