import type { Random } from "../base/index.ts";
import type { Picker } from "./picker.ts";

/** In turn, whatever the weights. A member that starts slowly is passed over as often as it lacks of its share. */
export function createRoundRobin(random: Random): Picker {
  // Not all processes of a fleet begin with the same one.
  let turn = random.uint32();
  return (candidates, nowMs) => {
    const count = candidates.length;
    for (let tries = 0; tries < count; tries++) {
      const member = candidates[turn++ % count] as (typeof candidates)[number];
      const share = member.weightAt(nowMs) / member.weight;
      if (share >= 1 || random.next() < share) return member;
    }
    return candidates[turn++ % count] as (typeof candidates)[number];
  };
}
