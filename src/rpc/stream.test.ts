import assert from "node:assert/strict";
import { after, test } from "node:test";
import { error, isError, systemClock } from "../base/index.ts";
import { count, gate, peers, scope, stream, text, unary, until } from "./peer.fixture.ts";

const all = peers();
after(() => all.close());

const numbers = stream("numbers", async function* ({ n }) {
  for (let i = 0; i < n; i++) yield { n: i };
});

test("a stream's items arrive in order, and it ends", async () => {
  const server = await all.server([numbers]);
  const client = all.client([server.address], [numbers]);
  for (const n of [0, 1, 31, 32, 33, 1000]) {
    let next = 0;
    for await (const item of client.stream("numbers")({ n }, scope())) assert.equal(item.n, next++);
    assert.equal(next, n);
  }
  assert.equal(server.stats.inFlight, 0);
});

test("a slow consumer bounds what is produced, in items", async () => {
  let produced = 0;
  const methods = [
    stream("numbers", async function* () {
      for (;;) yield { n: produced++ };
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods, { limits: { streamItems: 8 } });
  const iterator = client.stream("numbers")({ n: 0 }, scope())[Symbol.asyncIterator]();
  for (let taken = 1; taken <= 20; taken++) {
    assert.equal((await iterator.next()).value.n, taken - 1);
    await systemClock.sleep(5);
    assert.ok(produced <= taken + 8, `${produced} produced after ${taken}`);
  }
  await iterator.return?.();
  await until(() => server.stats.inFlight === 0);
});

test("a slow consumer bounds what is produced, in bytes", async () => {
  let produced = 0;
  const methods = [
    {
      ...stream("chunks", async function* () {
        for (;;) {
          produced++;
          yield { text: "x".repeat(1000) };
        }
      }),
      response: text,
    },
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods, { limits: { streamItems: 1000, streamBytes: 5000 } });
  const iterator = client.stream("chunks")({ n: 0 }, scope())[Symbol.asyncIterator]();
  await iterator.next();
  await systemClock.sleep(30);
  assert.ok(produced <= 7, String(produced));
  for (let i = 0; i < 500; i++) await iterator.next();
  assert.ok(produced <= 508, String(produced));
  await iterator.return?.();
});

test("leaving the loop early ends the server's generator through its finally", async () => {
  const ended = gate<string>();
  const methods = [
    stream("endless", async function* (_, context) {
      try {
        for (let n = 0; ; n++) yield { n };
      } finally {
        ended.open(context.cancelled?.reason ?? "not cancelled");
      }
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  for await (const { n } of client.stream("endless")({ n: 0 }, scope())) if (n === 5) break;
  assert.equal(await ended.promise, "RPC_CALLER_GONE");
  await until(() => server.stats.inFlight === 0);
});

test("a generator that waits hears of the cancel through its context", async () => {
  const ended = gate();
  const started = gate();
  const methods = [
    stream("stuck", async function* (_, context) {
      yield { n: 0 };
      started.open();
      await new Promise((resolve) => context.onCancel(resolve));
      ended.open();
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  const context = scope();
  const iterator = client.stream("stuck")({ n: 0 }, context)[Symbol.asyncIterator]();
  await iterator.next();
  await started.promise;
  const next = assert.rejects(Promise.resolve(iterator.next()), /No longer wanted/);
  context.cancel(error("cancelled", "No longer wanted."));
  await next;
  await ended.promise;
  await until(() => server.stats.inFlight === 0);
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test("an error comes after the items before it, with its code", async () => {
  const methods = [
    stream("breaks", async function* ({ n }) {
      for (let i = 0; i < n; i++) yield { n: i };
      throw error("data_loss", "The disk is gone.", { reason: "DISK_GONE" });
    }),
    stream("refuses", () => {
      throw error("permission_denied", "Not for you.");
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { n } of client.stream("breaks")({ n: 3 }, scope())) {
        await systemClock.sleep(5);
        seen.push(n);
      }
    },
    (thrown) => isError(thrown, "DISK_GONE"),
  );
  assert.deepEqual(seen, [0, 1, 2]);
  await assert.rejects(
    async () => {
      for await (const _ of client.stream("refuses")({ n: 3 }, scope()));
    },
    { code: "permission_denied" },
  );
});

test("a deadline ends a stream on both sides", async () => {
  const ended = gate();
  const methods = [
    stream("slow", async function* () {
      try {
        for (let n = 0; ; n++) {
          await systemClock.sleep(10);
          yield { n };
        }
      } finally {
        ended.open();
      }
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  await assert.rejects(
    async () => {
      for await (const _ of client.stream("slow")({ n: 0 }, scope({ remainingMs: 100 })));
    },
    { code: "deadline_exceeded" },
  );
  await ended.promise;
});

test("an item that does not fit its schema ends the stream, and the generator is returned", async () => {
  const ended = gate();
  const methods = [
    stream("wrong", async function* () {
      try {
        yield { n: 1 };
        yield { n: "two" };
        yield { n: 3 };
      } finally {
        ended.open();
      }
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  const seen: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const item of client.stream("wrong")({ n: 0 }, scope())) seen.push(item);
    },
    { reason: "RPC_RESPONSE_UNSENDABLE" },
  );
  assert.deepEqual(seen, [{ n: 1 }]);
  await ended.promise;
});

test("a stream that nobody reads holds up no call on the same connection", async () => {
  const methods = [
    stream("endless", async function* () {
      for (let n = 0; ; n++) yield { n };
    }),
    unary("echo", async (request) => request),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  const iterators = Array.from({ length: 20 }, () =>
    client.stream("endless")({ n: 0 }, scope())[Symbol.asyncIterator](),
  );
  await Promise.all(iterators.map((iterator) => iterator.next()));
  for (let i = 0; i < 50; i++) assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
  for (const iterator of iterators) await iterator.return?.();
  await until(() => server.stats.inFlight === 0);
});

test("a lost connection ends a stream with an error, and its generator", async () => {
  const ended = gate();
  const methods = [
    stream("endless", async function* () {
      try {
        for (let n = 0; ; n++) {
          yield { n };
          await systemClock.sleep(5);
        }
      } finally {
        ended.open();
      }
    }),
  ];
  const server = await all.server(methods);
  const client = all.client([server.address], methods);
  const iterator = client.stream("endless")({ n: 0 }, scope())[Symbol.asyncIterator]();
  await iterator.next();
  await client.close();
  await assert.rejects(
    async () => {
      for (;;) if ((await iterator.next()).done) return;
    },
    { reason: "RPC_CONNECTION_LOST", executed: "maybe" },
  );
  await ended.promise;
});

test("a stream whose request is refused fails at the first item", async () => {
  const server = await all.server([numbers]);
  const client = all.client([server.address], [numbers]);
  await client.connect();
  for (const [request, context, reason] of [
    [{ n: "x" }, scope(), "WIRE_VALUE_MISMATCH"],
    [{ n: 1 }, scope({ remainingMs: 0 }), "DEADLINE_EXCEEDED"],
  ] as const) {
    const iterator = client.stream("numbers")(request, context)[Symbol.asyncIterator]();
    await assert.rejects(Promise.resolve(iterator.next()), { reason });
  }
});

test("a stream that is left before there was a connection is never opened", async () => {
  const server = await all.server([numbers]);
  const client = all.client([server.address], [numbers]);
  const iterator = client.stream("numbers")({ n: 3 }, scope())[Symbol.asyncIterator]();
  assert.deepEqual(await iterator.return?.(), { done: true, value: undefined });
  await client.connect();
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
  assert.equal(server.stats.calls, 0);
  const down = all.client(["127.0.0.1:1"], [numbers], { limits: { queueMs: 30 } });
  const dead = down.stream("numbers")({ n: 3 }, scope())[Symbol.asyncIterator]();
  await dead.return?.();
  const other = down.stream("numbers")({ n: 3 }, scope())[Symbol.asyncIterator]();
  await assert.rejects(Promise.resolve(other.next()), { reason: "RPC_UNREACHABLE" });
  assert.ok(count);
});
