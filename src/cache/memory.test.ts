import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import type { CacheDriver } from "./driver.ts";
import { leaseMs } from "./driver.ts";
import { createFaultyCache } from "./faulty.ts";
import { createMemoryCache } from "./memory.ts";
import { cacheSuite } from "./suite.ts";

const clock = createManualClock();
for (const { name, run } of cacheSuite({
  makeDriver: () => createMemoryCache({ clock }),
  tellsInOrder: true,
  wait: (ms) => clock.advance(ms),
})) {
  test(`memory ${name}`, run);
}

const write = { ttlMs: 1000, tags: [] };

async function read(driver: CacheDriver, ...keys: string[]): Promise<(string | undefined)[]> {
  return (await driver.getMany("n", keys)).map((found) => found?.value);
}

test("drops what was used least when there are too many entries", async () => {
  const driver = createMemoryCache({ entriesMax: 2 });
  await driver.set("n", "a", "1", write);
  await driver.set("n", "b", "2", write);
  await driver.getMany("n", ["a"]);
  await driver.set("n", "c", "3", write);
  assert.deepEqual(await read(driver, "a", "b", "c"), ["1", undefined, "3"]);
});

test("bounds the memory of its entries, and does not keep one that is larger, nor the older value under its key", async () => {
  const driver = createMemoryCache({ bytesMax: "10kb" });
  const half = "x".repeat(2300);
  for (const key of ["a", "b", "c"]) await driver.set("n", key, half, write);
  assert.deepEqual(await read(driver, "a", "b", "c"), [undefined, half, half]);
  await driver.set("n", "b", "x".repeat(6000), write);
  assert.deepEqual(await read(driver, "b", "c"), [undefined, half]);
});

test("what is over leaves although there is room, and what is not over stays", async () => {
  const clock = createManualClock();
  const driver = createMemoryCache({ clock });
  const kept = Array.from({ length: 50 }, (_, i) => `kept-${i}`);
  for (const key of kept) await driver.set("n", key, "1", { ttlMs: 1_000_000, tags: [] });
  for (let i = 0; i < 2000; i++) {
    await driver.set("n", `short-${i}`, "1", write);
    if (i % 100 === 0) await clock.advance(1000);
    const bound = 2 * (kept.length + 100);
    assert.ok(driver.entryCount <= bound, `${driver.entryCount} are kept, although 150 are not over`);
  }
  assert.deepEqual(
    await read(driver, ...kept),
    kept.map(() => "1"),
  );
});

test("what was invalidated leaves although there is room", async () => {
  const driver = createMemoryCache();
  for (let i = 0; i < 1000; i++) {
    await driver.set("n", String(i), "1", { ttlMs: 1_000_000, tags: ["all"] });
    if (i % 100 === 99) await driver.invalidate("n", ["all"]);
  }
  assert.ok(driver.entryCount <= 200, `${driver.entryCount} are kept, although none is current`);
});

test("bounds its notes of invalidations, and loses entries rather than the truth", async () => {
  const driver = createMemoryCache();
  await driver.set("n", "stale", "1", { ttlMs: 1000, tags: ["first"] });
  await driver.set("n", "untagged", "1", write);
  await driver.invalidate("n", ["first"]);
  for (let i = 0; i < 51; i++) {
    await driver.invalidate(
      "n",
      Array.from({ length: 1000 }, (_, index) => `tag-${i}-${index}`),
    );
  }
  assert.deepEqual(await read(driver, "stale", "untagged"), [undefined, "1"]);
  await driver.set("n", "fresh", "1", { ttlMs: 1000, tags: ["first"] });
  assert.deepEqual(await read(driver, "fresh"), ["1"]);
});

test("takes a fence for void when the load took longer than a lease", async () => {
  const driver = createMemoryCache({ clock });
  const { fence } = await driver.getOrLease("n", "a", []);
  await clock.advance(leaseMs);
  assert.equal(await driver.set("n", "a", "1", { ...write, fence }), false);
  const next = await driver.getOrLease("n", "a", []);
  assert.equal(await driver.set("n", "a", "1", { ...write, fence: next.fence }), true);
});

test("a faulty driver fails as told, before or after the effect, and counts", async () => {
  const driver = createFaultyCache(createMemoryCache());
  await driver.open();
  driver.faults.errorRate = 1;
  await assert.rejects(driver.set("n", "a", "1", write), { code: "unavailable" });
  driver.faults.afterEffect = true;
  await assert.rejects(driver.set("n", "b", "1", write), { code: "unavailable" });
  driver.faults.errorRate = 0;
  driver.faults.delayMsMax = 1;
  assert.deepEqual(await read(driver, "a", "b"), [undefined, "1"]);
  assert.equal(driver.operationCount, 3);
  assert.deepEqual([driver.name, driver.flags], ["faulty memory", { shared: true, persistent: false }]);
  await driver.close();
});
