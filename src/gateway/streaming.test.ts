import assert from "node:assert/strict";
import { connect } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CallContext } from "../base/index.ts";
import { error } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { stream } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import type { GatewayLimits } from "./limits.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

const item = t.Object({ n: t.Integer() });

async function open(
  handle: (request: any, context: CallContext) => AsyncIterable<unknown>,
  limits: GatewayLimits = {},
  options: Record<string, unknown> = {},
) {
  const definition = {
    access: "public",
    request: t.Object({ count: t.Optional(t.Integer()) }),
    item,
    ...options,
  } as const;
  const gateway = testGateway(
    {
      get: { method: stream({ ...definition, http: "GET /items" }), handle },
      post: { method: stream({ ...definition, http: "POST /items" }), handle },
    },
    // The jitter of draining, made short.
    { limits, random: { next: () => 0.02, uint32: () => 1, fill: (bytes) => bytes } },
  );
  running.push(gateway);
  return { gateway, port: (await gateway.start()).port };
}

async function* count(to: number, pauseMs = 0) {
  for (let n = 1; n <= to; n++) {
    if (pauseMs > 0) await sleep(pauseMs);
    yield { n, undeclared: true };
  }
}

test("items are lines of JSON, or events where the client prefers them", async () => {
  const { port } = await open(({ count: to = 2 }) => count(to));
  const lines = await ask(port, request("GET /items?count=3"));
  assert.equal(lines.status, 200);
  assert.equal(lines.headers["content-type"], "application/x-ndjson");
  assert.equal(lines.headers.vary, "accept");
  assert.equal(lines.headers["cache-control"], "no-store");
  assert.equal(lines.body, '{"n":1}\n{"n":2}\n{"n":3}\n');
  for (const accept of [
    "text/event-stream",
    "text/event-stream, */*",
    "application/x-ndjson;q=0.5, text/event-stream",
  ]) {
    const events = await ask(port, request("GET /items", { Accept: accept }));
    assert.equal(events.headers["content-type"], "text/event-stream");
    assert.equal(events.body, 'data: {"n":1}\n\ndata: {"n":2}\n\nevent: end\ndata: {}\n\n');
  }
  for (const accept of ["*/*", "application/json", "application/*", "application/x-ndjson"]) {
    assert.equal(
      (await ask(port, request("GET /items", { Accept: accept }))).headers["content-type"],
      "application/x-ndjson",
    );
  }
  assert.equal((await ask(port, request("POST /items", {}, '{"count":1}'))).body, '{"n":1}\n');
  assert.equal((await ask(port, request("GET /items?count=0"))).body, "");
});

test("HEAD runs nothing, a wrong Accept is 406, a wrong message 422", async () => {
  let ran = false;
  const { port } = await open(() => {
    ran = true;
    return count(1);
  });
  const head = await ask(port, request("HEAD /items"));
  assert.deepEqual([head.status, head.headers["content-type"]], [200, "application/x-ndjson"]);
  assert.equal((await ask(port, request("GET /items", { Accept: "text/html" }))).status, 406);
  assert.equal((await ask(port, request("GET /items?count=x"))).status, 422);
  assert.equal((await ask(port, request("POST /items", { "Content-Type": "text/plain" }, "x"))).status, 415);
  assert.equal(ran, false);
});

test("an error before the first item is a problem with its status", async () => {
  const { port } = await open(({ count: to = 0 }) => {
    if (to === 1) throw error("not_found", "No such list.");
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          throw error("not_found", "No such list.");
        },
      }),
    };
  });
  for (const path of ["/items", "/items?count=1"]) {
    const answer = await ask(port, request(`GET ${path}`));
    assert.deepEqual([answer.status, answer.headers["content-type"]], [404, "application/problem+json"]);
  }
});

test("an error after the first item is the last thing said", async () => {
  const { port } = await open(async function* () {
    yield* count(1);
    throw new Error("s3cret");
  });
  const lines = await ask(port, request("GET /items"));
  const last = JSON.parse(lines.body.split("\n")[1] as string);
  assert.deepEqual([lines.status, last.error.status, last.error.reason], [200, 500, "INTERNAL"]);
  const events = await ask(port, request("GET /items", { Accept: "text/event-stream" }));
  assert.match(events.body, /^data: \{"n":1\}\n\nevent: error\ndata: \{.*"status":500.*\}\n\n$/);
  assert.doesNotMatch(lines.body + events.body, /s3cret/);
});

test("the deadline ends a stream, and its finally runs", async () => {
  let ended = false;
  const { port } = await open(
    async function* (_, context) {
      try {
        for (let n = 1; ; n++) {
          yield { n };
          await sleep(20);
          if (context.cancelled) throw context.cancelled;
        }
      } finally {
        ended = true;
      }
    },
    {},
    { deadline: "100ms" },
  );
  const { body } = await ask(port, request("GET /items"));
  const last = JSON.parse(body.trimEnd().split("\n").at(-1) as string);
  assert.deepEqual([last.error.status, last.error.reason], [504, "DEADLINE_EXCEEDED"]);
  await sleep(50);
  assert.equal(ended, true);
});

test("a stream that never comes to its first item is 504, whether it listens or not", async () => {
  const { port } = await open(
    () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
    {},
    { deadline: "60ms" },
  );
  assert.equal((await ask(port, request("GET /items"))).status, 504);
});

test("a slow reader slows the handler", async () => {
  let made = 0;
  const { port } = await open(async function* () {
    for (; made < 5_000_000; ) yield { n: ++made };
  });
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(request("GET /items"));
  socket.pause();
  let before = -1;
  while (made !== before || made === 0) {
    before = made;
    await sleep(150);
  }
  assert.ok(made < 5_000_000, `${made} items were made for a client that reads none`);
  socket.destroy();
});

test("a client that leaves ends the iteration at once", async () => {
  let ended = 0;
  let cancelled = false;
  const { port, gateway } = await open(async function* (_, context) {
    context.onCancel(() => {
      cancelled = true;
    });
    try {
      for (let n = 1; ; n++) {
        yield { n };
        await sleep(10);
      }
    } finally {
      ended++;
    }
  });
  const socket = connect(port, "127.0.0.1");
  socket.write(request("GET /items", { Accept: "text/event-stream" }));
  await new Promise((resolve) => socket.once("data", resolve));
  socket.destroy();
  while (ended === 0) await sleep(5);
  assert.equal(cancelled, true);
  assert.equal(gateway.stats.inFlight, 0);
});

test("events have a heartbeat, and the head does not wait long for the first item", async () => {
  const { port } = await open(() => count(1, 1300), { heartbeat: "50ms" });
  const { text } = await talk(port, request("GET /items", { Accept: "text/event-stream", Connection: "close" }));
  assert.match(text, /: heartbeat\n\n[\s\S]*data: \{"n":1\}/);
});

test("draining ends events without an end, so that browsers come back, and lets lines finish", async () => {
  const { port, gateway } = await open(({ count: to = 1e9 }) => count(to, 100));
  const events = talk(port, request("GET /items", { Accept: "text/event-stream" }), { quietMs: 9000 });
  const lines = talk(port, request("GET /items?count=3"), { answers: 1 });
  await sleep(150);
  await gateway.drain();
  const { text, closed } = await events;
  assert.equal(closed, true);
  assert.doesNotMatch(text, /event: (?:end|error)/);
  assert.equal((await lines).answers[0]?.body, '{"n":1}\n{"n":2}\n{"n":3}\n');
});

test("streams have a limit of their own, and leave the one of requests alone", async () => {
  const { port, gateway } = await open(({ count: to = 1e9 }) => count(to, 10), { streams: 1, inFlight: 1 });
  const socket = connect(port, "127.0.0.1");
  socket.write(request("GET /items"));
  await new Promise((resolve) => socket.once("data", resolve));
  assert.deepEqual([gateway.stats.streams, gateway.stats.inFlight], [1, 0]);
  const shed = await ask(port, request("GET /items?count=1"));
  assert.deepEqual([shed.status, shed.headers["retry-after"]], [503, "1"]);
  assert.equal((await ask(port, request("GET /nothing"))).status, 404);
  socket.destroy();
  while (gateway.stats.streams > 0) await sleep(5);
  assert.equal((await ask(port, request("GET /items?count=1"))).status, 200);
});

test("a client that takes nothing is let go", async () => {
  const { port, gateway } = await open(
    async function* () {
      for (let n = 1; n < 50_000_000; n++) yield { n };
    },
    { stalledClient: "100ms" },
  );
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(request("GET /items"));
  socket.pause();
  while (gateway.stats.streams === 0) await sleep(5);
  while (gateway.stats.streams > 0) await sleep(20);
  socket.destroy();
});
