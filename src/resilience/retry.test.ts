import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call, PlinthError } from "../base/index.ts";
import { createManualClock, createSeededRandom, error } from "../base/index.ts";
import type { RetryOptions } from "./retry.ts";
import { retry } from "./retry.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { scopeOn } from "./scope.fixture.ts";

const notRun = () => error("unavailable", "down", { executed: "no" });
const maybeRun = () => error("unavailable", "reply lost", { executed: "maybe" });

/** Fails with the given errors, one after the other, then answers. Notes each attempt's number and time. */
function failing(errors: (() => unknown)[]) {
  const clock = createManualClock();
  const attempts: number[] = [];
  const times: number[] = [];
  const call: Call = async (_request, context) => {
    attempts.push(context.attempt);
    times.push(clock.now());
    const next = errors.shift();
    if (next) throw next();
    return "answer";
  };
  return { clock, attempts, times, call };
}

async function run(
  { clock, call }: ReturnType<typeof failing>,
  options: RetryOptions = {},
  fields: Parameters<typeof scopeOn>[1] = {},
) {
  const policy = retry({ clock, random: createSeededRandom(1), ...options });
  const answer = policy(call)("x", scopeOn(clock, fields)).then(
    (value) => ({ value }),
    (thrown: PlinthError) => ({ thrown }),
  );
  await clock.advance(10_000);
  return (await answer) as { value?: unknown; thrown: PlinthError };
}

test("does a call once when it succeeds, with the caller's own context", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock);
  const same = await retry({ clock })(async (_request, context) => context === scope)("x", scope);
  assert.equal(same, true);
});

test("tries again what did not happen, at most three times, and numbers the attempts", async () => {
  const twice = failing([notRun, notRun]);
  assert.equal((await run(twice)).value, "answer");
  assert.deepEqual(twice.attempts, [1, 2, 3]);

  const always = failing([notRun, notRun, notRun, notRun]);
  assert.equal((await run(always)).thrown.code, "unavailable");
  assert.deepEqual(always.attempts, [1, 2, 3]);
});

for (const { name, options, fields, attempts } of [
  { name: "does not repeat what may have happened", options: {}, fields: {}, attempts: 1 },
  {
    name: "repeats what may have happened if the method is idempotent",
    options: { idempotent: true },
    fields: {},
    attempts: 2,
  },
  {
    name: "repeats what may have happened if the method honours keys and the call has one",
    options: { keyed: true },
    fields: { idempotencyKey: "k" },
    attempts: 2,
  },
  {
    name: "does not repeat what may have happened if the call has a key that the method does not honour",
    options: {},
    fields: { idempotencyKey: "k" },
    attempts: 1,
  },
  {
    name: "does not repeat what may have happened if the method honours keys and the call has none",
    options: { keyed: true },
    fields: {},
    attempts: 1,
  },
]) {
  test(name, async () => {
    const calls = failing([maybeRun]);
    await run(calls, options, fields);
    assert.equal(calls.attempts.length, attempts);
  });
}

test("passes the idempotency key on to each attempt", async () => {
  const clock = createManualClock();
  const keys: unknown[] = [];
  const call: Call = async (_request, context) => {
    keys.push(context.idempotencyKey);
    throw maybeRun();
  };
  const outcome = assert.rejects(retry({ clock, keyed: true })(call)("x", scopeOn(clock, { idempotencyKey: "k" })));
  await clock.advance(5000);
  await outcome;
  assert.deepEqual(keys, ["k", "k", "k"]);
});

for (const { name, make, attempts } of [
  { name: "repeats aborted", make: () => error("aborted", "conflict"), attempts: 2 },
  {
    name: "repeats resource_exhausted that names a time",
    make: () => error("resource_exhausted", "full", { retry: 10 }),
    attempts: 2,
  },
  {
    name: "leaves resource_exhausted without a time alone",
    make: () => error("resource_exhausted", "full"),
    attempts: 1,
  },
  {
    name: "leaves an error alone that says never",
    make: () => error("unavailable", "no", { retry: "never" }),
    attempts: 1,
  },
  {
    name: "leaves a caller's mistake alone",
    make: () => error("invalid_argument", "no", { executed: "no" }),
    attempts: 1,
  },
  { name: "leaves an unknown exception alone", make: () => new TypeError("bug"), attempts: 1 },
  {
    name: "leaves alone what the callee passes on, although it names a time",
    make: () => error("unavailable", "further down", { retry: 10, executed: "yes" }),
    attempts: 1,
  },
  { name: "leaves deadline_exceeded alone", make: () => error("deadline_exceeded", "late"), attempts: 1 },
]) {
  test(name, async () => {
    const calls = failing([make]);
    await run(calls, { idempotent: true });
    assert.equal(calls.attempts.length, attempts);
  });
}

test("waits a random time up to 50 ms, then up to 100 ms", async () => {
  const waits: number[] = [];
  for (let seed = 0; seed < 50; seed++) {
    const calls = failing([notRun, notRun]);
    await run(calls, { random: createSeededRandom(seed) });
    waits.push((calls.times[1] as number) - (calls.times[0] as number));
    waits.push((calls.times[2] as number) - (calls.times[1] as number));
  }
  const first = waits.filter((_, index) => index % 2 === 0);
  const second = waits.filter((_, index) => index % 2 === 1);
  assert.ok(Math.max(...first) <= 50 && Math.max(...first) > 40 && Math.min(...first) < 10, String(first));
  assert.ok(Math.max(...second) <= 100 && Math.max(...second) > 60, String(second));
});

test("gives a callee the time that it asks for", async () => {
  const calls = failing([() => error("unavailable", "soon", { executed: "no", retry: 700 })]);
  await run(calls);
  const waited = (calls.times[1] as number) - (calls.times[0] as number);
  assert.ok(waited >= 700 && waited <= 750, String(waited));
});

test("does not wait for a time beyond its cap, and leaves that time for the caller to read", async () => {
  const calls = failing([() => error("unavailable", "later", { executed: "no", retry: 4000 })]);
  assert.equal((await run(calls)).thrown.retry, 4000);
  assert.equal(calls.attempts.length, 1);
});

test("never waits beyond the deadline", async () => {
  const calls = failing([() => error("unavailable", "soon", { executed: "no", retry: 300 })]);
  await run(calls, {}, { remainingMs: 200 });
  assert.equal(calls.attempts.length, 1);
});

test("ends its wait when the caller goes away", async () => {
  const calls = failing([() => error("unavailable", "soon", { executed: "no", retry: 1000 })]);
  const scope = scopeOn(calls.clock);
  const outcome = assert.rejects(retry({ clock: calls.clock })(calls.call)("x", scope), { code: "cancelled" });
  await calls.clock.advance(100);
  scope.cancel(error("cancelled", "gone"));
  await outcome;
  assert.equal(calls.attempts.length, 1);
});

test("tells the layers above not to retry what it has retried", async () => {
  const { thrown } = await run(failing([notRun, notRun, notRun]));
  assert.equal(thrown.retry, "never");
  assert.equal(thrown.executed, "no");
});

test("says that the work may have happened if any attempt may have done it", async () => {
  const { thrown } = await run(failing([maybeRun, notRun, notRun]), { idempotent: true });
  assert.equal(thrown.executed, "maybe");
});

test("multiplies nothing over four layers: the leaf is asked three times, not 81", async () => {
  const clock = createManualClock();
  let asked = 0;
  let call: Call = async () => {
    asked++;
    throw notRun();
  };
  for (let layer = 0; layer < 4; layer++) call = retry({ clock, idempotent: true })(call);
  const outcome = assert.rejects(call("x", scopeOn(clock)));
  await clock.advance(5000);
  await outcome;
  assert.equal(asked, 3);
});

test("adds at most its budget to the load of a callee that fails all the time", async () => {
  const clock = createManualClock();
  const budget = createRetryBudget({ clock, floorPerSecond: 1 });
  let asked = 0;
  const call = retry({ clock, budget })(async () => {
    asked++;
    throw notRun();
  });
  const outcomes: Promise<void>[] = [];
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 100; i++) outcomes.push(assert.rejects(call("x", scopeOn(clock)), { retry: "never" }));
    await clock.advance(1000);
  }
  await Promise.all(outcomes);
  assert.ok(asked / 2000 <= 1.2, `${asked} calls for 2000 requests`);
  assert.ok(asked > 2050);
  assert.ok(budget.refusedCount > 1000);
});

test("reports each retry with the number of the attempt to come", async () => {
  const seen: number[] = [];
  await run(failing([notRun, notRun]), { onRetry: (_error, attempt) => seen.push(attempt) });
  assert.deepEqual(seen, [2, 3]);
});

test("a budget has a floor, fills with requests, and forgets after its window", async () => {
  const clock = createManualClock();
  const budget = createRetryBudget({ clock, ratio: 0.1, floorPerSecond: 0.1, window: "10s" });
  assert.equal(budget.balance, 1);
  assert.equal(budget.withdraw(), true);
  assert.equal(budget.withdraw(), false);
  for (let i = 0; i < 20; i++) budget.deposit();
  assert.equal(budget.balance, 2);
  await clock.advance(11_000);
  assert.equal(budget.balance, 1);
});
