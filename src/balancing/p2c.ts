import type { Random } from "../base/index.ts";
import type { Member } from "./member.ts";
import { type Picker, pickTwo } from "./picker.ts";

/**
 * Of two at random the one that costs less: its latency as of late (peak EWMA) times what it has to do, this request
 * included (Finagle's P2C with Peak EWMA). A slow member is left alone within a few requests, before it fails.
 */
export function createP2c(random: Random): Picker {
  return (candidates, nowMs) => {
    if (candidates.length === 1) return candidates[0] as (typeof candidates)[number];
    const [one, other] = pickTwo(candidates, nowMs, random);
    return costOf(other, nowMs) < costOf(one, nowMs) ? other : one;
  };
}

/** Of a member that has not answered yet but has something to do: one request shows how fast it is, not a hundred. */
const unknownMs = 1000;

function costOf(member: Member, nowMs: number): number {
  const { latency, inFlight, weight } = member;
  const penalty = member.penaltyAt(nowMs);
  const latencyMs = latency.isKnown ? latency.at(nowMs) : inFlight === 0 && penalty === 1 ? 0 : unknownMs;
  return (latencyMs * penalty * (inFlight + 1)) / weight;
}
