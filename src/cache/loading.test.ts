import assert from "node:assert/strict";
import { test } from "node:test";
import { anonymous, CallScope, createDeadlines, createManualClock, createSeededRandom, error } from "../base/index.ts";
import { createCache } from "./cache.ts";
import type { AfterCommit, CreateCacheOptions } from "./cache-options.ts";
import { createFaultyCache } from "./faulty.ts";
import { createMemoryCache } from "./memory.ts";

/** Two processes on one engine, in slow motion. */
function setUp(options: Partial<CreateCacheOptions> = {}) {
  const clock = createManualClock();
  const driver = createMemoryCache({ clock });
  const shared = { driver, namespace: "catalog", clock, random: createSeededRandom(1), ...options };
  const loads: { resolve(value: unknown): void; reject(thrown: unknown): void }[] = [];
  const load = () => new Promise<unknown>((resolve, reject) => loads.push({ resolve, reject }));
  return { clock, driver, one: createCache(shared), other: createCache(shared), loads, load };
}

test("waits for the load of another process, and gives what that has stored", async () => {
  const { clock, one, other, loads, load } = setUp();
  const first = one.getOrLoad("a", load);
  await clock.advance(0);
  const second = other.getOrLoad("a", load);
  await clock.advance(100);
  assert.equal(loads.length, 1);
  loads[0]?.resolve("loaded");
  assert.equal(await first, "loaded");
  await clock.advance(50);
  assert.equal(await second, "loaded");
  assert.deepEqual([other.stats.waitCount, other.stats.hitCount, other.stats.loadCount], [1, 1, 0]);
});

test("waits a second for another process, then loads too, and whoever is first stores", async () => {
  const { clock, one, other, loads, load } = setUp();
  const first = one.getOrLoad("a", load);
  await clock.advance(0);
  const second = other.getOrLoad("a", load);
  await clock.advance(990);
  assert.equal(loads.length, 1);
  await clock.advance(100);
  assert.equal(loads.length, 2);
  loads[1]?.resolve("second");
  assert.equal(await second, "second");
  loads[0]?.resolve("first");
  assert.equal(await first, "first");
  await clock.advance(1);
  assert.equal(await one.get("a"), "second");
});

test("does not wait for a process that died: after ten seconds the lease is free", async () => {
  const { clock, driver, one, loads, load } = setUp();
  await driver.getOrLease("catalog", "a", []);
  await clock.advance(10_000);
  const answer = one.getOrLoad("a", load);
  await clock.advance(0);
  assert.equal(loads.length, 1);
  loads[0]?.resolve("loaded");
  assert.equal(await answer, "loaded");
});

test("lets who waits for another process leave when its call is over", async () => {
  const { clock, one, other, loads, load } = setUp();
  void one.getOrLoad("a", load);
  await clock.advance(0);
  const scope = new CallScope({
    principal: anonymous,
    caller: "test",
    deadline: clock.now() + 5000,
    deadlines: createDeadlines(clock),
  });
  const left = assert.rejects(other.bind(scope).getOrLoad("a", load), { code: "cancelled" });
  await clock.advance(20);
  scope.cancel(error("cancelled", "gone"));
  await left;
  loads[0]?.resolve(1);
});

test("a load that never ends keeps those who joined it for ten seconds, and nobody who comes later", async () => {
  const { clock, one, loads, load } = setUp();
  let isOver = false;
  void one.getOrLoad("a", load).then(() => {
    isOver = true;
  });
  const joined = [one.getOrLoad("a", load), one.getOrLoad("a", load)];
  await clock.advance(9990);
  assert.equal(loads.length, 1);
  await clock.advance(10);
  assert.equal(loads.length, 2);
  const later = one.getOrLoad("a", load);
  await clock.advance(0);
  assert.equal(loads.length, 2);
  loads[1]?.resolve("second");
  assert.deepEqual(await Promise.all([...joined, later]), ["second", "second", "second"]);
  await clock.advance(1);
  assert.equal(await one.get("a"), "second");
  assert.equal(isOver, false);
  loads[0]?.resolve("first");
  await clock.advance(60);
  assert.equal(isOver, true, "who led it has waited");
  assert.equal(await one.get("a"), "second");
});

test("a load of between ten and thirty seconds is stored, one that took longer is given and not stored", async () => {
  const { clock, one, loads, load } = setUp();
  for (const [key, ms] of [
    ["slow", 29_000],
    ["slower", 31_000],
  ] as const) {
    const answer = one.getOrLoad(key, load);
    await clock.advance(ms);
    loads.at(-1)?.resolve("loaded");
    assert.equal(await answer, "loaded");
    await clock.advance(1);
  }
  assert.deepEqual(await one.getMany(["slow", "slower"]), ["loaded", undefined]);
});

test("does not join a load whose own call was cancelled, and does not wait for its lease", async () => {
  const { clock, one, loads, load } = setUp();
  const deadlines = createDeadlines(clock);
  const leader = new CallScope({ principal: anonymous, caller: "test", deadline: clock.now() + 5000, deadlines });
  const left = assert.rejects(one.bind(leader).getOrLoad("a", load), { code: "cancelled" });
  await clock.advance(0);
  leader.cancel(error("cancelled", "gone"));
  await left;
  const answer = one.getOrLoad("a", load);
  await clock.advance(1);
  assert.equal(loads.length, 2);
  loads[1]?.resolve("second");
  assert.equal(await answer, "second");
});

test("asks a shared engine once for all who would join a load at the same time, and lets them join one that is silent", async () => {
  const clock = createManualClock();
  const faulty = createFaultyCache(createMemoryCache({ clock }), { clock });
  const cache = createCache({ driver: faulty, namespace: "n", clock });
  let end: (value: string) => void = () => {};
  const load = () => new Promise<string>((resolve) => (end = resolve));
  const first = cache.getOrLoad("a", load);
  await clock.advance(0);
  const before = faulty.operationCount;
  const joined = Array.from({ length: 100 }, () => cache.getOrLoad("a", load));
  await clock.advance(0);
  assert.deepEqual([faulty.operationCount - before, cache.stats.joinCount], [1, 100]);
  faulty.faults.hang = true;
  const last = cache.getOrLoad("a", load);
  await clock.advance(300);
  assert.deepEqual([cache.stats.joinCount, cache.stats.loadCount], [101, 1]);
  end("loaded");
  assert.deepEqual(new Set(await Promise.all([first, ...joined, last])), new Set(["loaded"]));
});

test("gives what is stale to all while one process loads it anew, and loads it once", async () => {
  const { clock, one, other, loads, load } = setUp();
  const options = { ttl: "1s", stale: "10s" } as const;
  await one.getOrLoad<unknown>("a", () => "old", options);
  await clock.advance(2000);
  const given = [one, other, one, other].map((cache) => cache.getOrLoad("a", load, options));
  assert.deepEqual(await Promise.all(given), ["old", "old", "old", "old"]);
  assert.equal(loads.length, 1);
  loads[0]?.resolve("new");
  await clock.advance(1);
  assert.equal(await other.getOrLoad("a", load, options), "new");
});

test("gives what is stale no longer than asked for, and stores nothing that was invalidated while it was loaded anew", async () => {
  const { clock, one, loads, load } = setUp();
  const options = { ttl: "1s", stale: "10s", tags: ["tag"] } as const;
  await one.getOrLoad<unknown>("a", () => "old", options);
  await clock.advance(2000);
  assert.equal(await one.getOrLoad("a", load, options), "old");
  await one.invalidate("tag");
  loads[0]?.resolve("too old");
  await clock.advance(1);
  assert.equal(await one.get("a"), undefined);
  await one.getOrLoad<unknown>("a", () => "later", options);
  await clock.advance(11_200);
  const answer = one.getOrLoad("a", load, options);
  await clock.advance(0);
  loads[1]?.resolve("new");
  assert.equal(await answer, "new");
});

test("a refresh that fails beside a stale answer hurts nobody, and the next one tries again", async () => {
  const { clock, one, loads, load } = setUp();
  const options = { ttl: "1s", stale: "10s" } as const;
  await one.getOrLoad<unknown>("a", () => "old", options);
  await clock.advance(2000);
  for (let round = 0; round < 3; round++) {
    assert.equal(await one.getOrLoad("a", load, options), "old");
    loads[round]?.reject(new Error("down"));
    await clock.advance(1);
  }
  assert.deepEqual([loads.length, one.stats.loadErrorCount, one.stats.staleHitCount], [3, 3, 3]);
});

test("gives what is stale when a load fails, as long as asked for, and then the error", async () => {
  const { clock, one } = setUp();
  const options = { ttl: "1s", staleIfError: "10s" } as const;
  const fail = () => Promise.reject(new Error("down"));
  await one.getOrLoad<unknown>("a", () => "old", options);
  await clock.advance(5000);
  assert.equal(await one.getOrLoad<unknown>("a", fail, options), "old");
  assert.equal(await one.get("a"), undefined);
  await clock.advance(7000);
  await assert.rejects(one.getOrLoad<unknown>("a", fail, options), /down/);
});

test("asks for the primary when the engine cannot say whether something was changed", async () => {
  const faulty = createFaultyCache(createMemoryCache());
  faulty.faults.errorRate = 1;
  const cache = createCache({ driver: faulty, namespace: "n" });
  assert.equal(await cache.getOrLoad("a", ({ primary }) => primary), true);
});

test("invalidates after the commit, and has it written down in the transaction", async () => {
  const written: [AfterCommit, readonly string[]][] = [];
  const { one } = setUp({ onInvalidateIn: async (tx, tags) => void written.push([tx, tags]) });
  await one.set("a", 1, { tags: ["tag"] });
  const hooks: (() => unknown)[] = [];
  const tx = { afterCommit: (hook: () => unknown) => void hooks.push(hook) };
  await one.invalidate("tag", { in: tx });
  assert.equal(await one.get("a"), 1);
  assert.deepEqual(written, [[tx, ["tag"]]]);
  for (const hook of hooks) await hook();
  assert.equal(await one.get("a"), undefined);
});

test("fails the transaction when an invalidation cannot be written down with it", async () => {
  const { one } = setUp({ onInvalidateIn: () => Promise.reject(new Error("no outbox")) });
  const hooks: unknown[] = [];
  await assert.rejects(one.invalidate("tag", { in: { afterCommit: (hook) => void hooks.push(hook) } }), /no outbox/);
  assert.deepEqual(hooks, []);
});

test("pays the version that a deletion showed when the engine is back", async () => {
  const engine = createMemoryCache();
  const faulty = createFaultyCache(engine);
  const cache = createCache({ driver: faulty, namespace: "n" });
  faulty.faults.errorRate = 1;
  await cache.delete(["a", "b"], { version: 43 });
  await cache.delete("a");
  faulty.faults.errorRate = 0;
  await cache.get("c");
  const write = { ttlMs: 1000, tags: [] };
  assert.equal(await engine.set("n", "a", "1", { ...write, version: 42 }), false);
  assert.equal(await engine.set("n", "b", "1", { ...write, version: 43 }), true);
});

for (const version of [-1, 0.5, Number.NaN, 2 ** 53]) {
  test(`refuses the version ${version}`, async () => {
    const { one } = setUp();
    const refusal = { reason: "CACHE_VERSION_INVALID" };
    await assert.rejects(one.set("a", 1, { version }), refusal);
    await assert.rejects(one.delete("a", { version }), refusal);
    await assert.rejects(
      one.getOrLoad("a", () => 1, { versionOf: () => version }),
      refusal,
    );
  });
}
