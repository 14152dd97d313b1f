import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode, StreamCall } from "../base/index.ts";
import { createManualClock, error, errorCodes } from "../base/index.ts";
import { createCircuitBreaker } from "./circuit-breaker.ts";
import { pendingCall, scopeOn } from "./scope.fixture.ts";

function setUp() {
  const clock = createManualClock();
  const changes: string[] = [];
  const breaker = createCircuitBreaker({
    name: "pricing",
    clock,
    onChange: (to, from) => changes.push(`${from}>${to}`),
  });
  let answer: unknown = "ok";
  const call = breaker.policy(async () => {
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const ask = () =>
    call("x", scopeOn(clock)).then(
      () => "ok",
      (thrown) => thrown.reason as string,
    );
  const askMany = async (count: number) => {
    for (let i = 0; i < count; i++) await ask();
  };
  const set = (value: unknown) => {
    answer = value;
  };
  return { clock, breaker, changes, ask, askMany, set, scope: () => scopeOn(clock) };
}
const down = () => error("unavailable", "down");

/** Opens the circuit by twenty failures. */
async function opened() {
  const all = setUp();
  all.set(down());
  await all.askMany(20);
  assert.equal(all.breaker.state, "open");
  return all;
}

test("passes calls and counts them while closed", async () => {
  const { breaker, askMany } = setUp();
  await askMany(3);
  assert.deepEqual([breaker.state, breaker.callCount, breaker.failureCount], ["closed", 3, 0]);
});

test("stays closed below twenty calls, opens with the twentieth failure, and then asks the callee no more", async () => {
  const { breaker, set, ask, askMany, changes } = setUp();
  set(down());
  await askMany(19);
  assert.equal(breaker.state, "closed");
  await ask();
  assert.equal(breaker.state, "open");
  set("ok");
  assert.equal(await ask(), "CIRCUIT_OPEN");
  assert.equal(breaker.refusedCount, 1);
  assert.deepEqual(changes, ["closed>open"]);
});

test("stays closed when fewer than half of the calls fail", async () => {
  const { breaker, set, askMany } = setUp();
  await askMany(11);
  set(down());
  await askMany(10);
  assert.equal(breaker.state, "closed");
  await askMany(1);
  assert.equal(breaker.state, "open");
});

test("forgets failures that are older than ten seconds", async () => {
  const { clock, breaker, set, askMany } = setUp();
  set(down());
  await askMany(19);
  await clock.advance(11_000);
  await askMany(19);
  assert.equal(breaker.state, "closed");
  assert.deepEqual([breaker.callCount, breaker.failureCount], [19, 19]);
});

test("a refusal says that nothing was executed, and when to come back", async () => {
  const { clock, breaker, scope } = await opened();
  await clock.advance(2000);
  await assert.rejects(breaker.policy(async () => 1)("x", scope()), {
    code: "unavailable",
    reason: "CIRCUIT_OPEN",
    executed: "no",
    retry: 3000,
    message: /"pricing"/,
  });
});

const failures = new Set<ErrorCode>(["unavailable", "deadline_exceeded", "internal", "unknown", "data_loss"]);
for (const code of errorCodes) {
  const counts = failures.has(code);
  test(`${counts ? "counts" : "does not count"} ${code} as a failure`, async () => {
    const { breaker, set, askMany } = setUp();
    set(error(code, "x"));
    await askMany(25);
    assert.equal(breaker.state, counts ? "open" : "closed");
  });
}

test("does not count a call that came too late, nor dilutes its window with what a bulkhead refused", async () => {
  const { breaker, set, askMany } = setUp();
  set(error("deadline_exceeded", "late", { executed: "no" }));
  await askMany(25);
  set(error("resource_exhausted", "full"));
  await askMany(25);
  assert.equal(breaker.callCount, 0);
});

test("does not count what the callee passes on from further down, but what it says of itself", async () => {
  const { breaker, set, askMany } = setUp();
  for (const code of ["unavailable", "deadline_exceeded"] as const) {
    set(error(code, "further down", { executed: "yes", retry: "never" }));
    await askMany(25);
  }
  set(error("unavailable", "further down", { executed: "yes", retry: 3000 }));
  await askMany(25);
  assert.deepEqual([breaker.state, breaker.callCount], ["closed", 0]);
  set(error("unavailable", "my database is away", { executed: "maybe", retry: "never" }));
  await askMany(25);
  assert.equal(breaker.state, "open");
});

test("counts an unknown exception, also one thrown at once", async () => {
  const { breaker, scope } = setUp();
  const call = breaker.policy(() => {
    throw new TypeError("bug");
  });
  for (let i = 0; i < 20; i++) await assert.rejects(call("x", scope()), TypeError);
  assert.equal(breaker.state, "open");
});

test("sends one probe after five seconds, refuses the others meanwhile, and closes when it succeeds", async () => {
  const { clock, breaker, scope, changes } = await opened();
  await clock.advance(5000);
  const { call, count, resolve } = pendingCall();
  const guarded = breaker.policy(call);
  const probe = guarded("x", scope());
  assert.equal(breaker.state, "half-open");
  await assert.rejects(guarded("x", scope()), { reason: "CIRCUIT_OPEN", retry: 100 });
  assert.equal(count(), 1);
  resolve("ok");
  assert.equal(await probe, "ok");
  assert.equal(breaker.state, "closed");
  assert.deepEqual([breaker.callCount, breaker.failureCount], [0, 0]);
  assert.deepEqual(changes, ["closed>open", "open>half-open", "half-open>closed"]);
});

test("opens again for five seconds when the probe fails", async () => {
  const { clock, breaker, ask } = await opened();
  await clock.advance(5000);
  assert.equal(await ask(), "UNAVAILABLE");
  assert.equal(breaker.state, "open");
  await clock.advance(4999);
  assert.equal(await ask(), "CIRCUIT_OPEN");
});

test("sends another probe when the caller of the first one went away", async () => {
  const { clock, breaker, set, ask } = await opened();
  await clock.advance(5000);
  set(error("cancelled", "gone"));
  await ask();
  assert.equal(breaker.state, "half-open");
  set("ok");
  assert.equal(await ask(), "ok");
  assert.equal(breaker.state, "closed");
});

test("gives up a probe that never comes back, and ignores it when it does after all", async () => {
  const { clock, breaker, scope } = await opened();
  await clock.advance(5000);
  const { call, count, reject } = pendingCall();
  const guarded = breaker.policy(call);
  const first = assert.rejects(guarded("x", scope()));
  await clock.advance(5000);
  guarded("x", scope()).catch(() => {});
  assert.equal(count(), 2);
  reject(down());
  await first;
  assert.equal(breaker.state, "half-open");
});

test("ignores answers to calls that began before it opened", async () => {
  const { clock, breaker, scope, set, askMany } = setUp();
  const { call, resolve } = pendingCall();
  const old = breaker.policy(call)("x", scope());
  set(down());
  await askMany(20);
  resolve("ok");
  await old;
  assert.equal(breaker.state, "open");
  await clock.advance(0);
});

async function read(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

test("counts a stream that yields or ends as a success, and one that throws as a failure", async () => {
  const { breaker, scope } = setUp();
  const good: StreamCall = async function* () {
    yield 1;
    yield 2;
  };
  const empty: StreamCall = async function* () {};
  const bad: StreamCall = async function* () {
    yield* [];
    throw down();
  };
  assert.deepEqual(await read(breaker.stream(good)("x", scope())), [1, 2]);
  assert.deepEqual(await read(breaker.stream(empty)("x", scope())), []);
  assert.deepEqual([breaker.callCount, breaker.failureCount], [2, 0]);
  for (let i = 0; i < 20; i++) await assert.rejects(read(breaker.stream(bad)("x", scope())));
  assert.equal(breaker.state, "open");
  await assert.rejects(read(breaker.stream(good)("x", scope())), { reason: "CIRCUIT_OPEN" });
});

test("closes with the first item of a stream that probes; a reader that leaves before proves nothing", async () => {
  const { clock, breaker, scope } = await opened();
  await clock.advance(5000);
  const hanging: StreamCall = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) });
  const left = breaker.stream(hanging)("x", scope())[Symbol.asyncIterator]();
  void left.next();
  await clock.advance(0);
  await left.return?.();
  assert.equal(breaker.state, "half-open");
  const endless: StreamCall = async function* () {
    for (;;) yield 1;
  };
  const probe = breaker.stream(endless)("x", scope())[Symbol.asyncIterator]();
  await probe.next();
  assert.equal(breaker.state, "closed");
  await probe.return?.();
});
