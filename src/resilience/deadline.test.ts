import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamCall } from "../base/index.ts";
import { createManualClock, error, isError, PlinthError } from "../base/index.ts";
import { deadline, deadlineStream, timeout } from "./deadline.ts";
import { pendingCall, scopeOn } from "./scope.fixture.ts";

test("passes an answer and an error through, unchanged", async () => {
  const clock = createManualClock();
  const failure = error("not_found", "no such thing");
  const guarded = deadline({ clock })(async (request) => {
    if (request === "bad") throw failure;
    return request;
  });
  assert.equal(await guarded("good", scopeOn(clock)), "good");
  await assert.rejects(guarded("bad", scopeOn(clock)), failure);
});

test("refuses a call whose time is spent, without running it", async () => {
  const clock = createManualClock();
  const { call, count } = pendingCall();
  const refused = deadline({ clock })(call)("x", scopeOn(clock, { remainingMs: 0 }));
  await assert.rejects(refused, { code: "deadline_exceeded", executed: "no" });
  assert.equal(count(), 0);
});

test("refuses a call that its caller has given up, without running it and with the caller's reason", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock);
  scope.cancel(new PlinthError("cancelled", "The client went away.", { reason: "CLIENT_GONE" }));
  const { call, count } = pendingCall();
  await assert.rejects(deadline({ clock })(call)("x", scope), { reason: "CLIENT_GONE", executed: "no" });
  assert.equal(count(), 0);
});

test("lets the caller go although the handler ignores its deadline", async () => {
  const clock = createManualClock();
  const { call, resolve } = pendingCall();
  const answer = deadline({ clock })(call)("x", scopeOn(clock, { remainingMs: 100 }));
  const outcome = assert.rejects(answer, { code: "deadline_exceeded", executed: "maybe" });
  await clock.advance(130);
  await outcome;
  resolve("too late");
});

test("lets the caller go when it is cancelled, and drops a late failure", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock);
  const { call, reject } = pendingCall();
  const outcome = assert.rejects(deadline({ clock })(call)("x", scope), { code: "cancelled" });
  scope.cancel(error("cancelled", "gone"));
  await outcome;
  reject(new Error("late"));
  await clock.advance(0);
});

test("turns what a call throws at once into a rejection", async () => {
  const clock = createManualClock();
  const guarded = timeout({ timeout: 50, clock })(() => Promise.reject(new Error("at once")));
  await assert.rejects(guarded("x", scopeOn(clock)), /at once/);
});

test("gives a call less time than its caller has, with key and attempt kept", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock, { remainingMs: 5000, idempotencyKey: "k", attempt: 2 });
  let seen: { key: string | undefined; attempt: number; deadline: number } | undefined;
  const guarded = timeout({ timeout: "1s", clock })((_request, context) => {
    seen = { key: context.idempotencyKey, attempt: context.attempt, deadline: context.deadline };
    return new Promise(() => {});
  });
  const outcome = assert.rejects(guarded("x", scope), { code: "deadline_exceeded" });
  await clock.advance(1030);
  await outcome;
  assert.deepEqual(seen, { key: "k", attempt: 2, deadline: 1000 });
  assert.equal(scope.cancelled, undefined);
});

test("keeps the caller's deadline where it is nearer than the timeout", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock, { remainingMs: 200 });
  const guarded = timeout({ timeout: "1s", clock })(async (_request, context) => context === scope);
  assert.equal(await guarded("x", scope), true);
  await assert.rejects(guarded("x", scopeOn(clock, { remainingMs: 0 })), { executed: "no" });
});

const numbers: StreamCall = async function* () {
  yield 1;
  yield 2;
};

test("passes a stream through to its end", async () => {
  const clock = createManualClock();
  const items: number[] = [];
  for await (const item of deadlineStream({ clock })(numbers)("x", scopeOn(clock))) items.push(item);
  assert.deepEqual(items, [1, 2]);
});

test("refuses a stream whose time is spent", async () => {
  const clock = createManualClock();
  const stream = deadlineStream({ clock })(numbers)("x", scopeOn(clock, { remainingMs: 0 }));
  const iterator = stream[Symbol.asyncIterator]();
  await assert.rejects(iterator.next(), { code: "deadline_exceeded", executed: "no" });
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test("refuses a stream whose caller is gone before the first item", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock);
  scope.cancel(error("cancelled", "gone"));
  const iterator = deadlineStream({ clock })(numbers)("x", scope)[Symbol.asyncIterator]();
  await assert.rejects(iterator.next(), { code: "cancelled", executed: "no" });
});

test("ends a stream that hangs when its time is over, and tells the source", async () => {
  const clock = createManualClock();
  let returned = false;
  const hanging: StreamCall = () => ({
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        returned = true;
        return { done: true, value: undefined };
      },
    }),
  });
  const iterator = deadlineStream({ clock })(hanging)("x", scopeOn(clock, { remainingMs: 100 }))[
    Symbol.asyncIterator
  ]();
  const outcome = assert.rejects(iterator.next(), { code: "deadline_exceeded" });
  await clock.advance(130);
  await outcome;
  assert.equal(returned, true);
});

test("never shows a stream that was cut between two items as complete", async () => {
  const clock = createManualClock();
  const scope = scopeOn(clock);
  const iterator = deadlineStream({ clock })(numbers)("x", scope)[Symbol.asyncIterator]();
  await iterator.next();
  scope.cancel(error("cancelled", "gone"));
  await assert.rejects(iterator.next(), (thrown) => isError(thrown, "cancelled"));
});

test("ends a waiting read when the reader leaves a stream", async () => {
  const clock = createManualClock();
  const hanging: StreamCall = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) });
  const iterator = deadlineStream({ clock })(hanging)("x", scopeOn(clock))[Symbol.asyncIterator]();
  const waiting = iterator.next();
  await clock.advance(0);
  await iterator.return?.();
  assert.deepEqual(await waiting, { done: true, value: undefined });
});
