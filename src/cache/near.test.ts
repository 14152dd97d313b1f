import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, StartError } from "../base/index.ts";
import { createCache } from "./cache.ts";
import type { CacheDriver, CacheFound } from "./driver.ts";
import { createFaultyCache } from "./faulty.ts";
import { createMemoryCache } from "./memory.ts";
import { createNearTier } from "./near.ts";
import { createSharedEngine } from "./shared-engine.fixture.ts";

function setUp(options: { ttl?: number; bytesMax?: number; entriesMax?: number } = {}) {
  const clock = createManualClock();
  const engine = createSharedEngine(createMemoryCache({ clock }), { clock, isPrompt: true });
  const driver = engine.connect();
  const near = createNearTier({ driver, clock, ...options });
  const found = (value: string, more: Partial<CacheFound> = {}): CacheFound => ({
    value,
    freshMs: 60_000,
    ageMs: 0,
    tags: ["tag"],
    ...more,
  });
  return { clock, engine, driver, near, found };
}

test("gives a copy until its time is over, counted from before it was read", async () => {
  const { clock, near, found } = setUp({ ttl: 1000 });
  const mark = near.mark();
  await clock.advance(400);
  near.keep("n", "a", found("1", { ageMs: 7 }), mark);
  assert.deepEqual(near.get("n", "a"), { value: "1", freshMs: 60_000, ageMs: 7, tags: ["tag"] });
  assert.equal(near.get("m", "a"), undefined);
  await clock.advance(599);
  assert.equal(near.get("n", "a")?.value, "1");
  await clock.advance(1);
  assert.equal(near.get("n", "a"), undefined);
});

test("gives no copy beyond the time of the entry itself", async () => {
  const { clock, near, found } = setUp({ ttl: 1000 });
  near.keep("n", "a", found("1", { freshMs: 100 }), near.mark());
  await clock.advance(100);
  assert.equal(near.get("n", "a"), undefined);
});

for (const [what, kind, names] of [
  ["its key", "keys", ["a"]],
  ["one of its tags", "tags", ["other", "tag"]],
  ["its namespace", "all", []],
] as const) {
  test(`drops a copy when ${what} is removed, and refuses one that was read before`, () => {
    const { near, found } = setUp();
    const before = near.mark();
    near.keep("n", "a", found("1"), before);
    near.remove(kind === "all" ? { kind, namespace: "n" } : { kind, namespace: "n", names });
    assert.equal(near.get("n", "a"), undefined);
    near.keep("n", "a", found("old"), before);
    assert.equal(near.get("n", "a"), undefined);
    assert.equal(near.stats.refusedCount, 1);
    near.keep("n", "a", found("new"), near.mark());
    assert.equal(near.get("n", "a")?.value, "new");
  });
}

test("a removal in another namespace, of another key or tag, drops nothing", () => {
  const { near, found } = setUp();
  near.keep("n", "a", found("1"), near.mark());
  near.remove({ kind: "all", namespace: "m" });
  near.remove({ kind: "keys", namespace: "n", names: ["tag"] });
  near.remove({ kind: "tags", namespace: "n", names: ["a"] });
  assert.equal(near.get("n", "a")?.value, "1");
});

test("drops everything when messages may be lost, makes no copies until they are back, and trusts none from between", () => {
  const { engine, near, found } = setUp();
  near.keep("n", "a", found("1"), near.mark());
  engine.lose();
  assert.deepEqual([near.isWatching, near.get("n", "a"), near.stats.entryCount], [false, undefined, 0]);
  const between = near.mark();
  near.keep("n", "a", found("2"), between);
  assert.equal(near.get("n", "a"), undefined);
  engine.regain();
  near.keep("n", "a", found("3"), between);
  assert.equal(near.get("n", "a"), undefined);
  near.keep("n", "a", found("4"), near.mark());
  assert.equal(near.get("n", "a")?.value, "4");
  assert.equal(near.stats.lostCount, 1);
  near.close();
  assert.equal(near.get("n", "a"), undefined);
});

test("shows a copy to who checks on it without counting that, nor keeping it longer than others", () => {
  const { near, found } = setUp({ entriesMax: 2 });
  for (const key of ["a", "b"]) near.keep("n", key, found(key), near.mark());
  assert.deepEqual([near.peek("n", "a")?.value, near.peek("n", "c"), near.stats.hitCount], ["a", undefined, 0]);
  near.keep("n", "c", found("c"), near.mark());
  assert.equal(near.peek("n", "a"), undefined);
  near.remove({ kind: "keys", namespace: "n", names: ["b"] });
  assert.equal(near.peek("n", "b"), undefined);
});

test("is bounded by entries and by memory, and keeps none that is too large, nor the older one in its place", () => {
  const few = setUp({ entriesMax: 2 });
  for (const key of ["a", "b", "c"]) few.near.keep("n", key, few.found(key), few.near.mark());
  assert.equal(few.near.stats.entryCount, 2);
  const small = setUp({ bytesMax: 10_000 });
  for (const key of ["a", "b", "c"]) small.near.keep("n", key, small.found("x".repeat(2000)), small.near.mark());
  assert.ok(small.near.stats.bytes <= 10_000 && small.near.stats.entryCount === 2);
  small.near.keep("n", "c", small.found("x".repeat(6000)), small.near.mark());
  assert.equal(small.near.get("n", "c"), undefined);
});

test("stops the start when its time to live could not bound anything", () => {
  const driver = createMemoryCache();
  assert.throws(
    () => createNearTier({ driver, ttl: "2m" }),
    (thrown) => thrown instanceof StartError && /between 1 ms and 60 s, not 2m/.test(thrown.message),
  );
});

test("makes no copies of an engine that does not tell of removals", async () => {
  const driver = createMemoryCache();
  const near = createNearTier({ driver });
  const cache = createCache({ driver, namespace: "n", near });
  await cache.set("a", 1);
  assert.equal(await cache.get("a"), 1);
  assert.deepEqual([near.isWatching, near.stats.entryCount], [false, 0]);
  near.close();
});

/** A cache over an engine that counts what it is asked. */
function counted(options: { ttl?: number } = {}) {
  const bench = setUp(options);
  const faulty = createFaultyCache(bench.driver, { clock: bench.clock });
  const near = createNearTier({ driver: faulty, clock: bench.clock, ...options });
  const cache = createCache({ driver: faulty, namespace: "n", near, clock: bench.clock });
  const other = createCache({ driver: bench.engine.connect() as CacheDriver, namespace: "n", clock: bench.clock });
  return { ...bench, near, cache, other, faulty };
}

test("answers from this process what it has loaded, set or read before, without asking the engine", async () => {
  const { cache, other, faulty } = counted();
  await cache.getOrLoad("a", () => ({ list: [1] }));
  await other.set("b", 2);
  assert.deepEqual(await cache.getMany(["b"]), [2]);
  const before = faulty.operationCount;
  const value = await cache.getOrLoad<{ list: number[] }>("a", () => ({ list: [] }));
  value.list.push(2);
  assert.deepEqual(await cache.getMany(["a", "b"]), [{ list: [1] }, 2]);
  assert.equal(faulty.operationCount, before);
  assert.deepEqual([cache.stats.nearHitCount, cache.stats.hitCount], [3, 4]);
  assert.deepEqual(await cache.getMany(["a", "c"]), [{ list: [1] }, undefined]);
});

test("hears what another process removes", async () => {
  const { cache, other, engine } = counted();
  await cache.getOrLoad("a", () => "old", { tags: ["tag"] });
  await other.invalidate("tag");
  await engine.deliver();
  assert.equal(await cache.getOrLoad("a", () => "new", { tags: ["tag"] }), "new");
});

test("keeps for a moment what it loads while the engine is gone, but nothing that is invalidated here", async () => {
  const { cache, faulty, clock, near } = counted({ ttl: 1000 });
  faulty.faults.errorRate = 1;
  let loadCount = 0;
  const load = () => ++loadCount;
  for (let i = 0; i < 10; i++) await cache.getOrLoad("a", load, { tags: ["tag"] });
  assert.equal(loadCount, 1);
  await cache.invalidate("tag");
  for (let i = 0; i < 10; i++) await cache.getOrLoad("a", load, { tags: ["tag"] });
  assert.equal(loadCount, 2);
  await clock.advance(1000);
  await cache.getOrLoad("a", load, { tags: ["tag"] });
  assert.equal(loadCount, 3);
  assert.equal(near.stats.entryCount, 1);
});
