import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientHttp2Session } from "node:http2";
import { constants } from "node:http2";
import { after, afterEach, before, describe, test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { t } from "../../schema/index.ts";
import { method, raw, stream } from "../../service/index.ts";
import { createAccessLog, createMetrics } from "../../telemetry/index.ts";
import { createMemoryDestination } from "../../telemetry/testing.ts";
import type { Gateway, GatewayOptions } from "../gateway.ts";
import { silent, testGateway } from "../testing.ts";
import type { TestAuthority } from "../tls/tls.fixture.ts";
import { testAuthority } from "../tls/tls.fixture.ts";
import { createGatewayTls } from "../tls/tls.ts";
import { http2Ask, http2Client } from "./http2.fixture.ts";

let authority: TestAuthority | undefined;
before(() => {
  authority = testAuthority();
  authority?.issue("host", "DNS:localhost,IP:127.0.0.1");
});
after(() => authority?.remove());

const running: Gateway[] = [];
const sessions: ClientHttp2Session[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const gateway of running.splice(0)) await gateway.stop();
});

const text = t.Object({ text: t.String() });
const metrics = createMetrics();
const released: (() => void)[] = [];
const slow = () => new Promise<unknown>((resolve) => released.push(() => resolve({ text: "late" })));

const methods = {
  hello: { method: method({ http: "GET /hello", access: "public", response: text }), handle: () => ({ text: "hi" }) },
  echo: {
    method: method({ http: "POST /echo", access: "public", request: text, response: text, bodyLimit: "64kb" }),
    handle: (request: unknown) => request,
  },
  slow: { method: method({ http: "GET /slow", access: "public", response: text }), handle: slow },
  large: {
    method: raw({ http: "GET /large", access: "public" }),
    handle: () => ({ body: Buffer.alloc(4 * 1024 * 1024, "x") }),
  },
  twice: {
    method: raw({ http: "GET /twice", access: "public" }),
    handle: () => ({ headers: { "set-cookie": ["a=1", "b=2"], vary: "cookie" }, body: "x" }),
  },
  count: {
    method: stream({ http: "GET /count", access: "public", item: t.Object({ n: t.Integer() }) }),
    async *handle() {
      for (let n = 1; n <= 3; n++) yield { n };
    },
  },
  ticks: {
    method: stream({ http: "GET /ticks", access: "public", item: t.Object({ n: t.Integer() }) }),
    async *handle() {
      yield { n: 1 };
      await new Promise(() => {});
    },
  },
} as unknown as Parameters<typeof testGateway>[0];

interface Open {
  readonly gateway: Gateway;
  readonly port: number;
  client(options?: object): ClientHttp2Session;
}

async function open(known: TestAuthority, options: Partial<GatewayOptions> = {}, streams = 100): Promise<Open> {
  const pair = { certificate: known.path("host.pem"), key: known.path("host.key") };
  const tls = await createGatewayTls(
    { ...pair, http2: { streams } },
    { clock: systemClock, log: silent(), metrics: undefined },
  );
  const gateway = testGateway(methods, { tls, metrics, ...options });
  running.push(gateway);
  const { port } = await gateway.start();
  return {
    gateway,
    port,
    client(given = {}) {
      const session = http2Client(port, known.ca, given);
      sessions.push(session);
      return session;
    },
  };
}

const get = (path: string, more: Record<string, string> = {}) => ({ ":path": path, ...more });
const post = (path: string, more: Record<string, string> = {}) => ({
  ":method": "POST",
  ":path": path,
  "content-type": "application/json",
  ...more,
});

describe("HTTP/2 answers as HTTP/1.1 does", () => {
  test("a call, a body with and without its length, and every header of the answer", async (t) => {
    if (!authority) return t.skip("no openssl");
    const session = (await open(authority)).client();
    const hello = await http2Ask(session, get("/hello", { "x-request-id": "abc" }));
    assert.equal(hello.status, 200);
    assert.equal(hello.body, '{"text":"hi"}');
    assert.equal(hello.headers["content-type"], "application/json");
    assert.equal(hello.headers["content-length"], "13");
    assert.equal(hello.headers["x-request-id"], "abc");
    assert.equal(hello.headers["x-content-type-options"], "nosniff");
    assert.equal((await http2Ask(session, post("/echo"), '{"text":"a"}')).body, '{"text":"a"}');
    assert.equal((await http2Ask(session, post("/echo", { "content-length": "12" }), '{"text":"b"}')).status, 200);
    const twice = await http2Ask(session, get("/twice"));
    assert.deepEqual(twice.headers["set-cookie"], ["a=1", "b=2"]);
    const head = await http2Ask(session, { ...get("/hello"), ":method": "HEAD" });
    assert.deepEqual([head.status, head.body, head.headers["content-length"]], [200, "", "13"]);
  });

  test("errors are problems with their status, without a word about the connection", async (t) => {
    if (!authority) return t.skip("no openssl");
    const session = (await open(authority)).client();
    const cases: [Promise<Awaited<ReturnType<typeof http2Ask>>>, number, string][] = [
      [http2Ask(session, get("/nothing")), 404, "ROUTE_NOT_FOUND"],
      [http2Ask(session, post("/hello"), "{}"), 405, "METHOD_NOT_ALLOWED"],
      [http2Ask(session, { ...get("/hello"), ":method": "BREW" }), 501, "METHOD_NOT_IMPLEMENTED"],
      [http2Ask(session, post("/echo"), '{"text":'), 400, "JSON_MALFORMED"],
      [http2Ask(session, post("/echo"), '{"text":1}'), 422, "VALIDATION_FAILED"],
      [http2Ask(session, get(`/${"a".repeat(9000)}`)), 414, "URL_TOO_LONG"],
      [http2Ask(session, get("/hello", { "x-large": "a".repeat(20_000) })), 431, "HEADERS_TOO_LARGE"],
      [http2Ask(session, get("/hello", { ":authority": "one.test", host: "another.test" })), 400, "REQUEST_MALFORMED"],
      [http2Ask(session, post("/echo"), Buffer.alloc(100_000, "x")), 413, "BODY_TOO_LARGE"],
      [http2Ask(session, post("/echo", { "content-length": "100000" }), Buffer.alloc(100_000)), 413, "BODY_TOO_LARGE"],
      [http2Ask(session, post("/echo", { expect: "200-maybe" }), "{}"), 417, "EXPECTATION_FAILED"],
      [http2Ask(session, get("/hello", { accept: "text/html" })), 406, "NOT_ACCEPTABLE"],
    ];
    for (const [answering, status, reason] of cases) {
      const { headers, body, ...answer } = await answering;
      assert.equal(answer.status, status, `${reason}: ${body}`);
      assert.equal(headers["content-type"], "application/problem+json", reason);
      const problem = JSON.parse(body) as { status: number; reason: string };
      assert.deepEqual([problem.status, problem.reason], [status, reason]);
      for (const name of ["connection", "keep-alive", "transfer-encoding"]) assert.equal(headers[name], undefined);
    }
    assert.equal((await http2Ask(session, get("/hello"))).status, 200, "and the connection is still good");
  });

  test("streams, as lines and as events, and CONNECT refused", async (t) => {
    if (!authority) return t.skip("no openssl");
    const session = (await open(authority)).client();
    const lines = await http2Ask(session, get("/count"));
    assert.equal(lines.body, '{"n":1}\n{"n":2}\n{"n":3}\n');
    const events = await http2Ask(session, get("/count", { accept: "text/event-stream" }));
    assert.equal(events.headers["content-type"], "text/event-stream");
    assert.match(events.body, /^data: \{"n":1\}\n\n/);
    const tunnel = await http2Ask(session, { ":method": "CONNECT", ":authority": "inside:80" });
    assert.equal(tunnel.status, 501);
  });

  test("100-continue is said once the headers are good", async (t) => {
    if (!authority) return t.skip("no openssl");
    const session = (await open(authority)).client();
    const request = session.request(post("/echo", { expect: "100-continue" }));
    const [said] = await Promise.all([once(request, "continue")]);
    assert.deepEqual(said, []);
    request.end('{"text":"a"}');
    const [headers] = await once(request, "response");
    assert.equal(headers[":status"], 200);
    const refused = session.request(post("/echo", { expect: "100-continue", "content-length": "100000" }));
    refused.on("continue", () => assert.fail("it was told to go on"));
    const [answered] = await once(refused, "response");
    assert.equal(answered[":status"], 413);
  });

  test("a mounted handler serves it, and one that breaks off resets the stream", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { client } = await open(authority, {
      mounts: [
        {
          path: "/old",
          access: "public",
          handler: (req, res) => {
            if (req.url === "/broken") {
              res.writeHead(200, { "content-type": "text/plain", connection: "close" });
              res.write("half");
              setImmediate(() => res.destroy());
              return;
            }
            res.statusMessage = "Fine";
            res.setHeader("x-host", String(req.headers.host));
            req.pipe(res);
          },
        },
      ],
    });
    const session = client();
    const echoed = await http2Ask(session, { ...post("/old/echo"), ":method": "POST" }, "some text");
    assert.deepEqual([echoed.status, echoed.body], [200, "some text"]);
    assert.match(String(echoed.headers["x-host"]), /^localhost:\d+$/);
    const broken = await http2Ask(session, get("/old/broken"));
    assert.equal(broken.resetCode, constants.NGHTTP2_INTERNAL_ERROR);
  });

  test("a client that goes away cancels its call, and is logged as 499 with its address", async (t) => {
    if (!authority) return t.skip("no openssl");
    const destination = createMemoryDestination();
    const accessLog = createAccessLog({ destination, sample: 1 });
    const { client, gateway } = await open(authority, { accessLog });
    const session = client();
    const request = session.request(get("/slow"));
    request.on("error", () => {});
    while (gateway.stats.inFlight === 0) await systemClock.sleep(5);
    request.close(constants.NGHTTP2_CANCEL);
    while (gateway.stats.inFlight > 0) await systemClock.sleep(5);
    assert.equal((await http2Ask(session, get("/hello"))).status, 200);
    await accessLog.close();
    const gone = JSON.stringify(destination.records.find((line) => JSON.stringify(line).includes("499")));
    assert.match(gone, /127\.0\.0\.1|::1/);
  });
});

describe("a connection has limits", () => {
  test("more requests at a time than it may have wait for the others", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { client, gateway } = await open(authority, {}, 2);
    const session = client();
    await once(session, "remoteSettings");
    assert.equal(session.remoteSettings.maxConcurrentStreams, 2);
    assert.equal(session.remoteSettings.enableConnectProtocol, false);
    const all = Array.from({ length: 4 }, () => http2Ask(session, get("/slow")));
    while (gateway.stats.inFlight < 2) await systemClock.sleep(5);
    await systemClock.sleep(50);
    assert.equal(gateway.stats.inFlight, 2);
    const answered = Promise.all(all);
    let done = false;
    void answered.then(() => {
      done = true;
    });
    while (!done) {
      for (const release of released.splice(0)) release();
      await systemClock.sleep(5);
    }
    assert.ok((await answered).every(({ status }) => status === 200));
  });

  test("headers far above the limit reset the stream; the connection goes on", async (t) => {
    if (!authority) return t.skip("no openssl");
    const session = (await open(authority)).client();
    const { status, resetCode } = await http2Ask(session, get("/hello", { "x-huge": "a".repeat(66_000) }));
    assert.equal(status, 0);
    assert.notEqual(resetCode, 0);
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`x-${i}`, "1"]));
    assert.notEqual((await http2Ask(session, get("/hello", many))).resetCode, 0);
  });

  test("a body that does not come is 408, and the others on the connection go on", async (t) => {
    if (!authority) return t.skip("no openssl");
    const limits = { requestTimeout: "200ms", headersTimeout: "200ms", timeoutCheck: "50ms" } as const;
    const session = (await open(authority, { limits })).client();
    const waiting = session.request(post("/echo"));
    waiting.write('{"text"');
    const [headers] = await once(waiting, "response");
    assert.equal(headers[":status"], 408);
    assert.equal((await http2Ask(session, get("/hello"))).status, 200);
  });

  test("a client that takes nothing of its answer loses the stream", async (t) => {
    if (!authority) return t.skip("no openssl");
    const limits = { stalledClient: "200ms", timeoutCheck: "50ms" } as const;
    const { client } = await open(authority, { limits });
    const session = client();
    const request = session.request(get("/large"));
    request.on("error", () => {});
    request.pause();
    await once(request, "response");
    request.pause();
    const until = systemClock.now() + 5000;
    while (!request.closed && systemClock.now() < until) await systemClock.sleep(20);
    assert.equal(request.rstCode, constants.NGHTTP2_CANCEL);
    const taken = await http2Ask(session, get("/large"));
    assert.equal(taken.body.length, 4 * 1024 * 1024);
  });

  test("one that is idle is told to leave, sooner when it never asked for anything", async (t) => {
    if (!authority) return t.skip("no openssl");
    const limits = { headersTimeout: "200ms", keepAlive: "700ms", timeoutCheck: "50ms" } as const;
    const { client } = await open(authority, { limits });
    const silentOne = client();
    await once(silentOne, "connect");
    const startedAt = systemClock.now();
    await once(silentOne, "close");
    assert.ok(systemClock.now() - startedAt < 650);
    const used = client();
    await http2Ask(used, get("/hello"));
    const usedAt = systemClock.now();
    await once(used, "close");
    assert.ok(systemClock.now() - usedAt >= 600);
  });

  test("after its share of requests it is told to leave, and what runs ends", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { client } = await open(authority, { limits: { requestsPerConnection: 3 } });
    const session = client();
    const left = once(session, "goaway");
    for (let i = 0; i < 3; i++) assert.equal((await http2Ask(session, get("/hello"))).status, 200);
    assert.equal((await left)[0], constants.NGHTTP2_NO_ERROR);
  });
});

describe("draining", () => {
  test("says GOAWAY, ends what runs, lets events go, and closes", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { client, gateway } = await open(authority);
    const session = client();
    const running = http2Ask(session, get("/slow"));
    const events = http2Ask(session, get("/ticks", { accept: "text/event-stream" }));
    while (gateway.stats.inFlight < 1 || gateway.stats.streams < 1) await systemClock.sleep(5);
    const left = once(session, "goaway");
    const closed = once(session, "close");
    const drained = gateway.drain();
    assert.equal((await left)[0], constants.NGHTTP2_NO_ERROR);
    for (const release of released.splice(0)) release();
    assert.equal((await running).status, 200);
    assert.match((await events).body, /data: \{"n":1\}/);
    await drained;
    await closed;
    assert.equal(gateway.stats.inFlight + gateway.stats.streams, 0);
  });
});
