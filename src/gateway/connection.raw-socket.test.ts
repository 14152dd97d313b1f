import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CallContext } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import { HttpError } from "../wire/index.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import type { GatewayLimits } from "./limits.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

const word = t.Object({ word: t.String() });
const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

interface Seen {
  context?: CallContext;
  release?: () => void;
}

async function open(limits: GatewayLimits = {}, options: Partial<GatewayOptions> = {}) {
  const seen: Seen = {};
  const gateway = testGateway(
    {
      get: {
        method: method({ http: "GET /echo", access: "public", request: word, response: word }),
        handle: (q) => q,
      },
      post: {
        method: method({ http: "POST /echo", access: "public", request: word, response: word }),
        handle: (q) => q,
      },
      wait: {
        method: method({ http: "GET /wait", access: "public", request: word, response: word, deadline: "5s" }),
        handle: (q, context) => {
          seen.context = context;
          return new Promise((resolve) => {
            seen.release = () => resolve(q);
          });
        },
      },
      brief: {
        method: method({ http: "GET /brief", access: "public", deadline: "50ms" }),
        handle: (_, context) => {
          seen.context = context;
          return new Promise(() => {});
        },
      },
      unsendable: {
        method: method({ http: "GET /unsendable", access: "public" }),
        handle: () => {
          throw new HttpError(429, "resource_exhausted", "x", { headers: { "x-a": "b\r\nx-c: d" } });
        },
      },
      broken: {
        method: method({ http: "GET /broken", access: "public" }),
        handle: () => {
          throw new TypeError("password=hunter2");
        },
      },
    },
    { limits, ...options },
  );
  running.push(gateway);
  const { port } = await gateway.start();
  return { gateway, port, seen };
}

const get = (value: string) => request(`GET /echo?word=${value}`);
const wait = (value: string) => request(`GET /wait?word=${value}`);

test("pipelined requests are answered in order, however long the first takes", async () => {
  const { port, seen } = await open();
  const talking = talk(
    port,
    [wait("1") + get("2") + request("POST /echo", {}, '{"word":"3"}') + request("GET /nothing")],
    {
      answers: 4,
    },
  );
  while (!seen.release) await sleep(5);
  await sleep(20);
  seen.release();
  const { answers } = await talking;
  assert.deepEqual(
    answers.map(({ status, body }) => (status === 200 ? JSON.parse(body).word : status)),
    ["1", "2", "3", 404],
  );
});

test("noise after pipelined requests is refused after their answers", async () => {
  const { port, seen } = await open();
  const talking = talk(port, [wait("1") + get("2"), "\x01noise\r\n\r\n"]);
  while (!seen.release) await sleep(5);
  await sleep(20);
  seen.release();
  const { answers, closed } = await talking;
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 400],
  );
  assert.equal(closed, true);
});

test("noise after an answer is refused on the same connection", async () => {
  const { port } = await open();
  const { answers, closed } = await talk(port, [get("1"), 30, "\x01noise\r\n\r\n"]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 400],
  );
  assert.equal(closed, true);
});

test("a connection outlives refusals and bugs", async () => {
  const { port } = await open();
  const sends = [
    get("1"),
    request("GET /nothing"),
    request("GET /echo"),
    request("GET /broken"),
    request("POST /echo", {}, "{"),
    get("2"),
  ];
  const { answers } = await talk(port, sends.join(""), { answers: 6 });
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 404, 422, 500, 400, 200],
  );
  assert.doesNotMatch(JSON.stringify(answers), /hunter2|TypeError/);
  assert.deepEqual(JSON.parse(answers[3]?.body ?? ""), {
    type: "about:blank",
    title: "Internal Server Error",
    status: 500,
    detail: "Something went wrong on our side.",
    reason: "INTERNAL",
    code: "internal",
  });
});

test("a refusal that HTTP cannot carry ends its connection, and nothing else", async () => {
  const { port } = await open();
  const { text, closed } = await talk(port, request("GET /unsendable"));
  assert.deepEqual([text, closed], ["", true]);
  assert.equal((await ask(port, get("1"))).status, 200);
});

test("a request may come byte by byte", async () => {
  const { port } = await open();
  const bytes = [...request("POST /echo", {}, '{"word":"ž"}')];
  const { answers } = await talk(
    port,
    bytes.flatMap((byte, i) => (i % 20 === 0 ? [byte, 1] : [byte])),
    { answers: 1 },
  );
  assert.equal(Buffer.from(answers[0]?.body ?? "", "latin1").toString(), '{"word":"ž"}');
});

test("headers that do not arrive in time are 408", async () => {
  const { port } = await open({ headersTimeout: "100ms", requestTimeout: "200ms", timeoutCheck: "20ms" });
  const { answers, closed } = await talk(port, ["GET /echo HTTP/1.1\r\nHost: a\r\n"]);
  assert.equal(answers[0]?.status, 408);
  assert.equal(answers[0]?.headers["content-type"], "application/problem+json");
  assert.equal(JSON.parse(answers[0]?.body ?? "").reason, "REQUEST_TIMEOUT");
  assert.equal(closed, true);
});

test("a connection that says nothing is ended", async () => {
  const { port } = await open({ headersTimeout: "100ms", requestTimeout: "200ms", timeoutCheck: "20ms" });
  assert.equal((await talk(port, [])).closed, true);
});

test("a body that does not arrive in time is 408, and is a request like any other in the metrics", async () => {
  const { port, gateway } = await open({ headersTimeout: "100ms", requestTimeout: "200ms", timeoutCheck: "20ms" });
  const head = request("POST /echo", { "Content-Length": "10", "Content-Type": "application/json" });
  const { answers, closed } = await talk(port, [head, 30, '{"wo']);
  assert.equal(answers[0]?.status, 408);
  assert.equal(answers[0]?.headers.connection, "close");
  assert.equal(closed, true);
  assert.equal(gateway.stats.inFlight, 0);
});

test("a client that leaves cancels the call, and is no longer counted", async () => {
  const { port, gateway, seen } = await open();
  const socket = connect(port, "127.0.0.1");
  socket.write(wait("1"));
  while (!seen.context) await sleep(5);
  const cancelled = new Promise((resolve) => seen.context?.onCancel(resolve));
  assert.equal(gateway.stats.inFlight, 1);
  socket.destroy();
  assert.equal(((await cancelled) as { reason: string }).reason, "CLIENT_GONE");
  assert.equal(seen.context.signal.aborted, true);
  assert.equal(gateway.stats.inFlight, 0);
  seen.release?.();
  assert.equal((await ask(port, get("2"))).status, 200);
});

test("a client that leaves in the middle of its body runs nothing", async () => {
  const { port, gateway } = await open();
  const socket = connect(port, "127.0.0.1");
  socket.write(`${request("POST /echo", { "Content-Length": "10", "Content-Type": "application/json" })}{`);
  while (gateway.stats.inFlight === 0) await sleep(5);
  socket.destroy();
  while (gateway.stats.inFlight !== 0) await sleep(5);
});

test("a handler beyond its deadline is 504, whether it listens or not", async () => {
  const { port, seen } = await open();
  const answer = await ask(port, request("GET /brief"));
  assert.equal(answer.status, 504);
  assert.equal(JSON.parse(answer.body).reason, "DEADLINE_EXCEEDED");
  assert.equal(seen.context?.signal.aborted, true);
});

test("above the limit of running requests nothing runs, and Retry-After says when to come back", async () => {
  const { port, seen } = await open({ inFlight: 1 });
  const first = ask(port, wait("1"));
  while (!seen.release) await sleep(5);
  const shed = await ask(port, get("2"));
  assert.equal(shed.status, 503);
  assert.equal(shed.headers["retry-after"], "1");
  assert.equal(JSON.parse(shed.body).executed, "no");
  seen.release();
  assert.equal((await first).status, 200);
  assert.equal((await ask(port, get("3"))).status, 200);
});

test("the last request of a connection says so", async () => {
  const { port } = await open({ requestsPerConnection: 2 });
  const { answers, closed } = await talk(port, [get("1"), 30, get("2"), 30, get("3")]);
  assert.deepEqual(
    answers.map(({ headers }) => headers.connection),
    ["keep-alive", "close"],
  );
  assert.equal(closed, true);
});

test("nothing runs behind the last answer of a connection, for nobody would hear of it", async () => {
  const words: string[] = [];
  const echo = method({ http: "POST /echo", access: "public", request: word, response: word, bodyLimit: 100 });
  const handle = (q: { word: string }) => {
    words.push(q.word);
    return q;
  };
  const gateway = testGateway({ post: { method: echo, handle } }, { limits: { requestsPerConnection: 2 } });
  running.push(gateway);
  const { port } = await gateway.start();
  const good = (value: string) => request("POST /echo", {}, JSON.stringify({ word: value }));
  const chunked = (type: string) =>
    `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const cases: [name: string, sent: (string | number)[], statuses: number[], ran: string[]][] = [
    ["a refusal", [good("a") + request("POST /echo", {}, '{"word":3}') + good("b")], [200, 422], ["a"]],
    ["no such route", [good("a") + request("GET /none") + good("b")], [200, 404], ["a"]],
    ["another type", [chunked("text/plain"), 40, `5\r\nhello\r\n0\r\n\r\n${good("b")}`], [415], []],
    [
      "too large",
      [`${chunked("application/json")}c8\r\n${"a".repeat(200)}\r\n`, 40, `0\r\n\r\n${good("b")}`],
      [413],
      [],
    ],
  ];
  for (const [name, sent, statuses, ran] of cases) {
    words.length = 0;
    const { answers, closed } = await talk(port, sent);
    assert.deepEqual(
      [answers.map(({ status }) => status), answers.at(-1)?.headers.connection, closed, words],
      [statuses, "close", true, ran],
      name,
    );
  }
});

test("an idle connection is closed after its time", async () => {
  const { port } = await open({ keepAlive: "50ms" });
  const { answers, closed } = await talk(port, [get("1")], { quietMs: 3000 });
  assert.equal(answers.length, 1);
  assert.equal(closed, true);
});

test("draining serves what still comes, closes each connection with its answer, then stops listening", async () => {
  const { port, gateway, seen } = await open({ drainQuiet: "150ms", drainDelay: "2s" });
  const idle = connect(port, "127.0.0.1");
  const idleClosed = once(idle, "close");
  const slow = ask(port, wait("1"));
  while (!seen.release) await sleep(5);
  const draining = gateway.drain();
  assert.equal(gateway.stats.draining, true);
  const late = await ask(port, get("2"));
  assert.equal(late.status, 200);
  assert.equal(late.headers.connection, "close");
  await sleep(250);
  await assert.rejects(once(connect(port, "127.0.0.1"), "connect"), /ECONNREFUSED/);
  seen.release();
  assert.equal((await slow).headers.connection, "close");
  await draining;
  assert.equal(gateway.stats.inFlight, 0);
  idle.destroy();
  await idleClosed;
});

test("what runs past the end of draining is 503", async () => {
  const { port, gateway, seen } = await open({ drainInFlight: "50ms" });
  const slow = ask(port, wait("1"));
  while (!seen.release) await sleep(5);
  await gateway.drain();
  const answer = await slow;
  assert.equal(answer.status, 503);
  assert.equal(answer.headers["retry-after"], "1");
  assert.equal(seen.context?.signal.aborted, true);
});

test("stop ends everything, and may be said twice", async () => {
  const { port, gateway, seen } = await open();
  const slow = talk(port, wait("1"));
  while (!seen.context) await sleep(5);
  await gateway.stop();
  await gateway.stop();
  assert.equal((await slow).closed, true);
  assert.deepEqual(gateway.stats, { inFlight: 0, streams: 0, connections: 0, draining: true });
});

test("a port in use stops the start, with the port and the remedy", async () => {
  const { port } = await open();
  await assert.rejects(open({}, { port }), (thrown) => {
    assert.ok(thrown instanceof StartError);
    assert.equal(thrown.reason, "PORT_IN_USE");
    assert.match(thrown.message, new RegExp(`port ${port} on 127.0.0.1 is in use.*set PORT`));
    return true;
  });
});

test("a host that is not ours stops the start", async () => {
  await assert.rejects(open({}, { host: "192.0.2.1" }), { reason: "HOST_UNUSABLE" });
});
