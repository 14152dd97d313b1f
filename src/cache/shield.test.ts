import assert from "node:assert/strict";
import { test } from "node:test";
import type { ManualClock } from "../base/index.ts";
import { createManualClock, createSeededRandom } from "../base/index.ts";
import { createCache } from "./cache.ts";
import { createFaultyCache } from "./faulty.ts";
import { createMemoryCache } from "./memory.ts";

/** Two processes on one engine that can be made to fail for the first of them. */
function setUp() {
  const clock = createManualClock();
  const engine = createMemoryCache({ clock });
  const faulty = createFaultyCache(engine, { clock });
  const errors: string[] = [];
  const options = { namespace: "catalog", clock, random: createSeededRandom(1) };
  const cache = createCache({ ...options, driver: faulty, onError: (_error, operation) => errors.push(operation) });
  const elsewhere = createCache({ ...options, driver: engine });
  return { clock, faulty, faults: faulty.faults, cache, elsewhere, errors };
}

test("takes an engine that fails for a miss, and loads; counts it and tells the log", async () => {
  const { cache, faults, errors } = setUp();
  await cache.set("a", 1);
  faults.errorRate = 1;
  assert.equal(await cache.get("a"), undefined);
  assert.equal(await cache.getOrLoad("a", () => "loaded"), "loaded");
  assert.deepEqual(errors, ["get", "get"]);
  assert.equal(cache.stats.errorCount, 2);
});

test("takes an engine that hangs for a miss after 250 ms", async () => {
  const { cache, faults, clock } = setUp();
  faults.hang = true;
  let answer: unknown = "waiting";
  void cache
    .getOrLoad("a", () => "loaded")
    .then((value) => {
      answer = value;
    });
  await clock.advance(240);
  assert.equal(answer, "waiting");
  await clock.advance(40);
  assert.equal(answer, "loaded");
});

test("asks a dead engine no more after twenty failures, and again after five seconds", async () => {
  const { cache, faults, faulty, clock } = setUp();
  faults.errorRate = 1;
  for (let i = 0; i < 100; i++) await cache.get("a");
  assert.equal(faulty.operationCount, 20);
  assert.equal(cache.stats.errorCount, 100);
  faults.errorRate = 0;
  await clock.advance(5000);
  await cache.set("a", "back");
  assert.equal(await cache.get("a"), "back");
});

test("does not fail who invalidates when the engine cannot be reached, and invalidates before it reads again", async () => {
  const { cache, faults } = setUp();
  await cache.set("a", "old", { tags: ["tag"] });
  await cache.set("b", "old");
  await cache.set("c", "kept");
  faults.errorRate = 1;
  await cache.invalidate(["tag"]);
  await cache.delete(["b"]);
  assert.equal(await cache.get("a"), undefined);
  faults.errorRate = 0;
  assert.deepEqual(await cache.getMany(["a", "b", "c"]), [undefined, undefined, "kept"]);
});

test("does not show the older value when a newer one could not be set", async () => {
  const { cache, faults } = setUp();
  await cache.set("a", "old");
  faults.errorRate = 1;
  await cache.set("a", "new");
  faults.errorRate = 0;
  assert.equal(await cache.get("a"), undefined);
});

test("removes what it owes although nobody reads here, so that other processes miss it too", async () => {
  const { cache, elsewhere, faults, clock } = setUp();
  await elsewhere.set("a", "old", { tags: ["tag"] });
  faults.errorRate = 1;
  await cache.invalidate(["tag"]);
  await clock.advance(3000);
  assert.equal(await elsewhere.get("a"), "old");
  faults.errorRate = 0;
  await clock.advance(1000);
  assert.equal(await elsewhere.get("a"), undefined);
});

test("clears the namespace when it owes more than it can remember", async () => {
  const { cache, elsewhere, faults, clock } = setUp();
  await elsewhere.set("a", "old");
  await elsewhere.set("b", "old");
  faults.errorRate = 1;
  await cache.clear();
  await cache.delete("a");
  faults.errorRate = 0;
  await clock.advance(1000);
  assert.deepEqual(await elsewhere.getMany(["a", "b"]), [undefined, undefined]);

  await elsewhere.set("b", "old");
  faults.errorRate = 1;
  for (let part = 0; part < 11; part++) {
    await cache.invalidate(Array.from({ length: 1000 }, (_, index) => `tag-${part}-${index}`));
  }
  faults.errorRate = 0;
  await clock.advance(20_000);
  assert.equal(await elsewhere.get("b"), undefined);
});

test("pays in parts of a thousand what it owes", async () => {
  const { cache, faults, faulty } = setUp();
  faults.errorRate = 1;
  for (let part = 0; part < 3; part++) {
    await cache.delete(Array.from({ length: 1000 }, (_, index) => `key-${part}-${index}`));
  }
  faults.errorRate = 0;
  const before = faulty.operationCount;
  assert.equal(await cache.get("a"), undefined);
  assert.equal(faulty.operationCount - before, 4);
});

test("tries once more to remove what it owes when it is closed, and then no more", async () => {
  const { cache, elsewhere, faults, faulty, clock } = setUp();
  await elsewhere.set("a", "old");
  faults.errorRate = 1;
  await cache.delete("a");
  await cache.close();
  const count = faulty.operationCount;
  await clock.advance(10_000);
  assert.equal(faulty.operationCount, count);
});

test("an engine that loses answers and effects at random never makes an error, nor a value that was replaced", async () => {
  const { cache, faults, clock } = setUp();
  const random = createSeededRandom(7);
  let truth = 0;
  for (let i = 0; i < 500; i++) {
    faults.errorRate = i % 100 < 50 ? 0.3 : 0;
    faults.afterEffect = random.next() < 0.5;
    if (random.next() < 0.2) {
      truth++;
      await cache.invalidate(["tag"]);
    }
    assert.equal(
      await answerOf(
        clock,
        cache.getOrLoad("a", () => truth, { tags: ["tag"] }),
      ),
      truth,
    );
    if (i % 10 === 0) await clock.advance(1000);
  }
  assert.ok(cache.stats.errorCount > 0 && cache.stats.hitCount > 0);
});

/** Lets time pass until there is an answer: a lease whose answer was lost is waited for. */
async function answerOf<T>(clock: ManualClock, answer: Promise<T>): Promise<T> {
  let isThere = false;
  const over = answer.finally(() => {
    isThere = true;
  });
  await new Promise(setImmediate);
  while (!isThere) await clock.advance(50);
  return over;
}
