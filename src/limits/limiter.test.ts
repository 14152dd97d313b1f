import assert from "node:assert/strict";
import { stat } from "node:fs";
import { describe, test } from "node:test";
import { createManualClock } from "../base/index.ts";
import type { Demand, Taken } from "./driver.ts";
import { createFaultyLimits } from "./faulty.ts";
import { createLimiter } from "./limiter.ts";
import { createMemoryLimits } from "./memory.ts";
import type { Rule } from "./rule.ts";

const one = (key: string, rule: Rule): Demand[] => [{ key, rule, cost: 1 }];
const window = (quota: number): Rule => ({ kind: "window", quota, windowMs: 60_000 });
const places = (quota: number): Rule => ({ kind: "places", quota, holdMs: 30_000 });

describe("a limiter whose store does not answer", () => {
  test("asks three times, then once in each half second, and waits for none of them longer than it may", async () => {
    const clock = createManualClock();
    const changes: boolean[] = [];
    const driver = createFaultyLimits(createMemoryLimits({ clock }), { faults: { hang: true }, clock });
    const limiter = createLimiter({ driver, clock, whenDown: "allow", onChange: (isDown) => changes.push(isDown) });
    await limiter.open();
    for (let i = 0; i < 3; i++) {
      const asked = limiter.take("s", one("a", window(1)));
      await clock.advance(80);
      assert.equal((await asked).by, "none");
    }
    assert.deepEqual([driver.operationCount, changes], [3, [true]]);
    for (let i = 0; i < 100; i++) assert.equal((await limiter.take("s", one("a", window(1)))).by, "none");
    assert.equal(driver.operationCount, 3);
    await clock.advance(500);
    driver.faults.hang = false;
    assert.equal((await limiter.take("s", one("a", window(1)))).by, "store");
    assert.deepEqual([driver.operationCount, changes], [4, [true, false]]);
    assert.deepEqual(limiter.stats, { failureCount: 3, withoutStoreCount: 103, isDown: false, leaseCount: 0 });
    await limiter.close();
  });

  test("local: a process has its part of each quota, at least one", async () => {
    const clock = createManualClock();
    const driver = createFaultyLimits(createMemoryLimits({ clock }), { faults: { errorRate: 1 } });
    const limiter = createLimiter({ driver, clock, processes: 4 });
    const allowed = async (rule: Rule) => {
      let count = 0;
      for (let i = 0; i < 100; i++) if ((await limiter.take("s", one(JSON.stringify(rule), rule))).allowed) count++;
      return count;
    };
    assert.equal(await allowed(window(40)), 10);
    assert.equal(await allowed(window(3)), 1);
    assert.equal(await allowed({ kind: "bucket", quota: 40, burst: 8, windowMs: 60_000 }), 2);
    assert.equal(await allowed({ kind: "calendar", quota: 80, period: "day" }), 20);
    assert.equal(await allowed(places(8)), 2);
  });

  test("local: a store that goes away in the middle of a window leaves each process what it has not used yet", async () => {
    const clock = createManualClock();
    const driver = createFaultyLimits(createMemoryLimits({ clock }));
    const limiter = createLimiter({ driver, clock, processes: 2 });
    const allowed = async (count: number) => {
      let sum = 0;
      for (let i = 0; i < count; i++) if ((await limiter.take("s", one("a", window(20)))).allowed) sum++;
      return sum;
    };
    assert.equal(await allowed(7), 7);
    driver.faults.errorRate = 1;
    assert.equal(await allowed(20), 3);
    driver.faults.errorRate = 0;
    await clock.advance(500);
    assert.equal(await allowed(20), 13);
    driver.faults.errorRate = 1;
    assert.equal(await allowed(20), 0);
    await clock.advance(67_000);
    assert.equal(await allowed(20), 10);
  });

  test("an answer that is there when this process goes on after standing still is not too late", async () => {
    const memory = createMemoryLimits();
    const blocking = {
      ...createFaultyLimits(memory),
      // Known while this process stands still, and heard of in the phase of sockets, after the timers that are due by then.
      take: (slot: string, demands: readonly Demand[]) =>
        new Promise<Taken>((resolve) => stat(".", () => resolve(memory.take(slot, demands)))),
    };
    const limiter = createLimiter({ driver: blocking, timeout: "5ms" });
    const asked = limiter.take("s", one("a", window(1)));
    const until = performance.now() + 150;
    while (performance.now() < until);
    assert.equal((await asked).by, "store");
  });

  test("refuse: nothing passes, and the reason is named", async () => {
    const driver = createFaultyLimits(createMemoryLimits(), { faults: { errorRate: 1 } });
    const limiter = createLimiter({ driver, whenDown: "refuse" });
    for (let i = 0; i < 3; i++) {
      await assert.rejects(async () => limiter.take("s", one("a", window(1))), { reason: "LIMITS_UNAVAILABLE" });
    }
    assert.throws(() => limiter.take("s", one("a", window(1))), { reason: "LIMITS_UNAVAILABLE", code: "unavailable" });
  });

  test("a place that was taken too late for anybody is given back", async () => {
    const clock = createManualClock();
    const memory = createMemoryLimits({ clock });
    let answer: (() => void) | undefined;
    const slow = {
      ...createFaultyLimits(memory),
      take: (slot: string, demands: readonly Demand[]) =>
        new Promise<Taken>((resolve) => {
          answer = () => resolve(memory.take(slot, demands));
        }),
    };
    const limiter = createLimiter({ driver: slow, clock, whenDown: "allow" });
    const asked = limiter.take("s", one("a", places(1)));
    await clock.advance(80);
    assert.equal((await asked).by, "none");
    (answer as () => void)();
    await clock.advance(1);
    const { allowed } = await memory.take("s", [{ key: "a", rule: places(1), cost: 1, holder: "next" }]);
    assert.equal(allowed, true);
  });
});

describe("places", () => {
  test("are given back when their request ends, once", async () => {
    const driver = createFaultyLimits(createMemoryLimits());
    const limiter = createLimiter({ driver });
    const { lease } = await limiter.take("s", one("a", places(1)));
    assert.equal((await limiter.take("s", one("a", places(1)))).allowed, false);
    assert.equal(limiter.stats.leaseCount, 1);
    lease?.release();
    lease?.release();
    assert.deepEqual([limiter.stats.leaseCount, driver.operationCount], [0, 3]);
    assert.equal((await limiter.take("s", one("a", places(1)))).allowed, true);
  });

  test("that are held for longer than their time are renewed, all of a slot at once", async () => {
    const clock = createManualClock();
    const driver = createFaultyLimits(createMemoryLimits({ clock }), { clock });
    const limiter = createLimiter({ driver, clock });
    await limiter.open();
    const leases = [];
    for (let i = 0; i < 3; i++) leases.push((await limiter.take("s", one("a", places(3)))).lease);
    await clock.advance(120_000);
    assert.equal((await limiter.take("s", one("a", places(3)))).allowed, false);
    assert.equal(driver.operationCount, 3 + 12 + 1);
    for (const lease of leases) lease?.release();
    await clock.advance(1);
    assert.equal((await limiter.take("s", one("a", places(3)))).allowed, true);
    await limiter.close();
  });

  test("of a process that is gone are free after 30 s", async () => {
    const clock = createManualClock();
    const store = createMemoryLimits({ clock });
    // Without `open` nothing renews: what is left of a process that was killed.
    const dead = createLimiter({ driver: createFaultyLimits(store), clock });
    await dead.take("s", one("a", places(1)));
    const alive = createLimiter({ driver: createFaultyLimits(store), clock });
    await clock.advance(29_000);
    assert.equal((await alive.take("s", one("a", places(1)))).allowed, false);
    await clock.advance(1001);
    assert.equal((await alive.take("s", one("a", places(1)))).allowed, true);
  });

  test("of a process that ends are given back", async () => {
    const store = createMemoryLimits();
    const limiter = createLimiter({ driver: { ...createFaultyLimits(store), close: async () => {} } });
    await limiter.take("s", one("a", places(1)));
    const taken = async () => (await store.take("s", [{ key: "a", rule: places(1), cost: 1, holder: "x" }])).allowed;
    assert.equal(await taken(), false);
    await limiter.close();
    assert.equal(await taken(), true);
  });

  test("a store that fails to take them back is not waited for", async () => {
    const driver = createFaultyLimits(createMemoryLimits());
    const limiter = createLimiter({ driver });
    const { lease } = await limiter.take("s", one("a", places(1)));
    driver.faults.errorRate = 1;
    lease?.release();
    await limiter.close();
    assert.equal(limiter.stats.leaseCount, 0);
  });
});

test("wrong options stop the start", () => {
  const driver = createMemoryLimits();
  assert.throws(() => createLimiter({ driver, timeout: "0ms" }), /timeout "0ms" cannot be/);
  assert.throws(() => createLimiter({ driver, timeout: "1m" }), /timeout/);
  assert.throws(() => createLimiter({ driver, processes: 0 }), /processes 0 cannot be/);
  const demands = Array.from({ length: 17 }, (_, i) => one(`${i}`, window(1))[0] as Demand);
  assert.throws(() => createLimiter({ driver }).take("s", demands), /17 demands/);
});
