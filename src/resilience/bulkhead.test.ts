import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamCall } from "../base/index.ts";
import { createManualClock, error } from "../base/index.ts";
import type { BulkheadOptions } from "./bulkhead.ts";
import { createBulkhead } from "./bulkhead.ts";
import { compose, composeStreams } from "./policy.ts";
import { pendingCall, scopeOn } from "./scope.fixture.ts";

function setUp(options: Partial<BulkheadOptions> = {}) {
  const clock = createManualClock();
  const bulkhead = createBulkhead({ name: "pricing", concurrentMax: 2, clock, ...options });
  const pending = pendingCall();
  return { clock, bulkhead, ...pending, guarded: bulkhead.policy(pending.call), scope: () => scopeOn(clock) };
}

test("lets as many calls run as its bound, and gives the next place to whoever waits longest", async () => {
  const { clock, bulkhead, guarded, scope, count, resolve, reject } = setUp();
  const answers = ["a", "b", "c", "d"].map((request) => guarded(request, scope()).catch((thrown) => thrown.message));
  await clock.advance(0);
  assert.deepEqual([count(), bulkhead.runningCount, bulkhead.queuedCount], [2, 2, 2]);
  resolve("first");
  reject(new Error("second"));
  await clock.advance(0);
  assert.deepEqual([count(), bulkhead.runningCount, bulkhead.queuedCount], [4, 2, 0]);
  resolve("third");
  resolve("fourth");
  assert.deepEqual(await Promise.all(answers), ["first", "second", "third", "fourth"]);
  assert.equal(bulkhead.runningCount, 0);
});

test("refuses at once when its queue is full, without running the call", async () => {
  const { clock, bulkhead, guarded, scope, count } = setUp({ queueMax: 1 });
  for (let i = 0; i < 3; i++) guarded("x", scope()).catch(() => {});
  await assert.rejects(guarded("x", scope()), {
    code: "resource_exhausted",
    reason: "BULKHEAD_FULL",
    executed: "no",
    message: 'Too many calls to "pricing" are running (limit 2).',
  });
  await clock.advance(0);
  assert.deepEqual([count(), bulkhead.refusedCount], [2, 1]);
});

test("bounds its queue by its bound on calls when not told otherwise", async () => {
  const { bulkhead, guarded, scope } = setUp();
  for (let i = 0; i < 4; i++) guarded("x", scope()).catch(() => {});
  assert.equal(bulkhead.queuedCount, 2);
  await assert.rejects(guarded("x", scope()), { reason: "BULKHEAD_FULL" });
});

test("refuses a call that waited for 100 ms", async () => {
  const { clock, bulkhead, guarded, scope } = setUp({ concurrentMax: 1 });
  guarded("x", scope()).catch(() => {});
  const outcome = assert.rejects(guarded("x", scope()), { reason: "BULKHEAD_FULL" });
  await clock.advance(99);
  assert.equal(bulkhead.queuedCount, 1);
  await clock.advance(21);
  await outcome;
  assert.deepEqual([bulkhead.queuedCount, bulkhead.runningCount], [0, 1]);
});

test("lets a call wait no longer than half of its remaining time", async () => {
  const { clock, guarded, scope, bulkhead } = setUp({ concurrentMax: 1 });
  guarded("x", scope()).catch(() => {});
  const outcome = assert.rejects(guarded("x", scopeOn(clock, { remainingMs: 80 })), { reason: "BULKHEAD_FULL" });
  await clock.advance(60);
  await outcome;
  await assert.rejects(guarded("x", scopeOn(clock, { remainingMs: 0 })), { code: "deadline_exceeded", executed: "no" });
  assert.equal(bulkhead.queuedCount, 0);
});

test("forgets a call that is cancelled while it waits", async () => {
  const { clock, bulkhead, guarded, scope, count, resolve } = setUp({ concurrentMax: 1 });
  guarded("x", scope()).catch(() => {});
  const waiting = scope();
  const outcome = assert.rejects(guarded("x", waiting), { code: "cancelled", executed: "no" });
  waiting.cancel(error("cancelled", "gone"));
  await outcome;
  await assert.rejects(guarded("x", waiting), { code: "cancelled", executed: "no" });
  assert.equal(bulkhead.queuedCount, 0);
  resolve("ok");
  await clock.advance(0);
  assert.deepEqual([count(), bulkhead.runningCount], [1, 0]);
});

test("frees its place when a call throws at once", async () => {
  const { bulkhead, scope } = setUp();
  const guarded = bulkhead.policy(() => {
    throw new Error("at once");
  });
  await assert.rejects(guarded("x", scope()), /at once/);
  assert.equal(bulkhead.runningCount, 0);
});

test("bounds work that has no call around it", async () => {
  const { clock, bulkhead } = setUp({ concurrentMax: 1 });
  const order: string[] = [];
  const first = bulkhead.run(async () => {
    order.push("first");
  });
  const second = bulkhead.run(async () => {
    order.push("second");
    throw new Error("failed");
  });
  await first;
  await assert.rejects(second, /failed/);
  await clock.advance(0);
  assert.deepEqual([order, bulkhead.runningCount], [["first", "second"], 0]);
});

const twoItems: StreamCall = async function* () {
  yield 1;
  yield 2;
};

test("a stream holds its place until it ends, its reader leaves, or its call is cancelled", async () => {
  const { clock, bulkhead, scope } = setUp();
  const guarded = bulkhead.stream(twoItems);
  const untouched = guarded("x", scope());
  assert.equal(bulkhead.runningCount, 0);
  const iterator = untouched[Symbol.asyncIterator]();
  await iterator.next();
  assert.equal(bulkhead.runningCount, 1);
  await iterator.next();
  await iterator.next();
  assert.equal(bulkhead.runningCount, 0);

  for await (const _ of guarded("x", scope())) break;
  assert.equal(bulkhead.runningCount, 0);

  const abandoned = scope();
  await guarded("x", abandoned)[Symbol.asyncIterator]().next();
  abandoned.cancel(error("cancelled", "gone"));
  assert.equal(bulkhead.runningCount, 0);
  await clock.advance(0);
});

test("a stream waits for its place, and gives it back when its reader has left meanwhile", async () => {
  const { clock, bulkhead, guarded, scope, resolve } = setUp({ concurrentMax: 1 });
  guarded("x", scope()).catch(() => {});
  const iterator = bulkhead.stream(twoItems)("x", scope())[Symbol.asyncIterator]();
  const first = iterator.next();
  await clock.advance(0);
  assert.equal(bulkhead.queuedCount, 1);
  await iterator.return?.();
  assert.equal((await first).done, true);
  resolve("ok");
  await clock.advance(0);
  assert.deepEqual([bulkhead.runningCount, bulkhead.queuedCount], [0, 0]);
});

test("a stream that cannot be opened gives its place back", async () => {
  const { bulkhead, scope } = setUp();
  const guarded = bulkhead.stream(() => {
    throw new Error("cannot open");
  });
  await assert.rejects(guarded("x", scope())[Symbol.asyncIterator]().next(), /cannot open/);
  assert.equal(bulkhead.runningCount, 0);
});

test("composes policies from the outside in", async () => {
  const clock = createManualClock();
  const order: string[] = [];
  const named = (name: string) => (next: any) => (request: unknown, context: unknown) => {
    order.push(name);
    return next(request, context);
  };
  await compose([named("outer"), named("inner")])(async () => order.push("call"))("x", scopeOn(clock));
  for await (const _ of composeStreams([named("o"), named("i")])(twoItems)("x", scopeOn(clock))) break;
  assert.deepEqual(order, ["outer", "inner", "call", "o", "i"]);
});
