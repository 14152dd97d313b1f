import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Call, ManualClock, Policy } from "../base/index.ts";
import { createManualClock, createSeededRandom, error, isError } from "../base/index.ts";
import type { Bulkhead } from "./bulkhead.ts";
import { createBulkhead } from "./bulkhead.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { createCircuitBreaker } from "./circuit-breaker.ts";
import { deadline } from "./deadline.ts";
import { guarded } from "./guarded.ts";
import { compose } from "./policy.ts";
import { retry } from "./retry.ts";
import type { RetryBudget } from "./retry-budget.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { pendingCall, scopeOn } from "./scope.fixture.ts";

interface Guard {
  readonly clock: ManualClock;
  readonly breaker: CircuitBreaker;
  readonly bulkhead: Bulkhead;
  readonly budget: RetryBudget;
  readonly policy: Policy;
  readonly retries: number[];
}

function guard(kind: "composed" | "in one step" | "in one step, of a call that ends itself"): Guard {
  const clock = createManualClock();
  const breaker = createCircuitBreaker({ name: "stock", clock, callsMin: 4 });
  const bulkhead = createBulkhead({ name: "stock", concurrentMax: 2, queueMax: 1, clock });
  const budget = createRetryBudget({ clock });
  const retries: number[] = [];
  const options = {
    idempotent: true,
    budget,
    clock,
    random: createSeededRandom(1),
    onRetry: (_: unknown, attempt: number) => retries.push(attempt),
  };
  const policy =
    kind === "composed"
      ? compose([retry(options), breaker.policy, bulkhead.policy, deadline({ clock })])
      : guarded({ retry: options, breaker, bulkhead, clock, endsItself: kind.endsWith("itself") });
  return { clock, breaker, bulkhead, budget, policy, retries };
}

const down = () => error("unavailable", "Down.", { reason: "DOWN" });

/** How a call ended, and all that can be seen of its guard. */
async function outcome({ clock, breaker, bulkhead, budget, retries }: Guard, answer: Promise<unknown>) {
  const settled = answer.then(
    (value) => ({ value }),
    ({ code, reason, executed, retry: when }) => ({ code, reason, executed, when }),
  );
  await clock.advance(6000);
  const { state, callCount, failureCount, refusedCount } = breaker;
  const { runningCount, queuedCount } = bulkhead;
  return {
    end: await settled,
    breaker: { state, callCount, failureCount, refusedCount },
    bulkhead: { runningCount, queuedCount, refused: bulkhead.refusedCount },
    budget: budget.balance,
    retries,
  };
}

/** Each begins with a guard of its own, and ends with a call whose outcome is compared. */
const stories: Readonly<Record<string, (guard: Guard) => Promise<unknown>>> = {
  "a call that succeeds": ({ policy, clock }) => policy(async () => 7)({}, scopeOn(clock)),
  "a call that fails once": ({ policy, clock }) => {
    let count = 0;
    return policy(async (_request, { attempt }) => {
      if (count++ === 0) throw down();
      return attempt;
    })({}, scopeOn(clock));
  },
  "a call that fails each time": ({ policy, clock }) => policy(() => Promise.reject(down()))({}, scopeOn(clock)),
  "a call that throws before there is a promise": ({ policy, clock }) => {
    const call: Call = () => {
      throw error("invalid_argument", "Never.", { reason: "NEVER" });
    };
    return policy(call)({}, scopeOn(clock));
  },
  "a call that was cancelled before": ({ policy, clock }) => {
    const scope = scopeOn(clock);
    scope.cancel(error("cancelled", "Gone."));
    return policy(() => assert.fail("called"))({}, scope);
  },
  "a call whose time is over": ({ policy, clock }) =>
    policy(() => assert.fail("called"))({}, scopeOn(clock, { remainingMs: 0 })),
  "a call of a sick callee": async ({ policy, clock }) => {
    const failing = policy(() => Promise.reject(error("internal", "Broken.")));
    for (let n = 0; n < 4; n++) await failing({}, scopeOn(clock)).catch(() => {});
    return failing({}, scopeOn(clock));
  },
  "a probe": async ({ policy, clock }) => {
    const failing = policy(() => Promise.reject(error("internal", "Broken.")));
    for (let n = 0; n < 4; n++) await failing({}, scopeOn(clock)).catch(() => {});
    await clock.advance(6000);
    return policy(async () => "well again")({}, scopeOn(clock));
  },
  "a call that waits for a place": ({ policy, clock }) => {
    const held = pendingCall();
    const call = policy(held.call);
    const answers = [0, 1, 2].map(() => call({}, scopeOn(clock)));
    for (const n of [1, 2]) held.resolve(n);
    queueMicrotask(() => clock.after(10, () => held.resolve(3)));
    return Promise.all(answers);
  },
  "a call for which there is no place": ({ policy, clock }) => {
    const call = policy(pendingCall().call);
    for (let n = 0; n < 3; n++) call({}, scopeOn(clock, { remainingMs: 200 })).catch(() => {});
    return call({}, scopeOn(clock));
  },
};

describe("a guard in one step", () => {
  for (const [name, story] of Object.entries(stories)) {
    test(`does with ${name} what its policies do one by one`, async () => {
      const composed = guard("composed");
      const expected = await outcome(composed, story(composed));
      for (const kind of ["in one step", "in one step, of a call that ends itself"] as const) {
        if (name === "a call for which there is no place" && kind !== "in one step") continue;
        const own = guard(kind);
        assert.deepEqual(await outcome(own, story(own)), expected);
      }
    });
  }

  for (const kind of ["composed", "in one step"] as const) {
    test(`lets the caller go whose time is over, and drops what comes later (${kind})`, async () => {
      const own = guard(kind);
      const held = pendingCall();
      const answer = own.policy(held.call)({}, scopeOn(own.clock, { remainingMs: 100 }));
      const rejected = assert.rejects(answer, (thrown) => isError(thrown, "deadline_exceeded"));
      await own.clock.advance(150);
      await rejected;
      assert.deepEqual([own.bulkhead.runningCount, own.breaker.failureCount], [0, 1]);
      held.resolve("late");
      await own.clock.advance(10);
      assert.deepEqual([own.bulkhead.runningCount, own.breaker.callCount], [0, 1]);
    });
  }

  test("drops a failure that comes after the caller went away", async () => {
    const own = guard("in one step");
    const held = pendingCall();
    const scope = scopeOn(own.clock);
    const answer = own.policy(held.call)({}, scope);
    scope.cancel(error("cancelled", "Gone.", { reason: "GONE" }));
    await assert.rejects(answer, (thrown) => isError(thrown, "GONE"));
    held.reject(down());
    await own.clock.advance(100);
    assert.deepEqual([own.bulkhead.runningCount, own.breaker.callCount, own.retries], [0, 0, []]);
  });
});
