import assert from "node:assert/strict";
import { test } from "node:test";
import * as z from "zod";
import type { Call, Principal, StreamCall } from "../base/index.ts";
import { CallScope, error, isError, PlinthError, servicePrincipal } from "../base/index.ts";
import { Redeliver } from "../events/index.ts";
import { retry } from "../resilience/index.ts";
import { compile, t } from "../schema/index.ts";
import { createLogger, createMetrics, createTracer } from "../telemetry/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import { compileCodec, Reader, Writer } from "../wire/index.ts";
import { contract, event, method, raw, service, stream } from "./index.ts";
import { rawResponseSchema } from "./operation.ts";
import { createTestScope, createTestUnit } from "./testing.ts";

const user: Principal = { kind: "user", subject: "u1", scopes: ["things:read"], claims: {} };

const things = contract("things", {
  methods: {
    get: method({
      request: t.Object({ id: t.String() }),
      response: t.Object({ id: t.String() }),
      errors: { THING_UNKNOWN: "not_found" },
      access: "public",
    }),
    mine: method({ response: t.Object({ subject: t.String() }) }),
    write: method({ access: { scope: ["things:read", "things:write"] } }),
    parse: method({
      request: z.object({ n: z.coerce.number() }),
      response: z.object({
        n: z
          .number()
          .transform((n) => n + 1)
          .pipe(z.number()),
      }),
      access: "public",
    }),
    count: stream({ request: t.Object({ to: t.Integer() }), item: t.Object({ n: t.Integer() }), access: "public" }),
    hook: raw({ http: "POST /hook", access: "public" }),
  },
  events: { Happened: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
});

type Behaviour = (id: string) => unknown;

function createUnitOf(behave: Behaviour, options: Parameters<typeof createTestUnit>[1] = {}) {
  const definition = service(things, {
    methods: {
      async get({ id }, { fail }) {
        if (id === "absent") throw fail("THING_UNKNOWN", "There is no such thing.");
        return (await behave(id)) as { id: string };
      },
      async mine(_request, { principal, caller, deadline, idempotencyKey, trace, log, signal }) {
        log.info("seen");
        assert.ok(trace && deadline > 0 && caller === "test" && idempotencyKey === undefined && !signal.aborted);
        return { subject: principal.subject };
      },
      async write() {},
      async parse({ n }) {
        return { n };
      },
      async *count({ to }) {
        for (let n = 0; n < to; n++) {
          if (n === 3) throw new Error("three is too many");
          yield { n };
        }
      },
      async hook({ body }) {
        return { body: `got ${body.length}` };
      },
    },
    subscriptions: {
      note: {
        event: things.Happened,
        async handle({ id }, { eventId, tx, postpone }) {
          if (id === "later") throw postpone("2s");
          assert.equal(tx, undefined);
          await behave(`${id}/${eventId}`);
        },
      },
    },
  });
  return createTestUnit(definition, options);
}

const call = (unit: ReturnType<typeof createUnitOf>, name: string, request: unknown, scope = createTestScope()) => {
  const run = unit.calls.get(name);
  assert.ok(run);
  return run(request, scope).finally(() => scope.finish());
};
const failure = async (promise: Promise<unknown>): Promise<PlinthError> => {
  const thrown = await promise.then(
    () => assert.fail("it did not fail"),
    (thrown: unknown) => thrown,
  );
  assert.ok(thrown instanceof PlinthError);
  return thrown;
};

test("answers what the handler answered", async () => {
  assert.deepEqual(
    await call(
      createUnitOf((id) => ({ id })),
      "get",
      { id: "a" },
    ),
    { id: "a" },
  );
});

test("a declared error reaches the caller as it is, and says that the work ran", async () => {
  const thrown = await failure(
    call(
      createUnitOf(() => ({})),
      "get",
      { id: "absent" },
    ),
  );
  assert.equal(thrown.code, "not_found");
  assert.equal(thrown.reason, "THING_UNKNOWN");
  assert.equal(thrown.message, "There is no such thing.");
  assert.equal(thrown.executed, "yes");
});

test("an undeclared error becomes internal, tells nothing, and is logged once with its cause", async () => {
  const destination = createMemoryDestination();
  const unit = createUnitOf(
    () => {
      throw new Error("password=hunter2 at line 7");
    },
    { log: createLogger({ destination, format: "json" }) },
  );
  const thrown = await failure(call(unit, "get", { id: "a" }));
  assert.equal(thrown.code, "internal");
  assert.doesNotMatch(thrown.message, /hunter2/);
  const records = destination.records.filter((record) => record.operation === "things.get");
  assert.equal(records.length, 1);
  assert.match(JSON.stringify(records[0]), /line 7/);
});

test("another service's own error is not passed off as ours, and the log says what to do about it", async () => {
  const destination = createMemoryDestination();
  const unit = createUnitOf(
    () => {
      throw error("not_found", "no such price", { reason: "PRICE_UNKNOWN" });
    },
    { log: createLogger({ destination, format: "json" }) },
  );
  assert.equal((await failure(call(unit, "get", { id: "a" }))).code, "internal");
  const [record] = destination.records.filter((each) => each.operation === "things.get");
  assert.match(String(record?.advice), /"PRICE_UNKNOWN"; catch it, or declare it in "errors" of things\.get/);
});

test("the attempts of a call lie beside each other in its trace, not under one another", async () => {
  const tracer = createTracer({ sampleRatio: 1 });
  let attempts = 0;
  const unit = createUnitOf(
    () => {
      if (++attempts < 3) throw error("unavailable", "not yet", { executed: "no", retry: 1 });
      return { id: "a" };
    },
    { tracer },
  );
  const root = tracer.start("caller");
  const scope = createTestScope({ trace: root });
  await retry({ idempotent: true })(unit.calls.get("get") as Call)({ id: "a" }, scope);
  for await (const _item of (unit.streams.get("count") as StreamCall)({ to: 1 }, scope));
  assert.equal(scope.trace, root);
  root.end();
  const parents = tracer
    .spans()
    .filter(({ name }) => name.startsWith("things."))
    .map(({ parentSpanId }) => parentSpanId);
  assert.deepEqual(parents, Array(4).fill(root.spanId));
});

test("a platform error passes through, but says that work happened and must not be retried further up", async () => {
  const unit = createUnitOf(() => {
    throw error("unavailable", "The callee is away.", { executed: "no", reason: "RPC_DOWN" });
  });
  const thrown = await failure(call(unit, "get", { id: "a" }));
  assert.deepEqual(
    [thrown.code, thrown.reason, thrown.retry, thrown.executed],
    ["unavailable", "RPC_DOWN", "never", "maybe"],
  );
});

test("an answer that breaks the contract is an error while answers are checked, and names what is wrong in the log only", async () => {
  const thrown = await failure(
    call(
      createUnitOf(() => ({ id: 7 })),
      "get",
      { id: "a" },
    ),
  );
  assert.equal(thrown.reason, "RESPONSE_INVALID");
  assert.doesNotMatch(thrown.message, /id/);
  assert.match(JSON.stringify(thrown.detail), /\/id/);
  assert.deepEqual(
    await call(
      createUnitOf(() => ({ id: 7 }), { checkResponses: false }),
      "get",
      { id: "a" },
    ),
    { id: 7 },
  );
});

test("a method without access refuses the anonymous; one with scopes refuses who lacks one; a service passes", async () => {
  const unit = createUnitOf(() => ({}));
  assert.equal((await failure(call(unit, "mine", {}))).code, "unauthenticated");
  assert.deepEqual(await call(unit, "mine", {}, createTestScope({ principal: user })), { subject: "u1" });
  const denied = await failure(call(unit, "write", {}, createTestScope({ principal: user })));
  assert.deepEqual([denied.code, denied.reason, denied.executed], ["permission_denied", "SCOPE_MISSING", "no"]);
  assert.equal(await call(unit, "write", {}, createTestScope({ principal: servicePrincipal("worker") })), undefined);
});

test("a foreign schema's answer is transformed by its own library", async () => {
  assert.deepEqual(
    await call(
      createUnitOf(() => ({})),
      "parse",
      { n: 4 },
    ),
    { n: 5 },
  );
});

test("a call that is over already does not run", async () => {
  let ran = false;
  const unit = createUnitOf(() => {
    ran = true;
  });
  const scope = createTestScope();
  scope.cancel(error("cancelled", "gone"));
  assert.equal((await failure(call(unit, "get", { id: "a" }, scope))).code, "cancelled");
  assert.equal(ran, false);
});

test("a stream gives its items, then the error that ended it", async () => {
  const run = createUnitOf(() => ({})).streams.get("count");
  assert.ok(run);
  const seen: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const item of run({ to: 9 }, createTestScope())) seen.push(item);
    },
    (thrown) => isError(thrown, "internal"),
  );
  assert.deepEqual(seen, [{ n: 0 }, { n: 1 }, { n: 2 }]);
});

test("a stream ends when its call is cancelled", async () => {
  const run = createUnitOf(() => ({})).streams.get("count");
  assert.ok(run);
  const scope = createTestScope();
  await assert.rejects(
    async () => {
      for await (const _item of run({ to: 2 }, scope)) scope.cancel(error("cancelled", "gone"));
    },
    (thrown) => isError(thrown, "cancelled"),
  );
});

test("a raw answer has a status, headers and bytes", async () => {
  const answer = (await call(
    createUnitOf(() => ({})),
    "hook",
    { body: new Uint8Array(3) },
  )) as { status: number; body: Uint8Array };
  assert.equal(answer.status, 200);
  assert.equal(new TextDecoder().decode(answer.body), "got 3");
});

test("a raw answer may have several headers of one name, also between processes", () => {
  const schema = compile(rawResponseSchema);
  const answer = { status: 200, headers: { "set-cookie": ["a=1", "b=2"], "x-one": "1" }, body: new Uint8Array(1) };
  assert.deepEqual(schema.violations(answer), []);
  assert.deepEqual(schema.copy(answer), answer);
  const codec = compileCodec(schema.outputJsonSchema);
  const writer = new Writer();
  codec.encode(answer, writer);
  assert.deepEqual((codec.decode(new Reader(writer.take())) as typeof answer).headers, answer.headers);
});

test("an event taken has a span of its own and is measured, by how it ended", async () => {
  const [tracer, metrics] = [createTracer({ sampleRatio: 1 }), createMetrics()];
  const unit = createUnitOf(
    (id) => {
      if (id.startsWith("bad")) throw new Error("broken");
    },
    { tracer, metrics },
  );
  const handle = unit.subscriptions.get("note");
  assert.ok(handle);
  const root = tracer.start("publisher");
  const scope = createTestScope({ trace: root });
  for (const id of ["good", "later", "bad"])
    await handle({ id }, { scope, tx: undefined, eventId: "e" }).catch(() => {});
  assert.equal(scope.trace, root);
  const spans = tracer.spans().map(({ name, kind, status, parentSpanId }) => [name, kind, status, parentSpanId]);
  assert.deepEqual(
    spans,
    ["ok", "ok", "error"].map((status) => ["things.on:note", "consumer", status, root.spanId]),
  );
  const { body } = await metrics.render();
  for (const code of ["ok", "postponed", "internal"]) {
    assert.match(body, new RegExp(`duration_seconds_count\\{service="things",method="on:note",code="${code}"\\} 1`));
  }
});

test("a subscription gets the payload and the event's id", async () => {
  const seen: string[] = [];
  const unit = createUnitOf((id) => seen.push(id));
  const handle = unit.subscriptions.get("note");
  assert.ok(handle);
  const scope = new CallScope({
    principal: servicePrincipal("things"),
    deadline: Number.POSITIVE_INFINITY,
    caller: "things",
  });
  await handle({ id: "a" }, { scope, tx: undefined, eventId: "e1" });
  assert.deepEqual(seen, ["a/e1"]);
  await assert.rejects(
    handle({ id: "later" }, { scope, tx: undefined, eventId: "e2" }),
    (thrown) => thrown instanceof Redeliver && thrown.delayMs === 2000 && !thrown.counted,
  );
});
