import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, createSeededRandom, error, isError } from "../base/index.ts";
import { compileOperations, contract, method } from "../service/index.ts";
import { createTestScope } from "../service/testing.ts";
import { createLogger, createMetrics } from "../telemetry/index.ts";
import { readExposition } from "../telemetry/testing.ts";
import { createGuards } from "./guards.ts";

const operations = compileOperations(
  contract("stock", {
    methods: {
      look: method({ idempotent: true }),
      take: method({}),
      pay: method({ idempotent: "keyed" }),
      peek: method({ idempotent: true, hedge: { after: "50ms" } }),
    },
  }),
  [],
);
const look = operations.get("look");
const take = operations.get("take");
const pay = operations.get("pay");
const peek = operations.get("peek");
assert.ok(look && take && pay && peek);

function setUp() {
  const clock = createManualClock();
  const metrics = createMetrics({ clock });
  const guardOf = createGuards({
    clock,
    metrics,
    random: createSeededRandom(7),
    log: createLogger({ level: "silent" }),
  });
  const sampleOf = async (name: string, labels: Record<string, string> = {}): Promise<number | undefined> => {
    const { families } = readExposition((await metrics.render()).body, "prometheus");
    const samples = [...families.values()].flatMap((family) => family.samples);
    return samples.find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )?.value;
  };
  const scope = () => createTestScope({ deadline: clock.now() + 60_000 });
  return { clock, guardOf, sampleOf, scope };
}

test("a callee has one guard, however often it is asked for", () => {
  const { guardOf } = setUp();
  assert.equal(guardOf("stock"), guardOf("stock"));
  assert.notEqual(guardOf("stock"), guardOf("pricing"));
});

test("an idempotent method is tried again, another one is not", async () => {
  const { clock, guardOf, sampleOf, scope } = setUp();
  const attempts = { look: 0, take: 0 };
  const failing = (name: keyof typeof attempts) => async () => {
    attempts[name]++;
    throw error("unavailable", "away", { executed: "maybe" });
  };
  const pending = Promise.allSettled([
    guardOf("stock").policy(look)(failing("look"))({}, scope()),
    guardOf("stock").policy(take)(failing("take"))({}, scope()),
  ]);
  await clock.advance(5000);
  await pending;
  assert.deepEqual(attempts, { look: 3, take: 1 });
  assert.equal(await sampleOf("plinth_retries_total"), 2);
});

test("a method that honours keys is tried again for a call that carries one", async () => {
  const { clock, guardOf } = setUp();
  let attempts = 0;
  const policed = guardOf("stock").policy(pay)(async () => {
    attempts++;
    throw error("unavailable", "away", { executed: "maybe" });
  });
  const deadline = clock.now() + 60_000;
  const pending = Promise.allSettled([
    policed({}, createTestScope({ deadline })),
    policed({}, createTestScope({ deadline, idempotencyKey: "k" })),
  ]);
  await clock.advance(5000);
  await pending;
  assert.equal(attempts, 4);
});

test("a callee that keeps failing is left alone for a while, and the others are not", async () => {
  const { guardOf, sampleOf, scope } = setUp();
  const sick = guardOf("stock").policy(take)(async () => {
    throw error("internal", "broken");
  });
  for (let i = 0; i < 20; i++) await assert.rejects(sick({}, scope()));
  await assert.rejects(sick({}, scope()), (thrown) => isError(thrown, "CIRCUIT_OPEN") && thrown.executed === "no");
  assert.equal(await sampleOf("plinth_breaker_state"), 2);
  assert.equal(await guardOf("pricing").policy(take)(async () => 1)({}, scope()), 1);
});

test("streams that stay open take no call's place, and refusals are counted for both", async () => {
  const { clock, guardOf, sampleOf, scope } = setUp();
  const guard = guardOf("stock");
  const watching = guard.stream()(async function* () {
    yield 1;
    await new Promise(() => {});
  });
  const readers = Array.from({ length: 300 }, () => watching({}, scope())[Symbol.asyncIterator]());
  for (const reader of readers) assert.deepEqual(await reader.next(), { value: 1, done: false });
  assert.equal(await guard.policy(take)(async () => "served")({}, scope()), "served");
  assert.equal(await sampleOf("plinth_bulkhead_running", { kind: "stream" }), 300);

  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const held = guard.policy(take)(() => gate);
  const running = Array.from({ length: 1000 }, () => held({}, scope()));
  const waiting = Array.from({ length: 257 }, () => held({}, scope()));
  const refused = Promise.allSettled(waiting);
  // A refusal was never executed, so it is tried again, as far as the budget goes.
  await clock.advance(10_000);
  release();
  await Promise.all(running);
  for (const outcome of await refused) {
    assert.ok(outcome.status === "rejected" && isError(outcome.reason, "BULKHEAD_FULL"));
  }
  const refusals = await sampleOf("plinth_bulkhead_refused_total", { kind: "call" });
  assert.ok(refusals !== undefined && refusals >= 257, String(refusals));
  assert.ok(((await sampleOf("plinth_retries_refused_total")) ?? 0) > 0);
  assert.equal(await sampleOf("plinth_bulkhead_refused_total", { kind: "stream" }), 0);
});

test("a method with a hedge is asked a second time in another process, and never in this one", async () => {
  const { clock, guardOf, sampleOf, scope } = setUp();
  let calls = 0;
  const slow = async () => {
    const mine = ++calls;
    await clock.sleep(mine === 3 ? 10 : 100);
    return mine;
  };
  const here = guardOf("stock").policy(peek)(slow)({}, scope());
  await clock.advance(100);
  assert.deepEqual([await here, calls], [1, 1]);
  const elsewhere = guardOf("stock").policy(peek, "peer")(slow)({}, scope());
  await clock.advance(100);
  assert.deepEqual([await elsewhere, calls], [3, 3]);
  assert.equal(await sampleOf("plinth_hedges_total"), 1);
});

test("a hedge is refused where it could not be borne", () => {
  const problemsOf = (options: object): string => {
    const problems: string[] = [];
    compileOperations(contract("stock", { methods: { peek: method(options) } }), problems);
    return problems.join();
  };
  assert.match(problemsOf({ hedge: { after: "50ms" } }), /stock\.peek: hedge: .* declare idempotent: true/);
  assert.match(problemsOf({ hedge: { after: "50ms" }, idempotent: "keyed" }), /declare idempotent: true/);
  assert.match(problemsOf({ hedge: { after: "2m" }, idempotent: true }), /hedge\.after: "2m" cannot be/);
  assert.equal(problemsOf({ hedge: { after: "50ms" }, idempotent: true }), "");
});
