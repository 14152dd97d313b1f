import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createManualClock } from "../base/index.ts";
import { createMemoryLimits } from "./memory.ts";
import type { Rule } from "./rule.ts";

/** A limiter whose clock can be set to anything. */
function bench(startMs = 1_700_000_000_000) {
  const state = { nowMs: startMs };
  const clock = { ...createManualClock(), now: () => state.nowMs, wallNow: () => state.nowMs };
  const driver = createMemoryLimits({ clock });
  const ask = (rule: Rule, cost = 1) => {
    const taken = driver.take("s", [{ key: "a", rule, cost }]);
    if (taken instanceof Promise) throw new Error("memory answers at once");
    return taken;
  };
  return { state, ask };
}

const window: Rule = { kind: "window", quota: 10, windowMs: 60_000 };
const bucket: Rule = { kind: "bucket", quota: 60, burst: 10, windowMs: 60_000 };
const day: Rule = { kind: "calendar", quota: 10, period: "day" };

describe("the sums of limits", () => {
  test("never more than the quota in nine tenths of a window, whenever it is asked", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 1, max: 6 })), {
      maxLength: 120,
    });
    fc.assert(
      fc.property(steps, (list) => {
        const { state, ask } = bench();
        const taken: { at: number; cost: number }[] = [];
        for (const [waitMs, cost] of list) {
          state.nowMs += waitMs;
          if (ask(window, cost).allowed) taken.push({ at: state.nowMs, cost });
          const within = taken.filter(({ at }) => at > state.nowMs - 54_000).reduce((sum, { cost: c }) => sum + c, 0);
          assert.ok(within <= 10, `${within}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("never more than burst and flow from a bucket, and exactly that when it is always asked", () => {
    const { state, ask } = bench();
    let allowed = 0;
    for (let i = 0; i < 120_000; i += 100) {
      state.nowMs += 100;
      if (ask(bucket).allowed) allowed++;
    }
    assert.ok(Math.abs(allowed - (10 + 120)) <= 1, `${allowed}`);
  });

  test("asked all the time a window gives its quota for each window: within 1 % over an hour", () => {
    const { state, ask } = bench();
    let allowed = 0;
    for (let i = 0; i < 3_600_000; i += 500) {
      state.nowMs += 500;
      if (ask(window).allowed) allowed++;
    }
    assert.ok(allowed >= 600 && allowed <= 612, `${allowed} for 600 and the first ten`);
  });

  test("a refused demand fits after the time that it is told, and not a moment sooner", () => {
    const cases = fc.tuple(
      fc.constantFrom(window, bucket),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 15, maxLength: 30 }),
      fc.integer({ min: 1, max: 10 }),
    );
    fc.assert(
      fc.property(cases, ([rule, waits, cost]) => {
        const { state, ask } = bench();
        for (const waitMs of waits) {
          state.nowMs += waitMs / 10;
          ask(rule);
        }
        const { states, allowed } = ask(rule, cost);
        if (allowed) return;
        const retryMs = states[0]?.retryMs as number;
        state.nowMs += retryMs - 1;
        if (retryMs > 2) assert.equal(ask(rule, cost).allowed, false);
        state.nowMs += 1.01;
        assert.equal(ask(rule, cost).allowed, true);
      }),
      { numRuns: 200 },
    );
  });

  test("a clock that jumps ahead gives one quota, a clock that is set back none, and withholds none for longer than a window", () => {
    for (const rule of [window, bucket]) {
      const { state, ask } = bench();
      const drain = () => {
        let count = 0;
        while (ask(rule).allowed) count++;
        return count;
      };
      assert.equal(drain(), 10);
      state.nowMs += 365 * 86_400_000;
      assert.equal(drain(), 10);
      state.nowMs -= 365 * 86_400_000;
      assert.ok(drain() <= 10, rule.kind);
      assert.equal(drain(), 0);
      state.nowMs += 66_001;
      assert.equal(drain(), 10, rule.kind);
    }
  });

  test("a day begins anew at midnight, to the millisecond", () => {
    const { state, ask } = bench(Date.UTC(2026, 0, 31, 23, 59, 59, 999));
    assert.equal(ask(day, 10).allowed, true);
    assert.deepEqual([ask(day).allowed, ask(day).states[0]?.retryMs], [false, 1]);
    state.nowMs += 1;
    assert.deepEqual([ask(day, 10).allowed, ask(day, 0).states[0]?.resetMs], [true, 86_400_000]);
  });

  test("a month has the days that it has", () => {
    const month: Rule = { kind: "calendar", quota: 1, period: "month" };
    for (const [year, at, days] of [
      [2026, 1, 28],
      [2028, 1, 29],
      [2100, 1, 28],
      [2026, 11, 31],
    ] as const) {
      const { ask } = bench(Date.UTC(year, at, 1));
      ask(month);
      assert.equal(ask(month).states[0]?.retryMs, days * 86_400_000);
    }
  });
});
