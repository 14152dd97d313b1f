import type { Random } from "../base/index.ts";
import { type Picker, pickTwo } from "./picker.ts";

/**
 * Of two at random the one with fewer requests under way for its weight (Mitzenmacher, "The Power of Two Choices", 2001):
 * nearly as even as looking at all, and without a herd that runs to the same idle one.
 */
export function createLeastRequest(random: Random): Picker {
  return (candidates, nowMs) => {
    if (candidates.length === 1) return candidates[0] as (typeof candidates)[number];
    const [one, other] = pickTwo(candidates, nowMs, random);
    return other.inFlight / other.weight < one.inFlight / one.weight ? other : one;
  };
}
