import assert from "node:assert/strict";
import { test } from "node:test";
import { anonymous, CallScope, createDeadlines, createManualClock, StartError } from "../base/index.ts";
import { createCache } from "./cache.ts";
import { FillGate } from "./fill-gate.ts";
import { createMemoryCache } from "./memory.ts";

test("lets no more loads begin in a second than it may, and a tenth at once", async () => {
  const clock = createManualClock();
  const gate = new FillGate({ namespace: "n", concurrentMax: 1000, perSecondMax: 100, clock });
  await clock.advance(5000);
  const beganAt: number[] = [];
  const outcomes = Array.from({ length: 300 }, () =>
    gate.run(async () => beganAt.push(clock.now()), undefined).catch((thrown) => thrown.reason),
  );
  await clock.advance(1);
  assert.equal(beganAt.length, 11);
  for (let i = 0; i < 100; i++) await clock.advance(10);
  const answers = await Promise.all(outcomes);
  assert.equal(beganAt.length, 111);
  assert.equal(answers.filter((answer) => answer === "CACHE_FILLS_LIMITED").length, 189);
  assert.equal(gate.limitedCount, 189);
});

test("lets nobody wait longer than half of its remaining time, and who leaves, leave", async () => {
  const clock = createManualClock();
  const gate = new FillGate({ namespace: "n", concurrentMax: 10, perSecondMax: 1, clock });
  await gate.run(async () => {}, undefined);
  const scope = (remainingMs: number) =>
    new CallScope({
      principal: anonymous,
      caller: "test",
      deadline: clock.now() + remainingMs,
      deadlines: createDeadlines(clock),
    });
  await assert.rejects(
    gate.run(async () => {}, scope(1500)),
    { code: "resource_exhausted", reason: "CACHE_FILLS_LIMITED", executed: "no" },
  );
  const leaver = scope(10_000);
  const left = assert.rejects(
    gate.run(async () => {}, leaver),
    { code: "deadline_exceeded" },
  );
  leaver.onDeadline();
  await left;
});

test("a load that never ends holds its place for thirty seconds, and its caller waits on", async () => {
  const clock = createManualClock();
  const cache = createCache({ driver: createMemoryCache({ clock }), namespace: "n", fillsMax: 2, clock });
  const hung = ["a", "b"].map((key) => cache.getOrLoad(key, () => new Promise<string>(() => {})));
  let settledCount = 0;
  for (const each of hung) void each.finally(() => settledCount++);
  const fill = async () => {
    const outcome = cache.getOrLoad("c", () => "loaded").catch((thrown) => thrown.reason);
    await clock.advance(1100);
    return outcome;
  };
  await clock.advance(20_000);
  assert.equal(await fill(), "BULKHEAD_FULL");
  await clock.advance(9000);
  assert.equal(await fill(), "loaded");
  assert.equal(settledCount, 0);
});

test("a cache that is lost at once loads no more than it may, and gives the last good value to who asked for that", async () => {
  const clock = createManualClock();
  const driver = createMemoryCache({ clock });
  const cache = createCache({ driver, namespace: "n", fillsPerSecondMax: 10, clock });
  const options = { ttl: "1s", staleIfError: "1h" } as const;
  for (let i = 0; i < 30; i++) {
    await cache.getOrLoad(`key-${i}`, () => "old", options);
    await clock.advance(100);
  }
  await clock.advance(5000);
  const before = cache.stats.loadCount;
  const answers = Promise.all(Array.from({ length: 30 }, (_, i) => cache.getOrLoad(`key-${i}`, () => "new", options)));
  for (let i = 0; i < 12; i++) await clock.advance(100);
  const given = await answers;
  assert.ok(cache.stats.loadCount - before <= 12, `${cache.stats.loadCount - before}`);
  assert.ok(given.filter((value) => value === "old").length >= 18);
  assert.equal(cache.stats.refusedLoadCount, cache.stats.staleErrorCount);
  await driver.clear("n");
  const refused = Array.from({ length: 30 }, (_, i) => cache.getOrLoad(`key-${i}`, () => "new").catch((e) => e.reason));
  for (let i = 0; i < 12; i++) await clock.advance(100);
  assert.ok((await Promise.all(refused)).includes("CACHE_FILLS_LIMITED"));
});

test("stops the start when it would let nothing through", () => {
  assert.throws(
    () => new FillGate({ namespace: "n", concurrentMax: 1, perSecondMax: 0 }),
    (thrown) => thrown instanceof StartError && /must be 1 or more, not 0/.test(thrown.message),
  );
});
