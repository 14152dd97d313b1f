import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lane } from "./adaptive-limit.ts";
import { createAdaptiveLimit, createLane } from "./adaptive-limit.ts";

function stage(max = 1_000) {
  const limit = createAdaptiveLimit({ max });
  let nowMs = 0;
  return {
    limit,
    /** One second: requests of some lanes, and the most in flight. */
    second(peak: number, ...kinds: readonly (readonly [lane: Lane, count: number, durationMs: number])[]) {
      for (const [lane, count, durationMs] of kinds) for (let i = 0; i < count; i++) limit.note(lane, durationMs);
      nowMs += 1_000;
      if (limit.isDue(nowMs)) limit.advance(nowMs, peak);
      return limit.limit;
    },
  };
}

describe("the adaptive limit", () => {
  it("begins at its maximum and stays there while nothing becomes slower", () => {
    const { second } = stage();
    const lane = createLane();
    for (let i = 0; i < 30; i++) assert.equal(second(900, [lane, 100, 50]), 1_000);
  });

  it("sinks from what was in flight when durations double, by a tenth a second and a little, not below 20", () => {
    const { second } = stage();
    const lane = createLane();
    for (let i = 0; i < 10; i++) second(40, [lane, 100, 50]);
    // Gradient 0.5, from 200: a fifth of the way to 104.
    assert.equal(Math.round(second(200, [lane, 100, 500])), 181);
    let last = 181;
    for (let i = 0; i < 60; i++) last = second(last, [lane, 100, 500]);
    assert.ok(last >= 20 && last < 21, `${last}`);
  });

  it("is not moved by a few requests of a kind that take for ever", () => {
    const { second } = stage();
    const lane = createLane();
    for (let i = 0; i < 30; i++) assert.equal(second(200, [lane, 100, 20], [lane, 10, i < 10 ? 20 : 25_000]), 1_000);
  });

  it("rises again while at least half of it is used, and not when less is", () => {
    const { second } = stage();
    const lane = createLane();
    for (let i = 0; i < 10; i++) second(40, [lane, 100, 50]);
    const low = second(100, [lane, 100, 500]);
    assert.equal(second(10, [lane, 100, 50]), low);
    const risen = second(low, [lane, 100, 50]);
    assert.ok(risen > low * 1.09 && risen < low * 1.11, `${low} → ${risen}`);
    for (let i = 0; i < 60; i++) second(1_000, [lane, 100, 50]);
    assert.equal(second(1_000, [lane, 100, 50]), 1_000, "not above its maximum");
  });

  it("takes no change in the mix of kinds for slowness", () => {
    const { second } = stage();
    const quick = createLane();
    const slow = createLane();
    for (let i = 0; i < 10; i++) second(100, [quick, 95, 5], [slow, 5, 500]);
    for (let i = 0; i < 10; i++) assert.equal(second(100, [quick, 5, 5], [slow, 95, 500]), 1_000);
  });

  it("is not moved by a few kinds whose dependency is slow", () => {
    const { second } = stage();
    const lanes = [createLane(), createLane(), createLane()] as const;
    for (let i = 0; i < 10; i++) second(100, ...lanes.map((lane) => [lane, 50, 50] as const));
    const sick = second(100, [lanes[0], 50, 5_000], [lanes[1], 50, 50], [lanes[2], 50, 50]);
    assert.equal(sick, 1_000);
    const all = second(100, ...lanes.map((lane) => [lane, 50, 5_000] as const));
    assert.ok(all < 100);
  });

  it("calls nothing slow that is slower by less than 20 ms, and nothing by fewer than 10 samples", () => {
    const { second, limit } = stage();
    const lane = createLane();
    for (let i = 0; i < 10; i++) second(10, [lane, 100, 1]);
    assert.equal(second(10, [lane, 100, 19]), 1_000);
    assert.equal(second(10, [lane, 9, 5_000]), 1_000);
    assert.equal(limit.isDue(1e9), false);
  });

  it("forgets sooner what it learned in a bad time", () => {
    const { second } = stage();
    const lane = createLane();
    for (let i = 0; i < 11; i++) second(10, [lane, 100, 1_000]);
    for (let i = 0; i < 40; i++) second(10, [lane, 100, 50]);
    assert.ok(lane.longMs < 110, `${lane.longMs}`);
  });
});
