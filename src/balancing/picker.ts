import type { Random } from "../base/index.ts";
import type { Member } from "./member.ts";

/** Chooses one of `candidates`, of which there is at least one. */
export type Picker = <M extends Member>(candidates: readonly M[], nowMs: number, key: string | undefined) => M;

/** Any, each as often as its weight says. */
export function pickByWeight<M extends Member>(candidates: readonly M[], nowMs: number, random: Random): M {
  return drawByWeight(candidates, nowMs, random, undefined);
}

/** Two different ones of at least two, each as often as its weight says; the first is what one alone would be. */
export function pickTwo<M extends Member>(candidates: readonly M[], nowMs: number, random: Random): readonly [M, M] {
  const first = drawByWeight(candidates, nowMs, random, undefined);
  return [first, drawByWeight(candidates, nowMs, random, first)];
}

function drawByWeight<M extends Member>(
  candidates: readonly M[],
  nowMs: number,
  random: Random,
  without: M | undefined,
): M {
  let total = 0;
  for (const each of candidates) if (each !== without) total += each.weightAt(nowMs);
  let left = random.next() * total;
  let last: M | undefined;
  for (const each of candidates) {
    if (each === without) continue;
    last = each;
    left -= each.weightAt(nowMs);
    if (left < 0) return each;
  }
  // Rounding left a rest: it is the last one's.
  return last as M;
}
