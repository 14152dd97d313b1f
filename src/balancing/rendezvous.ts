import type { Random } from "../base/index.ts";
import type { Member } from "./member.ts";
import { hashOf, mix } from "./member.ts";
import { type Picker, pickByWeight } from "./picker.ts";

/**
 * Requests with one key go to one member, in each process the same one. Each pair of key and member has a score, and the
 * highest wins (weighted rendezvous hashing, Mosharaf et al.): when a member leaves or comes, only its own keys move.
 *
 * With bounded load (Mirrokni et al., 2017): a member that has more than `loadMax` times its fair part of what is under way
 * is passed over, and the key goes to its next best. Costs a logarithm for each member. Slow start does not touch it, for
 * that would move keys twice.
 */
export function createRendezvous(random: Random, loadMax = 1.25): Picker {
  return (candidates, nowMs, key) => {
    if (key === undefined) return pickByWeight(candidates, nowMs, random);
    let weights = 0;
    let inFlight = 1;
    for (const member of candidates) {
      weights += member.weight;
      inFlight += member.inFlight;
    }
    const hash = hashOf(key);
    // Somebody is always below: all of them together have less than that.
    let best = candidates[0] as (typeof candidates)[number];
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const member of candidates) {
      if (member.inFlight + 1 > Math.ceil((loadMax * inFlight * member.weight) / weights)) continue;
      const score = scoreOf(member, hash);
      if (score <= bestScore) continue;
      best = member;
      bestScore = score;
    }
    return best;
  };
}

function scoreOf(member: Member, keyHash: number): number {
  // Between 0 and 1, and neither.
  const chance = (mix(keyHash ^ member.hash) + 0.5) / 0x1_0000_0000;
  return -member.weight / Math.log(chance);
}
