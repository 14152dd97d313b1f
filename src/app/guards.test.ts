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
    methods: { look: method({ idempotent: true }), take: method({}), pay: method({ idempotent: "keyed" }) },
  }),
  [],
);
const look = operations.get("look");
const take = operations.get("take");
const pay = operations.get("pay");
assert.ok(look && take && pay);

function setUp() {
  const clock = createManualClock();
  const metrics = createMetrics({ clock });
  const guardOf = createGuards({
    clock,
    metrics,
    random: createSeededRandom(7),
    log: createLogger({ level: "silent" }),
  });
  const sampleOf = async (name: string): Promise<number | undefined> => {
    const { families } = readExposition((await metrics.render()).body, "prometheus");
    return [...families.values()].flatMap((family) => family.samples).find((sample) => sample.name === name)?.value;
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
