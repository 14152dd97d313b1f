import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { anonymous, CallScope, deadlineExceeded, type ScopeFields, servicePrincipal, type Trace } from "./call.ts";
import { createManualClock } from "./clock.ts";
import { createDeadlines } from "./deadlines.ts";
import { error, type PlinthError } from "./errors.ts";
import { uncaughtErrors } from "./testing.ts";

function scopeOn(clock = createManualClock(), fields: Partial<ScopeFields> = {}): CallScope {
  return new CallScope({
    principal: anonymous,
    deadline: clock.now() + 1000,
    caller: "gateway",
    deadlines: createDeadlines(clock),
    ...fields,
  });
}

const gone = error("cancelled", "The caller went away.");
const trace: Trace = {
  traceId: "t",
  spanId: "s",
  sampled: true,
  tracestate: undefined,
  traceparent: () => "00-t-s-01",
};

describe("principals", () => {
  test("nobody can change who calls", () => {
    assert.ok(Object.isFrozen(anonymous) && Object.isFrozen(servicePrincipal("mail")));
    assert.deepEqual(servicePrincipal("mail"), { kind: "service", subject: "mail", scopes: [], claims: {} });
  });
});

describe("a call's scope", () => {
  test("keeps what it was made of, and is the first attempt unless told", () => {
    const scope = scopeOn(undefined, { trace, idempotencyKey: "k" });
    assert.deepEqual([scope.trace, scope.idempotencyKey, scope.caller, scope.attempt], [trace, "k", "gateway", 1]);
    assert.equal(scopeOn(undefined, { attempt: 3 }).attempt, 3);
    assert.equal(scope.cancelled, undefined);
  });

  test("is cancelled when its deadline passes, with the reason everywhere", async () => {
    const clock = createManualClock();
    const scope = scopeOn(clock);
    const heard: PlinthError[] = [];
    scope.onCancel((reason) => heard.push(reason));
    const { signal } = scope;
    await clock.advance(999);
    assert.equal(scope.cancelled, undefined);
    await clock.advance(30);
    const reason = scope.cancelled as unknown as PlinthError;
    assert.equal(reason.code, "deadline_exceeded");
    assert.deepEqual(heard, [reason]);
    assert.equal(signal.reason, reason);
    assert.equal(scope.signal, signal);
  });

  test("is cancelled once; the first reason stays", () => {
    const scope = scopeOn();
    let count = 0;
    scope.onCancel(() => count++);
    scope.cancel(gone);
    scope.cancel(deadlineExceeded());
    assert.equal(scope.cancelled, gone);
    assert.equal(count, 1);
  });

  test("a signal asked for too late is already aborted, a listener is told at once", () => {
    const scope = scopeOn();
    scope.cancel(gone);
    assert.ok(scope.signal.aborted);
    assert.equal(scope.signal.reason, gone);
    let told: unknown;
    scope.onCancel((reason) => {
      told = reason;
    })();
    assert.equal(told, gone);
  });

  test("a listener that was taken back hears nothing, also when another takes it back on the way", () => {
    const scope = scopeOn();
    scope.onCancel(() => assert.fail("heard"))();
    let back = () => {};
    scope.onCancel(() => back());
    back = scope.onCancel(() => assert.fail("heard"));
    scope.cancel(gone);
  });

  test("hears each of its listeners once, and one that was taken back not at all", () => {
    const scope = scopeOn();
    const heard: string[] = [];
    const first = () => heard.push("first");
    scope.onCancel(first);
    scope.onCancel(first);
    const forgetSecond = scope.onCancel(() => heard.push("second"));
    scope.onCancel(() => heard.push("third"));
    forgetSecond();
    forgetSecond();
    scope.cancel(gone);
    assert.deepEqual(heard, ["first", "third"]);
  });

  test("a listener that throws keeps no other from hearing, and its error is not lost", async () => {
    const scope = scopeOn();
    let heard = false;
    scope.onCancel(() => {
      throw new Error("first");
    });
    scope.onCancel(() => {
      heard = true;
    });
    const { signal } = scope;
    const errors = await uncaughtErrors(() => {
      scope.cancel(gone);
      scope.onCancel(() => {
        throw new Error("late");
      });
    });
    assert.ok(heard && signal.aborted);
    assert.deepEqual(errors.map(String), ["Error: first", "Error: late"]);
  });

  test("that is finished hears of no deadline any more", async () => {
    const clock = createManualClock();
    const scope = scopeOn(clock);
    scope.finish();
    await clock.advance(5000);
    assert.equal(scope.cancelled, undefined);
  });

  test("may live without a deadline, and on the machine's clock", () => {
    const scope = new CallScope({ principal: anonymous, deadline: Number.POSITIVE_INFINITY, caller: "x" });
    assert.equal(scope.deadlineSlot, -1);
    const timed = new CallScope({ principal: anonymous, deadline: performance.now() + 60_000, caller: "x" });
    assert.notEqual(timed.deadlineSlot, -1);
    timed.finish();
    assert.equal(timed.deadlineSlot, -1);
  });
});

describe("a child of a scope", () => {
  test("keeps principal, trace and caller, begins at attempt 1 and has no key of its own", () => {
    const parent = scopeOn(undefined, { principal: servicePrincipal("mail"), trace, attempt: 4, idempotencyKey: "k" });
    const child = parent.child();
    assert.deepEqual(
      [child.principal, child.trace, child.caller, child.attempt, child.idempotencyKey, child.deadline],
      [parent.principal, trace, "gateway", 1, undefined, parent.deadline],
    );
  });

  test("takes the changes it is given", () => {
    const changes = {
      principal: servicePrincipal("cart"),
      trace: undefined,
      caller: "cart",
      attempt: 2,
      idempotencyKey: "k",
    };
    const child = scopeOn(undefined, { trace }).child(changes);
    assert.deepEqual(
      [child.principal, child.trace, child.caller, child.attempt, child.idempotencyKey],
      [changes.principal, undefined, "cart", 2, "k"],
    );
  });

  test("may have less time than its parent, never more", () => {
    const parent = scopeOn();
    assert.equal(parent.child({ deadline: 200 }).deadline, 200);
    assert.equal(parent.child({ deadline: 5000 }).deadline, 1000);
  });

  test("that runs out of time leaves its parent running", async () => {
    const clock = createManualClock();
    const parent = scopeOn(clock);
    const child = parent.child({ deadline: 100 });
    await clock.advance(150);
    assert.equal(child.cancelled?.code, "deadline_exceeded");
    assert.equal(parent.cancelled, undefined);
  });

  test("ends with its parent, down the whole tree, with the same reason", () => {
    const parent = scopeOn();
    const children = [parent.child(), parent.child()];
    const grandchildren = children.map((child) => child.child());
    parent.cancel(gone);
    for (const scope of [...children, ...grandchildren]) assert.equal(scope.cancelled, gone);
  });

  test("that was cancelled leaves its parent and its siblings alone", () => {
    const parent = scopeOn();
    const [first, second] = [parent.child(), parent.child()];
    first.cancel(gone);
    assert.deepEqual([parent.cancelled, second.cancelled], [undefined, undefined]);
  });

  test("of a cancelled parent is born cancelled", () => {
    const parent = scopeOn();
    parent.cancel(gone);
    const child = parent.child();
    assert.equal(child.cancelled, gone);
    assert.equal(child.deadlineSlot, -1);
  });

  test("hears of the end in the order in which it was made, also when some are finished before", () => {
    const parent = scopeOn();
    const heard: number[] = [];
    const children = [0, 1, 2, 3, 4].map((number) => {
      const child = parent.child();
      child.onCancel(() => heard.push(number));
      return child;
    });
    for (const number of [2, 0, 4]) children[number]?.finish();
    parent.child().onCancel(() => heard.push(5));
    parent.cancel(gone);
    assert.deepEqual(heard, [1, 3, 5]);
  });

  test("that is finished when a sibling ends, or makes another one, breaks no list", () => {
    const parent = scopeOn();
    const [first, second, third] = [parent.child(), parent.child(), parent.child()];
    let late: CallScope | undefined;
    first.onCancel(() => {
      second.finish();
      first.finish();
      late = parent.child();
    });
    parent.cancel(gone);
    assert.deepEqual([second.cancelled, third.cancelled, late?.cancelled], [undefined, gone, gone]);
  });

  test("of a finished parent is let go, and may finish after it", () => {
    const parent = scopeOn();
    const [first, second] = [parent.child(), parent.child()];
    parent.finish();
    first.finish();
    parent.cancel(gone);
    assert.equal(second.cancelled, undefined);
  });

  test("that is finished is let go by its parent", () => {
    const parent = scopeOn();
    const child = parent.child();
    child.finish();
    parent.cancel(gone);
    assert.equal(child.cancelled, undefined);
  });
});

test("a deadline that passed before the work began says that nothing was done", () => {
  assert.deepEqual([deadlineExceeded("no").executed, deadlineExceeded().executed], ["no", "maybe"]);
});
