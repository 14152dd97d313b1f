import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallContext } from "../base/index.ts";
import { createManualClock, error } from "../base/index.ts";
import { hedge } from "./hedge.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { scopeOn as scope } from "./scope.fixture.ts";

interface Try {
  readonly context: CallContext;
  answer(value: unknown): void;
  fail(thrown: unknown): void;
}

function stage(budget?: ReturnType<typeof createRetryBudget>) {
  const clock = createManualClock();
  const tries: Try[] = [];
  let hedges = 0;
  const policy = hedge({ afterMs: 50, clock, budget, onHedge: () => void hedges++ });
  const call = policy(
    (_request, context) =>
      new Promise((resolve, reject) => void tries.push({ context, answer: resolve, fail: reject })),
  );
  return {
    clock,
    tries,
    call: (context = scope(clock)) => call({}, context),
    get hedges() {
      return hedges;
    },
    get: (i: number) => tries[i] as Try,
  };
}

describe("a hedge", () => {
  it("asks once where the answer is in time", async () => {
    const { call, clock, tries, get } = stage();
    const answer = call();
    await clock.advance(49);
    get(0).answer(1);
    assert.equal(await answer, 1);
    await clock.advance(100);
    assert.equal(tries.length, 1);
  });

  it("asks a second time when it is late, takes the faster answer, and cancels the other try", async () => {
    for (const winner of [0, 1]) {
      const { call, clock, tries, get } = stage();
      const answer = call();
      await clock.advance(50);
      assert.equal(tries.length, 2);
      get(winner).answer(winner);
      assert.equal(await answer, winner);
      assert.equal(get(1 - winner).context.cancelled?.reason, "HEDGE_LOST");
      get(1 - winner).answer("late");
      await clock.advance(1_000);
      assert.equal(tries.length, 2, "never a third");
    }
  });

  it("waits for the other when one fails, and tells the first failure when both do", async () => {
    const { call, clock, get } = stage();
    const answer = call();
    await clock.advance(50);
    get(0).fail(error("unavailable", "first"));
    get(1).answer("second");
    assert.equal(await answer, "second");

    const other = stage();
    const failing = other.call();
    await other.clock.advance(50);
    other.get(1).fail(error("unavailable", "second"));
    other.get(0).fail(error("unavailable", "first"));
    await assert.rejects(failing, { message: "second" });
  });

  it("leaves a failure before the second try to others", async () => {
    const { call, clock, tries, get } = stage();
    const answer = call();
    get(0).fail(error("unavailable", "broken"));
    await assert.rejects(answer, { message: "broken" });
    await clock.advance(100);
    assert.equal(tries.length, 1);
  });

  it("keeps to the budget of retries", async () => {
    const clock = createManualClock();
    const { call, clock: own, tries, get } = stage(createRetryBudget({ clock, ratio: 0, floorPerSecond: 0 }));
    const answer = call();
    await own.advance(60);
    assert.equal(tries.length, 1);
    get(0).answer(1);
    assert.equal(await answer, 1);
  });

  it("is left out where there would be no time for it, and stops when the caller has gone", async () => {
    const { call, clock, tries, get } = stage();
    const hurried = call(scope(clock, { deadline: clock.now() + 40 }));
    await clock.advance(60);
    assert.equal(tries.length, 1);
    get(0).answer(1);
    await hurried;
    const leaving = scope(clock);
    const answer = call(leaving);
    leaving.cancel(error("cancelled", "gone"));
    await clock.advance(60);
    assert.equal(tries.length, 2);
    get(1).fail(leaving.cancelled);
    await assert.rejects(answer, { message: "gone" });
  });

  it("counts, and takes what is thrown at once for a failure", async () => {
    const { call, clock, hedges } = stage();
    assert.equal(hedges, 0);
    void call().catch(() => {});
    await clock.advance(50);
    const throwing = hedge({ afterMs: 10, clock })(() => {
      throw error("unavailable", "at once");
    });
    await assert.rejects(throwing({}, scope(clock)), { message: "at once" });
  });
});
