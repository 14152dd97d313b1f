import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { test } from "node:test";
import type { ClientOptions } from "ws";
import { WebSocket, WebSocketServer } from "ws";
import { error, systemClock } from "../../base/index.ts";
import { method } from "../../service/index.ts";
import type { AccessEntry } from "../../telemetry/index.ts";
import type { GatewayOptions } from "../gateway.ts";
import { ask, request, talk, testGateway } from "../testing.ts";
import { realUpstream } from "./proxy.fixture.ts";
import type { OutsideRoute } from "./route.ts";

const origin = "https://shop.example";
const open: OutsideRoute = {
  path: "/live/*",
  upstream: "live",
  access: "public",
  websocket: { origins: [origin] },
};

/** Node asks which upgrades are taken: `Upgrade: h2c` is then an ordinary request. */
const takesOnlyWebSockets = "shouldUpgradeCallback" in createServer({ shouldUpgradeCallback: () => false } as object);

/** An outside system that echoes messages, behind a gateway. */
async function echoing(t: TestContext, route: OutsideRoute = open, options: Partial<GatewayOptions> = {}) {
  const bodies: string[] = [];
  const server = createServer(async (req, res) => {
    let body = "";
    for await (const chunk of req) body += chunk;
    if (body !== "") bodies.push(body);
    res.end("plain");
  });
  const sockets = new WebSocketServer({ server });
  const seen: Record<string, unknown>[] = [];
  sockets.on("connection", (socket, req) => {
    seen.push(req.headers);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    sockets.close();
    server.closeAllConnections();
    server.close();
  });
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const upstreams = new Map([["live", await realUpstream(t, "live", target)]]);
  const ping = { method: method({ http: "GET /ping", access: "public" }), handle: () => undefined };
  const gateway = testGateway({ ping }, { outside: { upstreams, routes: [route] }, ...options });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  const connect = (path = "/live/a", more: ClientOptions = { headers: { origin } }) =>
    new WebSocket(`ws://127.0.0.1:${port}${path}`, more);
  return { port, gateway, connect, seen, bodies };
}

/** The status of a handshake that was refused. */
async function refusal(socket: WebSocket): Promise<{ status: number; reason: string }> {
  const [, answer] = await once(socket, "unexpected-response");
  let text = "";
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode, reason: JSON.parse(text).reason };
}

test("messages pass in both directions, and the outside system learns the request's id", async (t) => {
  const { connect, seen, gateway } = await echoing(t);
  const socket = connect();
  await once(socket, "open");
  const echo = once(socket, "message");
  socket.send("hello");
  assert.equal(String((await echo)[0]), "hello");
  assert.match(String(seen[0]?.["x-request-id"]), /^[\w-]{20,}$/);
  assert.equal(gateway.stats.streams, 1);
  socket.close();
  await once(socket, "close");
  await systemClock.sleep(50);
  assert.deepEqual([gateway.stats.streams, gateway.stats.inFlight], [0, 0]);
});

test("another origin, and none, are 403 before the outside system hears of them", async (t) => {
  const { connect, seen } = await echoing(t);
  const foreign = connect("/live/a", { headers: { origin: "https://evil.example" } });
  assert.deepEqual(await refusal(foreign), { status: 403, reason: "ORIGIN_NOT_ALLOWED" });
  assert.deepEqual(await refusal(connect("/live/a", { headers: { origin: "null" } })), {
    status: 403,
    reason: "ORIGIN_NOT_ALLOWED",
  });
  assert.deepEqual(await refusal(connect("/live/a", {})), { status: 403, reason: "ORIGIN_NOT_ALLOWED" });
  assert.equal(seen.length, 0);
});

test("clients without an origin are let in where that is declared", async (t) => {
  const { connect } = await echoing(t, { ...open, websocket: { origins: [], withoutOrigin: true } });
  const socket = connect("/live/a", {});
  await once(socket, "open");
  socket.close();
});

test("who is not let in is not upgraded: 101 comes after the steps", async (t) => {
  const refused = () => Promise.reject(error("unauthenticated", "No.", { reason: "TOKEN_INVALID" }));
  const authenticator = {
    challenge: () => undefined,
    recall: () => undefined,
    recallKey: () => undefined,
    authenticate: refused,
  } as unknown as NonNullable<GatewayOptions["authenticator"]>;
  const { connect, seen } = await echoing(t, { ...open, access: "authenticated" }, { authenticator });
  assert.equal((await refusal(connect())).status, 401);
  const headers = { origin, authorization: "Bearer bad" };
  assert.equal((await refusal(connect("/live/a", { headers }))).status, 401);
  assert.equal(seen.length, 0);
});

test("a path that takes none answers as without the upgrade", async (t) => {
  const { port, connect } = await echoing(t);
  const socket = connect("/ping");
  const [, answer] = await once(socket, "unexpected-response");
  assert.equal(answer.statusCode, 204);
  const h2c = request("GET /ping", {
    Connection: "Upgrade, HTTP2-Settings",
    Upgrade: "h2c",
    "HTTP2-Settings": "AAMAAABkAAQAAP__",
  });
  assert.equal((await ask(port, h2c)).status, 204);
  assert.equal((await ask(port, request("GET /live/plain", { Connection: "Upgrade", Upgrade: "h2c" }))).body, "plain");
});

for (const [what, headers, body] of [
  ["a length", { "Content-Length": "5" }, "hello"],
  ["chunks", { "Transfer-Encoding": "chunked" }, "5\r\nhello\r\n0\r\n\r\n"],
] as const) {
  test(`no body with ${what} is lost when another protocol is asked for: it is read, or the request is 400`, async (t) => {
    const { port, bodies } = await echoing(t);
    const head = ["POST /live/a HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: h2c"];
    for (const [name, value] of Object.entries(headers)) head.push(`${name}: ${value}`);
    const { answers, closed } = await talk(port, `${head.join("\r\n")}\r\n\r\n${body}`);
    if (takesOnlyWebSockets) {
      assert.deepEqual([answers[0]?.status, bodies], [200, ["hello"]]);
      return;
    }
    assert.deepEqual([answers[0]?.status, bodies], [400, []]);
    assert.match(answers[0]?.body ?? "", /leave out Upgrade/);
    assert.ok(closed);
  });
}

test("no body is lost on a route that takes no WebSocket either", async (t) => {
  const { port } = await echoing(t);
  const { answers, closed } = await talk(port, request("POST /ping", { ...handshake, "Content-Length": "5" }));
  assert.deepEqual([answers[0]?.status, closed], [400, true]);
});

test("a request that says it has no body and asks for another protocol is served", async (t) => {
  const { port } = await echoing(t);
  const headers = { Connection: "Upgrade", Upgrade: "h2c", "Content-Length": "0" };
  assert.equal((await ask(port, request("POST /live/a", headers))).body, "plain");
});

const handshake = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  Origin: origin,
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

for (const [what, line, headers, status] of [
  ["another version", "GET /live/a", { ...handshake, "Sec-WebSocket-Version": "8" }, 426],
  ["a key that is none", "GET /live/a", { ...handshake, "Sec-WebSocket-Key": "short" }, 400],
  ["another method", "POST /live/a", { ...handshake, "Content-Length": "0" }, 400],
  ["a body", "GET /live/a", { ...handshake, "Content-Length": "5" }, 400],
] as const) {
  test(`a handshake with ${what} is ${status}`, async (t) => {
    const { port, seen } = await echoing(t);
    const { answers, closed } = await talk(port, request(line, headers));
    assert.deepEqual([answers[0]?.status, closed, seen.length], [status, true, 0]);
  });
}

test("a request smuggled behind an upgrade that was refused is never answered", async (t) => {
  const { port } = await echoing(t);
  const hidden = request("GET /ping");
  const { answers, closed } = await talk(
    port,
    request("GET /live/a", { ...handshake, Origin: "https://evil.example" }) + hidden,
  );
  assert.deepEqual([answers.map(({ status }) => status), closed], [[403], true]);
});

test("a client that leaves at once, and an outside system that is gone, leave nothing behind", async (t) => {
  const { gateway, connect } = await echoing(t);
  for (let i = 0; i < 20; i++) {
    const socket = connect();
    socket.on("error", () => {});
    await systemClock.sleep(i % 4);
    socket.terminate();
  }
  await systemClock.sleep(200);
  assert.deepEqual([gateway.stats.streams, gateway.stats.inFlight], [0, 0]);
});

test("the access log has one line for a WebSocket, with its bytes, when it ends; a drain ends it", async (t) => {
  const entries: AccessEntry[] = [];
  const accessLog = { write: (entry: AccessEntry) => entries.push(entry) > 0 } as unknown as NonNullable<
    GatewayOptions["accessLog"]
  >;
  const { connect, gateway } = await echoing(t, open, { accessLog, limits: { drainInFlight: "8s" } });
  const socket = connect();
  await once(socket, "open");
  const echo = once(socket, "message");
  socket.send("hello");
  await echo;
  assert.equal(entries.length, 0);
  const closed = once(socket, "close");
  socket.on("error", () => {});
  await gateway.drain();
  await closed;
  assert.deepEqual([entries.length, entries[0]?.status], [1, 101]);
  assert.ok((entries[0]?.requestBytes ?? 0) > 5);
});
