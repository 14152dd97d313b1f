import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { CallContext, Principal, Trace } from "../base/index.ts";
import { error, PlinthError, systemClock } from "../base/index.ts";
import { count, gate, peers, scope, stream, text, unary, until } from "./peer.fixture.ts";

const all = peers();
after(() => all.close());

async function failure(run: Promise<unknown>): Promise<PlinthError> {
  try {
    await run;
  } catch (thrown) {
    assert.ok(thrown instanceof PlinthError, String(thrown));
    return thrown;
  }
  assert.fail("it did not fail");
}

describe("a call", () => {
  test("that fails after a new principal was told of leaves the line as it was", async () => {
    const methods = [unary("who", async (_, context) => ({ text: context.principal.subject ?? "" }))];
    const server = await all.server(methods);
    const call = all.client([server.address], methods).call("who");
    const user = (subject: string): Principal => ({
      kind: "user",
      subject,
      scopes: [],
      claims: { x: "y".repeat(5000) },
    });
    await call({ text: "" }, scope({ principal: user("first") }));
    const failing = scope({ principal: user("second") });
    Object.defineProperty(failing, "criticality", {
      get() {
        throw new Error("no");
      },
    });
    const small: Principal = { kind: "user", subject: "third", scopes: [], claims: {} };
    const waiting = call({ text: "" }, scope({ principal: small }));
    const failed = failure(call({ text: "" }, failing));
    const after = call({ text: "" }, scope({ principal: small }));
    assert.equal((await failed).code, "internal");
    assert.deepEqual(await Promise.all([waiting, after]), [{ text: "third" }, { text: "third" }]);
  });

  test("arrives with everything that travels with it, and its answer comes back", async () => {
    let seen: CallContext | undefined;
    const methods = [
      unary("echo", async (request, context) => {
        seen = context;
        return { text: `${request.text}!`, undeclared: 1 };
      }),
    ];
    const spans: unknown[] = [];
    const server = await all.server(methods, {
      startTrace: (id, traceparent, tracestate) => {
        spans.push([id, traceparent, tracestate]);
        return { trace, end: (status) => spans.push(status) };
      },
    });
    const trace: Trace = {
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      sampled: true,
      tracestate: "x=1",
      traceparent: () => `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    };
    const principal: Principal = { kind: "user", subject: "u1", scopes: ["a:read"], claims: { team: [1, { x: "é" }] } };
    const client = all.client([server.address], methods);
    const context = scope({ principal, trace, idempotencyKey: "k1", caller: "cart", attempt: 3, remainingMs: 4000 });
    assert.deepEqual(await client.call("echo")({ text: "hi", undeclared: 2 }, context), { text: "hi!" });
    assert.ok(seen);
    assert.deepEqual(seen.principal, principal);
    assert.deepEqual([seen.idempotencyKey, seen.caller, seen.attempt, seen.trace], ["k1", "cart", 3, trace]);
    const remaining = seen.deadline - systemClock.now();
    assert.ok(remaining > 2000 && remaining <= 4001, String(remaining));
    assert.deepEqual(spans, [["echo", trace.traceparent(), "x=1"], "ok"]);
    const first = seen.principal;
    await client.call("echo")(
      { text: "hi" },
      scope({ principal, caller: "test", remainingMs: Number.POSITIVE_INFINITY }),
    );
    assert.equal(seen.principal, first, "the same principal is one object on the server as well");
    assert.deepEqual([seen.caller, seen.attempt, seen.deadline], ["test", 1, Number.POSITIVE_INFINITY]);
    await client.call("echo")({ text: "hi" }, scope());
    assert.equal(seen.principal.kind, "anonymous");
    assert.deepEqual([server.stats.calls, server.stats.inFlight, server.stats.connections], [3, 0, 1]);
  });

  test("one of many at once gets its own answer, whatever the order", async () => {
    const methods = [
      unary("wait", async ({ text: value }) => {
        await systemClock.sleep((Number(value) * 7) % 13);
        return { text: value };
      }),
    ];
    const server = await all.server(methods);
    const call = all.client([server.address], methods).call("wait");
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => call({ text: String(i) }, scope())));
    assert.deepEqual(
      answers.map((answer) => answer.text),
      Array.from({ length: 300 }, (_, i) => String(i)),
    );
  });

  test("of two megabytes arrives whole, both ways", async () => {
    const methods = [unary("echo", async (request) => request)];
    const server = await all.server(methods);
    const value = { text: "x€".repeat(500_000) };
    assert.deepEqual(await all.client([server.address], methods).call("echo")(value, scope()), value);
  });

  test("that fails carries code, reason, message, details, retry and executed", async () => {
    const methods = [
      unary("fail", async () => {
        throw error("aborted", "Again.", { reason: "OUT_OF_LUCK", retry: 70, executed: "yes", details: { a: [1] } });
      }),
      unary("throw", () => {
        throw new TypeError("private");
      }),
      unary("vast", async () => {
        throw error("aborted", "Again.", { reason: "OUT_OF_LUCK", details: { big: 1n } });
      }),
    ];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    const got = await failure(client.call("fail")({ text: "" }, scope()));
    assert.deepEqual(
      [got.code, got.reason, got.message, got.retry, got.executed, got.details],
      ["aborted", "OUT_OF_LUCK", "Again.", 70, "yes", { a: [1] }],
    );
    const foreign = await failure(client.call("throw")({ text: "" }, scope()));
    assert.deepEqual([foreign.code, foreign.message], ["internal", "Something went wrong on our side."]);
    assert.equal((await failure(client.call("vast")({ text: "" }, scope()))).reason, "OUT_OF_LUCK");
  });

  test("whose deadline is spent does not run", async () => {
    let runs = 0;
    const methods = [unary("run", async (request) => ({ text: `${request.text}${++runs}` }))];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    await client.connect();
    const late = await failure(client.call("run")({ text: "" }, scope({ remainingMs: 0 })));
    assert.deepEqual([late.code, late.executed, runs], ["deadline_exceeded", "no", 0]);
  });

  test("whose deadline passes is over on both sides", async () => {
    const ended = gate<string>();
    const methods = [
      unary("hang", (_, context) => {
        context.onCancel((reason) => ended.open(reason.code));
        return new Promise(() => {});
      }),
    ];
    const server = await all.server(methods);
    const got = await failure(
      all.client([server.address], methods).call("hang")({ text: "" }, scope({ remainingMs: 80 })),
    );
    assert.equal(got.code, "deadline_exceeded");
    assert.match(await ended.promise, /deadline_exceeded|cancelled/);
  });

  test("that the caller cancels is cancelled on the server, and its late answer is ignored", async () => {
    const started = gate();
    const ended = gate<string>();
    const methods = [
      unary("hang", async (_, context) => {
        started.open();
        await new Promise<void>((resolve) => {
          context.signal.addEventListener("abort", () => resolve());
        });
        ended.open(context.cancelled?.reason ?? "");
        return { text: "late" };
      }),
      unary("echo", async (request) => request),
    ];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    const context = scope();
    const answer = failure(client.call("hang")({ text: "" }, context));
    await started.promise;
    context.cancel(error("cancelled", "No longer wanted."));
    assert.equal((await answer).message, "No longer wanted.");
    assert.equal(await ended.promise, "RPC_CALLER_GONE");
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
    await until(() => server.stats.inFlight === 0);
    const before = await failure(client.call("echo")({ text: "x" }, context));
    assert.equal(before.message, "No longer wanted.");
  });

  test("with a value that does not fit its schema is refused before it is sent", async () => {
    const methods = [unary("echo", async () => ({ wrong: 1 }))];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    await client.connect();
    const got = await failure(client.call("echo")({ text: 5 }, scope()));
    assert.deepEqual([got.reason, got.executed, server.stats.calls], ["WIRE_VALUE_MISMATCH", "no", 0]);
    const back = await failure(client.call("echo")({ text: "" }, scope()));
    assert.deepEqual([back.reason, back.executed], ["RPC_RESPONSE_UNSENDABLE", "yes"]);
  });

  test("above the frame limit of either side is refused by whichever has to send it", async () => {
    const methods = [unary("repeat", async (request) => ({ text: request.text.repeat(100) }))];
    for (const [ours, theirs] of [
      [20_000, 40_000],
      [40_000, 20_000],
    ] as const) {
      const server = await all.server(methods, { limits: { frameBytes: theirs } });
      const client = all.client([server.address], methods, { limits: { frameBytes: ours } });
      const got = await failure(client.call("repeat")({ text: "x".repeat(30_000) }, scope()));
      assert.deepEqual([got.reason, got.executed, got.details], ["FRAME_TOO_LARGE", "no", { limitBytes: 20_000 }]);
      const back = await failure(client.call("repeat")({ text: "x".repeat(300) }, scope()));
      assert.deepEqual([back.reason, back.executed], ["RPC_RESPONSE_UNSENDABLE", "yes"]);
      assert.equal((await client.call("repeat")({ text: "x" }, scope())).text.length, 100);
      assert.equal(server.stats.connections, 1);
    }
  });

  test("with claims beyond the limit is refused, and smaller ones still go", async () => {
    const methods = [unary("who", async (_, context) => ({ text: context.principal.subject }))];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    const user = (subject: string, claims = {}): Principal => ({ kind: "user", subject, scopes: [], claims });
    const got = await failure(
      client.call("who")({ text: "" }, scope({ principal: user("big", { x: "y".repeat(40_000) }) })),
    );
    assert.deepEqual([got.reason, got.executed], ["RPC_PRINCIPAL_TOO_LARGE", "no"]);
    const subjects = Array.from({ length: 1100 }, (_, i) => user(`u${i}`));
    const call = client.call("who");
    for (const group of [subjects.slice(0, 600), subjects.slice(600), subjects.slice(0, 300)]) {
      const answers = await Promise.all(group.map((principal) => call({ text: "" }, scope({ principal }))));
      assert.deepEqual(
        answers.map((answer) => answer.text),
        group.map((principal) => principal.subject),
      );
    }
  });

  test("to a method that the server does not have, or has as another kind, is unimplemented", async () => {
    const server = await all.server([unary("a", async (request) => request)]);
    const wanted = [unary("a", async (r) => r), unary("b", async (r) => r), stream("a2", async function* () {})];
    const client = all.client([server.address], wanted);
    const got = await failure(client.call("b")({ text: "" }, scope()));
    assert.deepEqual([got.code, got.reason, got.executed], ["unimplemented", "RPC_METHOD_UNKNOWN", "no"]);
    assert.deepEqual(await client.call("a")({ text: "x" }, scope()), { text: "x" });
    assert.throws(() => client.call("zzz"), /not given a unary method "zzz"/);
    assert.throws(() => client.stream("a"), /not given a stream method "a"/);
  });
});

describe("two versions of an app", () => {
  const before = { type: "object", required: ["text"], properties: { text: { type: "string" } } } as const;
  const later = {
    type: "object",
    required: ["text"],
    properties: { text: { type: "string" }, extra: { type: "integer" } },
  } as const;
  const seen: unknown[] = [];
  const versions = [
    ["an old server", before, later],
    ["a new server", later, before],
  ] as const;
  for (const [name, serverSchema, clientSchema] of versions) {
    test(`${name} and its opposite understand each other, unary and streaming`, async () => {
      const serverMethods = [
        {
          ...unary("echo", async (request) => {
            seen.push(request);
            return { text: "back", extra: 2 };
          }),
          request: serverSchema,
          response: serverSchema,
        },
        {
          ...stream("items", async function* (request: unknown) {
            yield request;
            yield { text: "item", extra: 3 };
          }),
          request: serverSchema,
          response: serverSchema,
        },
      ];
      const clientMethods = serverMethods.map((m) => ({ ...m, request: clientSchema, response: clientSchema }));
      const server = await all.server(serverMethods);
      const client = all.client([server.address], clientMethods);
      const answer = await client.call("echo")({ text: "there", extra: 1 }, scope());
      // Each side sees what both declare.
      assert.deepEqual(seen.pop(), { text: "there" });
      assert.deepEqual(answer, { text: "back" });
      const items: unknown[] = [];
      for await (const item of client.stream("items")({ text: "there", extra: 1 }, scope())) items.push(item);
      assert.deepEqual(items, [{ text: "there" }, { text: "item" }]);
    });
  }

  test("methods that changed places are still the right ones", async () => {
    const a = unary("a", async () => ({ text: "a" }));
    const b = unary("b", async () => ({ text: "b" }));
    const server = await all.server([a, b]);
    const client = all.client([server.address], [b, a]);
    assert.deepEqual(await client.call("b")({ text: "" }, scope()), { text: "b" });
    assert.deepEqual(await client.call("a")({ text: "" }, scope()), { text: "a" });
  });

  test("a response whose form changed alone is read, the request stays compiled", async () => {
    const method = unary("echo", async (request) => request);
    const server = await all.server([{ ...method, response: later }]);
    const client = all.client([server.address], [method]);
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
    assert.ok(text && count);
  });
});
