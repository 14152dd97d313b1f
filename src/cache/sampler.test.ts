import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, createSeededRandom, StartError } from "../base/index.ts";
import { createCache } from "./cache.ts";
import { createMemoryCache } from "./memory.ts";
import type { CacheSamplerOptions } from "./sampler.ts";

function setUp(options: Partial<CacheSamplerOptions> = {}) {
  const clock = createManualClock();
  const told: [string, number][] = [];
  const sampler = {
    rate: 1,
    onMismatch: (key: string, ageMs: number) => told.push([key, Math.round(ageMs)]),
    ...options,
  };
  const driver = createMemoryCache({ clock });
  const random = createSeededRandom(1);
  const cache = createCache({ driver, namespace: "n", sampler: sampler as CacheSamplerOptions, clock, random });
  return { clock, cache, told };
}

test("counts a hit that does not agree with the truth, and still does not 5 s later, by its age", async () => {
  const { clock, cache, told } = setUp();
  await cache.getOrLoad("a", () => "old", { ttl: "10m" });
  await clock.advance(20_000);
  assert.equal(await cache.getOrLoad("a", () => "new", { ttl: "10m" }), "old");
  await clock.advance(4900);
  assert.deepEqual(told, []);
  await clock.advance(200);
  assert.deepEqual(told, [["a", 20_000]]);
  assert.deepEqual(cache.stats.mismatchCounts, { "1s": 0, "10s": 0, "1m": 1, "10m": 0, older: 0 });
  assert.equal(cache.stats.sampleCount, 1);
});

test("takes what agrees for no mismatch, whatever the order of properties, and loads it from the primary", async () => {
  const { clock, cache, told } = setUp();
  await cache.getOrLoad<unknown>("a", () => ({ a: 1, b: 2 }));
  let wasPrimary: boolean | undefined;
  await cache.getOrLoad<unknown>("a", ({ primary }) => {
    wasPrimary = primary;
    return { b: 2, a: 1 };
  });
  await clock.advance(10_000);
  assert.deepEqual([told, cache.stats.sampleCount, wasPrimary], [[], 1, true]);
});

for (const [what, change] of [
  ["is invalidated a moment later", (cache) => cache.invalidate("tag")],
  ["is set a moment later", (cache) => cache.set("a", "new")],
] as readonly [string, (cache: ReturnType<typeof createCache>) => Promise<void>][]) {
  test(`takes a change in flight for no mismatch: what ${what}`, async () => {
    const { clock, cache, told } = setUp();
    await cache.getOrLoad("a", () => "old", { tags: ["tag"] });
    await cache.getOrLoad("a", () => "new", { tags: ["tag"] });
    await clock.advance(500);
    await change(cache);
    await clock.advance(10_000);
    assert.deepEqual([told, cache.stats.sampleCount], [[], 1]);
  });
}

test("samples no more than it may in a second, and no more than its rate", async () => {
  const bounded = setUp({ perSecondMax: 2 });
  const seldom = setUp({ rate: 0 });
  for (const { cache, clock } of [bounded, seldom]) {
    await cache.getOrLoad("a", () => 1, { ttl: "1h" });
    for (let i = 0; i < 100; i++) {
      await cache.getOrLoad("a", () => 1, { ttl: "1h" });
      await clock.advance(20);
    }
  }
  assert.deepEqual([bounded.cache.stats.sampleCount, seldom.cache.stats.sampleCount], [4, 0]);
});

test("a truth that cannot be loaded is counted, and hurts nobody", async () => {
  const { clock, cache, told } = setUp();
  await cache.getOrLoad<unknown>("a", () => 1);
  assert.equal(await cache.getOrLoad<unknown>("a", () => Promise.reject(new Error("down"))), 1);
  await clock.advance(10_000);
  assert.deepEqual([told, cache.stats.sampleErrorCount, cache.stats.loadErrorCount], [[], 1, 0]);
});

test("stops the start when its rate is no part of a whole", () => {
  assert.throws(
    () => setUp({ rate: 2 }),
    (thrown) => thrown instanceof StartError && /rate must be between 0 and 1/.test(thrown.message),
  );
});
