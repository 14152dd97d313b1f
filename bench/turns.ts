import { setTimeout as sleep } from "node:timers/promises";
import { canPin, type Program } from "./program.ts";

const settleMs = 100;

/**
 * Gives one of the programs that share a core its turn; the others stand still. What a program has left to do after its
 * work, such as V8's collection of what is idle some seconds later, would otherwise be done in the time of whoever is
 * measured then, and show in its percentiles; so it is done in its own.
 */
export async function giveTurn(to: Program<unknown>, all: readonly Program<unknown>[]): Promise<void> {
  if (!canPin) return;
  for (const program of all) if (program !== to) program.halt();
  to.goOn();
  // Its timers are late, and it may hold that against its load.
  await sleep(settleMs);
}

/** Nobody stands still any more. */
export function endTurns(all: readonly Program<unknown>[]): void {
  for (const program of all) program.goOn();
}
