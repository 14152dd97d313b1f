import type { Picker } from "./picker.ts";

/**
 * In turn, each as often as its weight says, and evenly mixed: weights 5, 1, 1 give a a b a c a a. Each turn every member
 * earns its weight, and the richest is taken and pays for all (nginx's smooth weighted round robin).
 */
export function createWeighted(): Picker {
  return (candidates, nowMs) => {
    let total = 0;
    let richest = candidates[0] as (typeof candidates)[number];
    for (const member of candidates) {
      const weight = member.weightAt(nowMs);
      total += weight;
      member.credit += weight;
      if (member.credit > richest.credit) richest = member;
    }
    richest.credit -= total;
    return richest;
  };
}
