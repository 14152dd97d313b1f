import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { CallContext } from "../base/index.ts";
import { error, isError, systemClock } from "../base/index.ts";
import { t } from "../schema/index.ts";
import type { Client } from "./index.ts";
import { compileClient, compileOperations, contract, createLocalLink, method, service, stream } from "./index.ts";
import { createTestScope, createTestUnit } from "./testing.ts";

const Box = t.Object({ items: t.Array(t.Object({ name: t.String() })) });

const boxes = contract("boxes", {
  methods: {
    fill: method({ request: Box, response: Box, access: "public" }),
    ping: method({ access: "public" }),
    scope: method({ response: t.String(), access: "public" }),
    page: method({
      request: t.Object({ limit: t.Optional(t.Integer({ default: 20 })) }),
      response: t.Object({ limit: t.Integer() }),
      access: "public",
    }),
    silent: stream({ item: t.String(), access: "public" }),
    each: stream({ request: Box, item: t.Object({ name: t.String() }), access: "public" }),
  },
});

/** A client of a service whose handlers show what they got. */
function createClient(check: boolean) {
  const seen: { context?: CallContext; cleaned?: string; received?: { items: { name: string }[] } } = {};
  const kept: { items: { name: string }[] } = { items: [{ name: "kept" }] };
  const definition = service(boxes, {
    methods: {
      async fill(box, context) {
        seen.received = box;
        seen.context = context as unknown as CallContext;
        return kept;
      },
      async ping() {},
      async scope() {
        return "wide";
      },
      async page({ limit }) {
        return { limit: limit ?? -1 };
      },
      async *silent(_request, { signal }) {
        try {
          yield "first";
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        } finally {
          seen.cleaned = signal.aborted ? "after an abort" : "in order";
        }
      },
      async *each({ items }, context) {
        seen.context = context as unknown as CallContext;
        yield* items;
      },
    },
  });
  const unit = createTestUnit(definition);
  const operations = compileOperations(boxes, []);
  const factory = compileClient({
    caller: "packer",
    operations,
    link: (operation) =>
      createLocalLink(
        operation,
        { call: unit.calls.get(operation.name), stream: unit.streams.get(operation.name) },
        { checkRequests: check, fresh: false },
      ),
    policy: () => (next) => next,
    streamPolicy: () => (next) => next,
    clock: systemClock,
  });
  return { seen, kept, bind: (scope = createTestScope()) => factory(scope) as unknown as Client<typeof boxes> };
}

for (const check of [true, false]) {
  const mode = check ? "with checks" : "without checks";

  test(`a caller that mutates what it sent or received harms nobody, ${mode}`, async () => {
    const { seen, kept, bind } = createClient(check);
    const sent = { items: [{ name: "mine" }] };
    const answer = await bind().fill(sent);
    sent.items[0] = { name: "changed after" };
    assert.equal(seen.received?.items[0]?.name, "mine");
    (answer.items[0] as { name: string }).name = "changed by the caller";
    assert.equal(kept.items[0]?.name, "kept");
    (seen.received as { items: unknown[] }).items.length = 0;
    assert.equal(sent.items.length, 1);
  });

  test(`undeclared fields do not travel, ${mode}`, async () => {
    const { seen, kept, bind } = createClient(check);
    Object.assign(kept, { secret: "s" });
    const answer = await bind().fill({ items: [], extra: 1 } as never);
    assert.deepEqual(seen.received, { items: [] });
    assert.deepEqual(answer, { items: [{ name: "kept" }] });
  });

  test(`defaults are filled in, ${mode}`, async () => {
    assert.deepEqual(await createClient(check).bind().page({}), { limit: 20 });
  });
}

test("a wrong request is refused before it runs, while requests are checked", async () => {
  await assert.rejects(
    createClient(true)
      .bind()
      .fill({ items: [{ name: 7 }] } as never),
    (thrown) => isError(thrown, "VALIDATION_FAILED") && thrown.executed === "no",
  );
});

test("a call is asynchronous, knows its caller, has less time than its parent, and no answer where none is declared", async () => {
  const { seen, bind } = createClient(true);
  const scope = createTestScope({ deadline: systemClock.now() + 1000 });
  const pending = bind(scope).fill({ items: [] }, { deadline: "10m", idempotencyKey: "k" });
  assert.ok(pending instanceof Promise);
  await pending;
  assert.equal(seen.context?.caller, "packer");
  assert.equal(seen.context?.idempotencyKey, "k");
  assert.equal(seen.context?.deadline, scope.deadline);
  assert.equal(await bind().ping(), undefined);
});

test("without a word from anybody a call between services has five seconds", async () => {
  const { seen, bind } = createClient(true);
  await bind(createTestScope({ deadline: systemClock.now() + 60_000 })).fill({ items: [] });
  const leftMs = (seen.context?.deadline ?? 0) - systemClock.now();
  assert.ok(leftMs > 3000 && leftMs <= 5000, `${leftMs} ms`);
});

test("without a word from anybody a stream has ten minutes, and never more than its parent", async () => {
  const { seen, bind } = createClient(true);
  for (const [parentMs, expectedMs] of [
    [3_600_000, 600_000],
    [60_000, 60_000],
  ] as const) {
    for await (const _item of bind(createTestScope({ deadline: systemClock.now() + parentMs })).each({ items: [] }));
    const leftMs = (seen.context?.deadline ?? 0) - systemClock.now();
    assert.ok(leftMs > expectedMs - 2000 && leftMs <= expectedMs, `${leftMs} ms`);
  }
});

test("whatever goes wrong with a call comes as a rejection, and its scope is let go", async () => {
  const operations = compileOperations(boxes, []);
  const given: CallContext[] = [];
  for (const call of [
    (_request: unknown, context: CallContext): Promise<unknown> => {
      given.push(context);
      throw new Error("at once");
    },
    async (_request: unknown, context: CallContext) => {
      given.push(context);
      throw new Error("at once");
    },
  ]) {
    const factory = compileClient({
      caller: "packer",
      operations,
      link: () => ({ call, stream: undefined }),
      policy: () => (next) => next,
      streamPolicy: () => (next) => next,
      clock: systemClock,
    });
    const scope = createTestScope();
    const client = factory(scope) as unknown as Client<typeof boxes>;
    await assert.rejects(client.ping(), /at once/);
    scope.cancel(error("cancelled", "gone"));
    assert.equal(given.pop()?.cancelled, undefined);
    await assert.rejects(client.ping(), { code: "cancelled" });
    await assert.rejects(client.ping(undefined, { deadline: "soon" as never }), /no duration/);
  }
});

test("a call of a call that is over, or out of time, is refused before it runs", async () => {
  const { bind } = createClient(true);
  const late = createTestScope({ deadline: systemClock.now() - 1 });
  await assert.rejects(
    bind(late).fill({ items: [] }),
    (thrown) => isError(thrown, "deadline_exceeded") && thrown.executed === "no",
  );
});

test("a method may have any name that its contract lets pass", async () => {
  assert.equal(await createClient(true).bind().scope(), "wide");
});

test("a stream's items are copies too, and a method can be taken off its client", async () => {
  const { bind } = createClient(true);
  const { each } = bind();
  const source = { items: [{ name: "a" }, { name: "b" }] };
  const names: string[] = [];
  for await (const item of each(source)) {
    names.push(item.name);
    (item as { name: string }).name = "changed";
  }
  assert.deepEqual(names, ["a", "b"]);
  assert.equal(source.items[0]?.name, "a");
});

test("a stream can be left while it waits, and its callee hears of it", async () => {
  const { seen, bind } = createClient(true);
  const reader = bind().silent()[Symbol.asyncIterator]();
  assert.deepEqual(await reader.next(), { done: false, value: "first" });
  const waiting = reader.next();
  assert.deepEqual(await reader.return?.(), { done: true, value: undefined });
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.deepEqual(await reader.next(), { done: true, value: undefined });
  await turn();
  assert.equal(seen.cleaned, "after an abort");
});

test("a stream that is left between two items has cleaned up when the loop is over", async () => {
  const { seen, bind } = createClient(true);
  for await (const _item of bind().silent()) break;
  assert.equal(seen.cleaned, "in order");
});

test("a stream does not begin before its reader asks, nor when the reader leaves first", async () => {
  const { seen, bind } = createClient(true);
  const reader = bind().each({ items: [] })[Symbol.asyncIterator]();
  await reader.return?.();
  assert.deepEqual(await reader.next(), { done: true, value: undefined });
  assert.equal(seen.context, undefined);
});

test("a stream whose request is wrong is refused with its first item", async () => {
  const each = createClient(true)
    .bind()
    .each({ items: [{ name: 7 }] } as never);
  await assert.rejects(each[Symbol.asyncIterator]().next(), (thrown) => isError(thrown, "VALIDATION_FAILED"));
});
