import assert from "node:assert/strict";
import { test } from "node:test";
import {
  anonymous,
  CallScope,
  createDeadlines,
  createManualClock,
  createSeededRandom,
  error,
  StartError,
} from "../base/index.ts";
import { createCache } from "./cache.ts";
import type { CreateCacheOptions } from "./cache-options.ts";
import { createMemoryCache } from "./memory.ts";

function setUp(options: Partial<CreateCacheOptions> = {}) {
  const clock = createManualClock();
  const driver = createMemoryCache({ clock });
  const cache = createCache({ driver, namespace: "catalog", clock, random: createSeededRandom(1), ...options });
  const scope = (remainingMs = 5000) =>
    new CallScope({
      principal: anonymous,
      caller: "test",
      deadline: clock.now() + remainingMs,
      deadlines: createDeadlines(clock),
    });
  return { clock, driver, cache, scope };
}

/** A load that answers when the test says so, and counts. */
function pendingLoad() {
  const waiting: { resolve: (value: unknown) => void; reject: (e: unknown) => void }[] = [];
  const state = {
    count: 0,
    load: () => {
      state.count++;
      return new Promise<any>((resolve, reject) => waiting.push({ resolve, reject }));
    },
    resolve: (value: unknown) => waiting.shift()?.resolve(value),
    reject: (e: unknown) => waiting.shift()?.reject(e),
  };
  return state;
}

test("gives back what was set, until it is deleted", async () => {
  const { cache } = setUp();
  await cache.set("a", { name: "lamp", tags: [1, null, true] });
  assert.deepEqual(await cache.get("a"), { name: "lamp", tags: [1, null, true] });
  assert.deepEqual(await cache.getMany(["b", "a"]), [undefined, { name: "lamp", tags: [1, null, true] }]);
  await cache.delete("a");
  assert.equal(await cache.get("a"), undefined);
  assert.deepEqual([cache.stats.hitCount, cache.stats.missCount], [2, 2]);
});

test("copies values in and out: nobody is harmed by who changes what it gave or got", async () => {
  const { cache } = setUp();
  const given = { list: [1] };
  await cache.set("a", given);
  given.list.push(2);
  const got = await cache.get<typeof given>("a");
  got?.list.push(3);
  const [one, two] = await Promise.all([cache.getOrLoad("b", () => given), cache.getOrLoad("b", () => given)]);
  one.list.push(4);
  assert.deepEqual(
    [await cache.get("a"), two, await cache.get("b")],
    [{ list: [1] }, { list: [1, 2] }, { list: [1, 2] }],
  );
});

test("keeps services apart that share an engine", async () => {
  const { cache, driver, clock } = setUp();
  const other = createCache({ driver, namespace: "cart", clock });
  await cache.set("a", 1);
  await other.set("a", 2);
  await other.clear();
  assert.deepEqual([await cache.get("a"), await other.get("a")], [1, undefined]);
});

test("spreads times to live by ten percent each way", async () => {
  const { cache, clock } = setUp();
  for (let i = 0; i < 100; i++) await cache.set(`key-${i}`, i, { ttl: "100s" });
  const left = async () =>
    (await cache.getMany(Array.from({ length: 100 }, (_, i) => `key-${i}`))).filter((v) => v !== undefined).length;
  await clock.advance(89_000);
  assert.equal(await left(), 100);
  await clock.advance(11_000);
  const half = await left();
  assert.ok(half > 25 && half < 75, String(half));
  await clock.advance(11_000);
  assert.equal(await left(), 0);
});

test("loads what is missing, once, and then remembers it", async () => {
  const { cache } = setUp();
  const pending = pendingLoad();
  const answers = [1, 2, 3].map(() => cache.getOrLoad("a", pending.load));
  await new Promise(setImmediate);
  pending.resolve("loaded");
  assert.deepEqual(await Promise.all(answers), ["loaded", "loaded", "loaded"]);
  assert.equal(await cache.getOrLoad("a", pending.load), "loaded");
  assert.equal(pending.count, 1);
  assert.deepEqual(
    [cache.stats.missCount, cache.stats.hitCount, cache.stats.joinCount, cache.stats.loadCount],
    [1, 1, 2, 1],
  );
});

test("gives a load's error to all who wait, and does not remember it", async () => {
  const { cache } = setUp();
  const failure = error("unavailable", "database is down");
  const answers = [1, 2].map(() =>
    assert.rejects(
      cache.getOrLoad("a", () => Promise.reject(failure)),
      failure,
    ),
  );
  await Promise.all(answers);
  assert.equal(await cache.getOrLoad("a", () => "loaded"), "loaded");
  assert.equal(cache.stats.loadErrorCount, 1);
});

test("never stores undefined; to set it is to delete", async () => {
  const { cache } = setUp();
  assert.equal(await cache.getOrLoad("a", () => undefined), undefined);
  assert.equal(await cache.getOrLoad("a", () => "now"), "now");
  await cache.set("a", undefined);
  assert.equal(await cache.get("a"), undefined);
});

test("remembers null, but for ten seconds at most", async () => {
  const { cache, clock } = setUp();
  assert.equal(await cache.getOrLoad<unknown>("a", () => null, { ttl: "1h" }), null);
  assert.equal(await cache.getOrLoad<unknown>("a", () => "there", { ttl: "1h" }), null);
  await clock.advance(11_000);
  assert.equal(await cache.getOrLoad<unknown>("a", () => "there", { ttl: "1h" }), "there");
});

test("invalidates by tag", async () => {
  const { cache } = setUp();
  await cache.set("a", 1, { tags: ["product:1"] });
  await cache.getOrLoad("b", () => 2, { tags: ["product:1", "list"] });
  await cache.set("c", 3, { tags: ["list"] });
  await cache.invalidate("product:1");
  assert.deepEqual(await cache.getMany(["a", "b", "c"]), [undefined, undefined, 3]);
  await cache.invalidate(["list", "unknown"]);
  assert.equal(await cache.get("c"), undefined);
});

for (const { name, remove } of [
  { name: "invalidate", remove: (cache: ReturnType<typeof createCache>) => cache.invalidate(["product:1"]) },
  { name: "delete", remove: (cache: ReturnType<typeof createCache>) => cache.delete(["a"]) },
  { name: "clear", remove: (cache: ReturnType<typeof createCache>) => cache.clear() },
]) {
  test(`does not store what was loaded before ${name}, nor gives it to who asks afterwards`, async () => {
    const { cache } = setUp();
    const pending = pendingLoad();
    const before = cache.getOrLoad("a", pending.load, { tags: ["product:1"] });
    await new Promise(setImmediate);
    await remove(cache);
    const after = cache.getOrLoad("a", pending.load, { tags: ["product:1"] });
    await new Promise(setImmediate);
    assert.equal(pending.count, 2);
    pending.resolve("old");
    pending.resolve("new");
    assert.deepEqual([await before, await after], ["old", "new"]);
    await new Promise(setImmediate);
    assert.equal(await cache.get("a"), "new");
  });
}

test("does not store what was loaded before another process invalidated it", async () => {
  const { cache, driver, clock } = setUp();
  const otherProcess = createCache({ driver, namespace: "catalog", clock });
  const pending = pendingLoad();
  const answer = cache.getOrLoad("a", pending.load, { tags: ["product:1"] });
  await new Promise(setImmediate);
  await otherProcess.invalidate(["product:1"]);
  pending.resolve("old");
  assert.equal(await answer, "old");
  await new Promise(setImmediate);
  assert.equal(await cache.get("a"), undefined);
  assert.equal(cache.stats.staleLoadCount, 1);
});

test("does not put back what was set while it was loading", async () => {
  const { cache } = setUp();
  const pending = pendingLoad();
  const answer = cache.getOrLoad("a", pending.load);
  await new Promise(setImmediate);
  await cache.set("a", "newer");
  pending.resolve("older");
  await answer;
  await new Promise(setImmediate);
  assert.equal(await cache.get("a"), "newer");
});

test("lets a caller leave whose call is over, while the load goes on for the others", async () => {
  const { cache, scope } = setUp();
  const pending = pendingLoad();
  const leaver = scope();
  const left = assert.rejects(cache.bind(leaver).getOrLoad("a", pending.load), { code: "cancelled" });
  const stays = cache.bind(scope()).getOrLoad("a", pending.load);
  await new Promise(setImmediate);
  leaver.cancel(error("cancelled", "gone"));
  await left;
  pending.resolve("loaded");
  assert.equal(await stays, "loaded");
  assert.equal(pending.count, 1);
});

test("does not wait beyond the deadline of the bound call", async () => {
  const { cache, scope, clock } = setUp();
  const outcome = assert.rejects(
    cache.bind(scope(100)).getOrLoad("a", () => new Promise(() => {})),
    { code: "deadline_exceeded" },
  );
  await clock.advance(130);
  await outcome;
});

test("loads again for the others when the load failed because its own call was cancelled", async () => {
  const { cache, scope } = setUp();
  const leader = scope();
  const load = () =>
    new Promise<string>((resolve, reject) => {
      if (leader.cancelled) resolve("loaded");
      else leader.onCancel(reject);
    });
  const left = assert.rejects(cache.bind(leader).getOrLoad("a", load), { code: "cancelled" });
  const stays = cache.bind(scope()).getOrLoad("a", load);
  await new Promise(setImmediate);
  leader.cancel(error("cancelled", "gone"));
  await left;
  assert.equal(await stays, "loaded");
});

test("begins nothing for a call that is over, except removals", async () => {
  const { cache, scope } = setUp();
  await cache.set("a", 1, { tags: ["tag"] });
  await cache.set("b", 1);
  const over = scope();
  over.cancel(error("cancelled", "gone"));
  const bound = cache.bind(over);
  const pending = pendingLoad();
  await assert.rejects(bound.get("a"), { code: "cancelled" });
  await assert.rejects(bound.getOrLoad("c", pending.load), { code: "cancelled" });
  assert.equal(pending.count, 0);
  await bound.invalidate(["tag"]);
  await bound.delete("b");
  assert.deepEqual(await cache.getMany(["a", "b"]), [undefined, undefined]);
  assert.equal(bound.stats, cache.stats);
  assert.deepEqual(bound.flags, { shared: false, persistent: false });
});

test("bounds the loads that run at the same time, and refuses those that wait too long", async () => {
  const { cache, clock } = setUp({ fillsMax: 2 });
  const pending = pendingLoad();
  const answers = [1, 2, 3, 4].map((i) => cache.getOrLoad(`key-${i}`, pending.load).catch((thrown) => thrown.reason));
  await clock.advance(500);
  assert.equal(pending.count, 2);
  pending.resolve("first");
  await clock.advance(600);
  assert.equal(pending.count, 3);
  pending.resolve("second");
  pending.resolve("third");
  assert.deepEqual(await Promise.all(answers), ["first", "second", "third", "BULKHEAD_FULL"]);
});

test("gives a value that is too large, but does not keep it, nor an older one in its place", async () => {
  const { cache } = setUp({ valueMax: "1kb" });
  const large = "é".repeat(600);
  assert.equal(await cache.getOrLoad("a", () => large), large);
  assert.equal(await cache.get("a"), undefined);
  await cache.set("b", "small");
  await cache.set("b", large);
  assert.equal(await cache.get("b"), undefined);
  assert.equal(cache.stats.oversizeCount, 2);
});

const circle: Record<string, unknown> = {};
circle.self = circle;
for (const [name, value, says] of [
  ["a Date", { at: new Date(0) }, /value\.at is a Date/],
  ["a Map", new Map(), /value is a Map/],
  ["NaN", [0, Number.NaN], /value\[1\] is NaN/],
  ["a function", { f: () => 1 }, /value\.f is function/],
  ["a bigint", 1n, /value is bigint/],
  ["undefined in a list", [undefined], /value\[0\] is undefined/],
  ["bytes", new Uint8Array(1), /value is a Uint8Array/],
  ["its own toJSON", { toJSON: () => 1 }, /toJSON/],
  ["a circle", circle, /nested deeper than 64 levels/],
] as [string, unknown, RegExp][]) {
  test(`refuses a value that JSON would change: ${name}`, async () => {
    const { cache } = setUp();
    const isUnsafe = (thrown: any) => thrown.reason === "CACHE_VALUE_UNSAFE" && says.test(thrown.detail);
    await assert.rejects(cache.set("a", value), isUnsafe);
    await assert.rejects(
      cache.getOrLoad("a", () => value),
      isUnsafe,
    );
  });
}

test("leaves out undefined properties, keeps a value without prototype, and `__proto__` harms nobody", async () => {
  const { cache } = setUp();
  const value = Object.assign(Object.create(null), { a: undefined, b: 1 });
  await cache.set("a", value);
  assert.deepEqual(await cache.get("a"), { b: 1 });
  await cache.set("b", JSON.parse('{"__proto__":{"polluted":true}}'));
  const got = await cache.get<any>("b");
  assert.equal(Object.getPrototypeOf(got), Object.prototype);
  assert.equal("polluted" in {}, false);
});

for (const [name, use, reason] of [
  ["an empty key", (cache) => cache.get(""), "CACHE_KEY_INVALID"],
  ["a key beyond 512 bytes", (cache) => cache.set("é".repeat(257), 1), "CACHE_KEY_INVALID"],
  ["a key that UTF-8 cannot hold", (cache) => cache.getOrLoad("a\ud800", () => 1), "CACHE_KEY_INVALID"],
  ["an empty tag", (cache) => cache.invalidate([""]), "CACHE_KEY_INVALID"],
  ["a tag beyond 256 bytes", (cache) => cache.set("a", 1, { tags: ["x".repeat(257)] }), "CACHE_KEY_INVALID"],
  ["more than 16 tags", (cache) => cache.set("a", 1, { tags: Array.from({ length: 17 }, String) }), "CACHE_LIMIT"],
  ["more than 100 keys in a read", (cache) => cache.getMany(Array.from({ length: 101 }, String)), "CACHE_LIMIT"],
  ["more than 1,000 keys in a removal", (cache) => cache.delete(Array.from({ length: 1001 }, String)), "CACHE_LIMIT"],
  ["a negative time to live", (cache) => cache.set("a", 1, { ttl: -1 }), "CACHE_TTL_INVALID"],
  ["a time to live beyond 30 days", (cache) => cache.getOrLoad("a", () => 1, { ttl: "31d" }), "CACHE_TTL_INVALID"],
] as [string, (cache: ReturnType<typeof createCache>) => Promise<unknown>, string][]) {
  test(`refuses ${name}`, () => assert.rejects(use(setUp().cache), { reason }));
}

test("takes a key of exactly 512 bytes", async () => {
  const { cache } = setUp();
  const key = "é".repeat(256);
  await cache.set(key, 1);
  assert.equal(await cache.get(key), 1);
});

test("stops the start when its namespace is no name", () => {
  const { driver } = setUp();
  assert.throws(
    () => createCache({ driver, namespace: "a:b" }),
    (thrown) => thrown instanceof StartError && /use the name of the service/.test(thrown.message),
  );
});
