import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, describe, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { systemClock } from "../../base/index.ts";
import { raw } from "../../service/index.ts";
import { createMetrics } from "../../telemetry/index.ts";
import type { Gateway, GatewayOptions } from "../gateway.ts";
import { silent, testGateway } from "../testing.ts";
import type { TestAuthority } from "../tls/tls.fixture.ts";
import { testAuthority } from "../tls/tls.fixture.ts";
import { createGatewayTls } from "../tls/tls.ts";
import { frame, getHeaders, http2Preface, literalHeader, settingsFrame } from "./frames.fixture.ts";
import { http2Ask, http2Client } from "./http2.fixture.ts";

let authority: TestAuthority | undefined;
before(() => {
  authority = testAuthority();
  authority?.issue("host", "DNS:localhost");
});
after(() => authority?.remove());

const running: Gateway[] = [];
const sockets: TLSSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const gateway of running.splice(0)) await gateway.stop();
});

const metrics = createMetrics();
let startedCount = 0;
let seen: Readonly<Record<string, string>> = {};
const methods = {
  hello: { method: raw({ http: "GET /hello", access: "public" }), handle: () => ({ body: "hi" }) },
  slow: {
    method: raw({ http: "GET /slow", access: "public" }),
    handle: (request: { headers: Readonly<Record<string, string>> }) => {
      startedCount++;
      seen = request.headers;
      return new Promise(() => {});
    },
  },
};

async function open(
  known: TestAuthority,
  options: Partial<GatewayOptions> = {},
): Promise<{ gateway: Gateway; port: number; attacker: Attacker }> {
  const pair = { certificate: known.path("host.pem"), key: known.path("host.key") };
  const tls = await createGatewayTls(pair, { clock: systemClock, log: silent(), metrics: undefined });
  const gateway = testGateway(methods, { tls, metrics, ...options });
  running.push(gateway);
  const { port } = await gateway.start();
  return { gateway, port, attacker: await attack(port, known.ca) };
}

interface Attacker {
  readonly socket: TLSSocket;
  readonly isCut: boolean;
  /** Sends until cut or all is sent. */
  send(parts: Iterable<Buffer>): Promise<void>;
}

async function attack(port: number, ca: string): Promise<Attacker> {
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca, ALPNProtocols: ["h2"] });
  sockets.push(socket);
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "secureConnect");
  let isCut = false;
  socket.once("close", () => {
    isCut = true;
  });
  socket.write(Buffer.concat([http2Preface, settingsFrame()]));
  return {
    socket,
    get isCut() {
      return isCut;
    },
    async send(parts) {
      for (const part of parts) {
        if (isCut || socket.destroyed) return;
        if (!socket.write(part)) {
          await new Promise<void>((resolve) => {
            const go = () => {
              cancel();
              socket.off("drain", go);
              socket.off("close", go);
              resolve();
            };
            const cancel = systemClock.after(2000, go);
            socket.on("drain", go);
            socket.on("close", go);
          });
        }
      }
    },
  };
}

async function isCutSoon(attacker: Attacker): Promise<boolean> {
  const until = systemClock.now() + 5000;
  while (!attacker.isCut && systemClock.now() < until) await systemClock.sleep(10);
  return attacker.isCut;
}

/** Another client is served as if nothing were. */
async function assertServes(port: number, ca: string): Promise<void> {
  const session = http2Client(port, ca);
  const startedAt = systemClock.now();
  assert.equal((await http2Ask(session, { ":path": "/hello" })).status, 200);
  assert.ok(systemClock.now() - startedAt < 1000);
  session.destroy();
}

describe("what a hostile HTTP/2 client can do", () => {
  test("begins requests and takes them back, over and over: its connection ends", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { attacker, gateway, port } = await open(authority);
    startedCount = 0;
    function* resets(): Iterable<Buffer> {
      for (let i = 0; i < 5000; i++) {
        const id = 1 + 2 * i;
        yield Buffer.concat([getHeaders(id, "/slow"), frame(3, 0, id, Buffer.from([0, 0, 0, 8]))]);
      }
    }
    await attacker.send(resets());
    assert.equal(await isCutSoon(attacker), true);
    assert.ok(startedCount <= 400, `${startedCount} requests were begun`);
    await assertServes(port, authority.ca);
    assert.equal(gateway.stats.inFlight, 0);
    assert.match((await metrics.render()).body, /plinth_gateway_http2_cut_total\{reason="resets"\} 1\n/);
  });

  test("takes back requests now and then, as a browser does: nothing happens to it", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await open(authority);
    const session = http2Client(port, authority.ca);
    for (let i = 0; i < 60; i++) {
      const request = session.request({ ":path": "/slow" });
      request.on("error", () => {});
      request.close(8);
    }
    assert.equal((await http2Ask(session, { ":path": "/hello" })).status, 200);
    session.destroy();
  });

  test("sends CONTINUATION frames without end: its connection ends, and nothing is kept", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { attacker, port } = await open(authority);
    const before = process.memoryUsage().rss;
    const block = Buffer.concat(Array.from({ length: 200 }, (_, i) => literalHeader(`x-${i}`, "a".repeat(60))));
    function* flood(): Iterable<Buffer> {
      // No END_HEADERS, ever.
      yield frame(1, 0, 1, block);
      for (let i = 0; i < 20_000; i++) yield frame(9, 0, 1, block);
    }
    await attacker.send(flood());
    assert.equal(await isCutSoon(attacker), true);
    assert.ok(process.memoryUsage().rss - before < 80 * 1024 * 1024);
    await assertServes(port, authority.ca);
  });

  for (const [name, flood] of [
    ["SETTINGS", settingsFrame()],
    ["PING", frame(6, 0, 0, Buffer.alloc(8))],
    ["empty DATA", frame(0, 0, 1, Buffer.alloc(0))],
    ["PRIORITY", frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 1]))],
    ["WINDOW_UPDATE", frame(8, 0, 0, Buffer.from([0, 0, 0, 1]))],
  ] as const) {
    test(`sends ${name} frames without end and reads nothing: memory stays, others are served`, async (t) => {
      if (!authority) return t.skip("no openssl");
      const { attacker, port } = await open(authority);
      attacker.socket.pause();
      const many = Buffer.concat(Array.from({ length: 1000 }, () => flood));
      const before = process.memoryUsage().rss;
      function* all(): Iterable<Buffer> {
        if (name === "empty DATA") yield getHeaders(1, "/slow", "POST", false);
        for (let i = 0; i < 100; i++) yield many;
      }
      const sending = attacker.send(all());
      await assertServes(port, authority.ca);
      await sending;
      await assertServes(port, authority.ca);
      assert.ok(process.memoryUsage().rss - before < 80 * 1024 * 1024);
    });
  }

  test("sends what is no HTTP/2: its connection ends", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { attacker, port } = await open(authority);
    attacker.socket.write(frame(1, 4, 2, Buffer.from([0x82])));
    assert.equal(await isCutSoon(attacker), true);
    await assertServes(port, authority.ca);
  });

  test("shapes that become two requests behind a translating proxy are refused", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await open(authority);
    const shapes: [string, Buffer[]][] = [
      ["a transfer coding", [literalHeader("transfer-encoding", "chunked")]],
      ["a connection header", [literalHeader("connection", "keep-alive")]],
      ["an upgrade", [literalHeader("upgrade", "h2c")]],
      ["two lengths", [literalHeader("content-length", "0"), literalHeader("content-length", "5")]],
      ["a length that is none", [literalHeader("content-length", "+1")]],
      ["capitals in a name", [literalHeader("X-Upper", "1")]],
      ["a pseudo header after others", [literalHeader("x-a", "1"), literalHeader(":path", "/slow")]],
      ["a pseudo header nobody knows", [literalHeader(":admin", "1")]],
    ];
    for (const [name, extra] of shapes) {
      const attacker = await attack(port, authority.ca);
      startedCount = 0;
      attacker.socket.write(Buffer.concat([getHeaders(1, "/slow", "GET", true, extra)]));
      await systemClock.sleep(30);
      assert.equal(startedCount, 0, `${name} was let through`);
      attacker.socket.destroy();
    }
    // Fields of other than HTTP's characters are thrown away by the library; nothing of them may be seen.
    const fields = [
      ["x-line", "1\r\nx-more: 2"],
      ["x-nul", "a\0b"],
      ["x y", "1"],
      ["x\r\nx-more", "1"],
    ] as const;
    const attacker = await attack(port, authority.ca);
    const extra = fields.map(([name, value]) => literalHeader(name, value));
    attacker.socket.write(getHeaders(1, "/slow", "GET", true, extra));
    while (startedCount === 0) await systemClock.sleep(10);
    assert.deepEqual(
      Object.keys(seen).filter((name) => !/^(?:host|x-forwarded-\w+)$/.test(name)),
      [],
    );
    await assertServes(port, authority.ca);
  });
});
