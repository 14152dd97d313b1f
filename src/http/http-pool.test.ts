import assert from "node:assert/strict";
import type { IncomingHttpHeaders, RequestListener } from "node:http";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTcpServer } from "node:net";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { error, systemClock } from "../base/index.ts";
import { makeCertificates } from "./certificates.fixture.ts";
import type { HttpPool, HttpPoolOptions, HttpRequest } from "./http-pool.ts";
import { createHttpPool } from "./http-pool.ts";

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const serve = async (listener: RequestListener) => `http://127.0.0.1:${await listen(createServer(listener))}`;
const serveBytes = async (answer: (socket: Socket) => void) =>
  `http://127.0.0.1:${await listen(createTcpServer((socket) => socket.on("error", () => {}).once("data", () => answer(socket))))}`;

function poolOf(origin: string, options: HttpPoolOptions = {}): HttpPool {
  const pool = createHttpPool(origin, options);
  closing.unshift(() => pool.close());
  return pool;
}

interface Seen {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

const plain = { method: "GET", path: "/", headers: [], headTimeoutMs: 0, bodyTimeoutMs: 0 };

function ask(pool: HttpPool, request: Partial<HttpRequest> = {}): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const seen: Seen = { status: 0, headers: {}, body: "" };
    pool.send(
      { ...plain, ...request },
      {
        onHead: (status, headers) => Object.assign(seen, { status, headers }),
        onChunk: (chunk) => {
          seen.body += chunk;
        },
        onEnd: () => resolve(seen),
        onFailure: reject,
      },
    );
  });
}

const failing = (reason: string, executed: string) => ({ reason, executed });

describe("an exchange", () => {
  test("uses one connection again, and as many as it needs at once", async () => {
    const ports = new Set<number>();
    const url = await serve((req, res) => {
      ports.add(req.socket.remotePort as number);
      res.end(req.headers.host);
    });
    const pool = poolOf(url);
    for (let i = 0; i < 3; i++) {
      assert.equal((await ask(pool)).body, new URL(url).host);
      await free();
    }
    assert.deepEqual([ports.size, pool.connectionCount], [1, 1]);
    await Promise.all([ask(pool), ask(pool), ask(pool)]);
    assert.equal(ports.size, 3);
  });

  test("carries headers as they are, a list for those that come twice, and no informational answers", async () => {
    const url = await serveBytes((socket) =>
      socket.end(
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nX-A: \xe9\r\ncontent-length: 0\r\n\r\n",
        "latin1",
      ),
    );
    const { status, headers } = await ask(poolOf(url));
    assert.deepEqual([status, headers["set-cookie"], headers["x-a"]], [200, ["a", "b"], "\xe9"]);
  });

  test("is held back in both directions", async () => {
    let received = 0;
    const paused: Readable[] = [];
    const url = await serve((req, res) => {
      if (req.method === "POST") paused.push(req.on("data", (chunk) => (received += chunk.length)).pause());
      else Readable.from(lots()).pipe(res);
    });
    let made = 0;
    function* lots() {
      for (made = 0; made < 400; made++) yield Buffer.alloc(65_536);
    }
    const pool = poolOf(url);
    const up = pool.send({ ...plain, method: "POST", body: Readable.from(lots()) }, silent());
    await settled(() => made);
    assert.ok(made < 300, `${made} of 400 pieces were taken for a reader that stands still`);
    up.cancel(error("cancelled", "enough"));
    let got = 0;
    const ended = new Promise<void>((resolve, reject) => {
      const down = pool.send(plain, {
        ...silent(),
        onHead: () => down.pause(),
        onChunk: (chunk) => {
          got += chunk.length;
        },
        onEnd: resolve,
        onFailure: reject,
      });
      void settled(() => made).then(() => {
        assert.ok(made < 300 && got === 0, `${made} pieces were made, ${got} bytes came`);
        down.resume();
      });
    });
    await ended;
    assert.deepEqual([got, received], [400 * 65_536, 0]);
  });

  test("that is cancelled hangs up, and reports nothing more", async () => {
    const gone = new Promise<string>((resolve) => {
      void serve((req, res) => {
        res.write("x");
        req.once("close", () => resolve("gone"));
      }).then((url) => {
        const exchange = poolOf(url).send(plain, {
          ...silent(),
          onChunk: () => exchange.cancel(error("cancelled", "enough")),
          onFailure: () => resolve("reported"),
        });
      });
    });
    assert.equal(await gone, "gone");
    const waiting = poolOf(await serve(() => {}), { limits: { connections: 1 } });
    waiting.send(plain, silent());
    const second = waiting.send(plain, { ...silent(), onFailure: () => assert.fail("reported") });
    second.cancel(error("cancelled", "enough"));
    assert.equal(second.wasSent, false);
  });

  test("says what failed, and whether it was sent", async () => {
    const cases: [Promise<Seen>, ReturnType<typeof failing>][] = [
      [ask(poolOf("http://127.0.0.1:1")), failing("HTTP_UNREACHABLE", "no")],
      [ask(poolOf("http://nowhere.invalid")), failing("HTTP_UNREACHABLE", "no")],
      [ask(poolOf("http://127.0.0.1:1", { egress: {} })), failing("HTTP_EGRESS_DENIED", "no")],
      [ask(poolOf("http://localhost:1", { egress: {} })), failing("HTTP_EGRESS_DENIED", "no")],
      [ask(poolOf(await serveBytes((socket) => socket.destroy()))), failing("HTTP_CONNECTION_LOST", "maybe")],
      [ask(poolOf(await serveBytes((socket) => socket.end("no HTTP")))), failing("HTTP_CONNECTION_LOST", "maybe")],
      [
        ask(
          poolOf(
            await serveBytes((socket) => socket.write("HTTP/1.1 101 No\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")),
          ),
        ),
        failing("HTTP_CONNECTION_LOST", "maybe"),
      ],
      [
        ask(
          poolOf(await serve((_, res) => res.writeHead(200, { "x-large": "x".repeat(9000) }).end()), {
            limits: { headerBytes: 8192 },
          }),
        ),
        failing("HTTP_CONNECTION_LOST", "maybe"),
      ],
      [ask(poolOf(await serve(() => {})), { headTimeoutMs: 1 }), failing("DEADLINE_EXCEEDED", "maybe")],
      [
        ask(poolOf(await serve((_, res) => res.write("x"))), { bodyTimeoutMs: 1 }),
        failing("DEADLINE_EXCEEDED", "maybe"),
      ],
      [ask(poolOf("http://127.0.0.1:1"), { headers: ["x-a", "b\r\nc"] }), failing("HTTP_REQUEST_UNSENDABLE", "no")],
      [ask(poolOf("http://127.0.0.1:1"), { headers: ["expect", "x"] }), failing("HTTP_REQUEST_UNSENDABLE", "no")],
      [ask(poolOf("http://127.0.0.1:1"), { path: "/a b\n" }), failing("HTTP_REQUEST_UNSENDABLE", "no")],
    ];
    await Promise.all(cases.map(([asked, expected], i) => assert.rejects(asked, expected, `case ${i}`)));
  });

  test("gives up connecting after its time", async () => {
    // TLS to somebody who says nothing: connected, and never ready.
    const server = await listen(createTcpServer(() => {}));
    const pool = poolOf(`https://127.0.0.1:${server}`, { limits: { connectMs: 60 } });
    await assert.rejects(ask(pool), failing("HTTP_CONNECT_TIMEOUT", "no"));
  });
});

describe("a pool", () => {
  test("connects to the address that it is given, and still asks for the name", async () => {
    const url = await serve((req, res) => res.end(req.headers.host));
    const { port } = new URL(url);
    const pool = poolOf(`http://orders.internal:${port}`, { address: "127.0.0.1" });
    assert.equal((await ask(pool)).body, `orders.internal:${port}`);
    const guarded = poolOf(`http://orders.internal:${port}`, { address: "127.0.0.1", egress: {} });
    await assert.rejects(ask(guarded), { reason: "HTTP_EGRESS_DENIED" });
  });

  test("checks the certificate against its own name, whatever Host is asked for", async (t) => {
    const certificates = makeCertificates();
    if (!certificates) return t.skip("no openssl");
    const { ca, cert, key } = certificates;
    certificates.dispose();
    const names: unknown[] = [];
    const port = await listen(
      createSecureServer({ cert, key }, (req, res) => {
        names.push((req.socket as TLSSocket).servername);
        res.end(req.headers.host);
      }),
    );
    const pool = poolOf(`https://localhost:${port}`, { tls: { ca } });
    assert.equal((await ask(pool, { headers: ["host", "shop.example"] })).body, "shop.example");
    await free();
    assert.equal((await ask(pool)).body, `localhost:${port}`);
    assert.deepEqual([names, pool.connectionCount], [["localhost", "localhost"], 1]);
  });

  test("hands over a connection whose protocol was changed", async () => {
    const server = createServer();
    server.on("upgrade", (req, socket: Socket) => {
      socket.write(
        `HTTP/1.1 101 Yes\r\nupgrade: ${req.headers.upgrade}\r\nconnection: upgrade\r\nx-a: b\r\n\r\nhello `,
      );
      socket.pipe(socket);
    });
    const pool = poolOf(`http://127.0.0.1:${await listen(server)}`);
    const [headers, socket] = await new Promise<[IncomingHttpHeaders, Duplex]>((resolve, reject) =>
      pool.send(
        { ...plain, upgrade: "echo" },
        { ...silent(), onUpgrade: (...changed) => resolve(changed), onFailure: reject },
      ),
    );
    assert.deepEqual([headers["x-a"], headers.upgrade], ["b", "echo"]);
    socket.write("you");
    let heard = "";
    for await (const chunk of socket) {
      heard += chunk;
      if (heard === "hello you") break;
    }
  });

  test("drains: what runs ends, and nothing new begins", async () => {
    const url = await serve((_, res) => systemClock.after(60, () => res.end("done")));
    const pool = poolOf(url);
    const running = ask(pool);
    const drained = pool.drain();
    await assert.rejects(ask(pool), failing("HTTP_CLOSED", "no"));
    assert.equal((await running).body, "done");
    await drained;
    await pool.drain();
  });

  test("closes: what runs fails", async () => {
    const pool = poolOf(await serve(() => {}));
    const running = assert.rejects(ask(pool), failing("HTTP_CLOSED", "maybe"));
    await systemClock.sleep(50);
    await pool.close();
    await running;
  });

  test("notices that an idle connection was closed before it sends a request on it", async () => {
    const url = await serve((_, res) => {
      res.end("ok");
      setImmediate(() => res.socket?.end());
    });
    const pool = poolOf(url);
    for (let i = 0; i < 20; i++) {
      assert.equal((await ask(pool)).body, "ok");
      await systemClock.sleep(3);
    }
  });
});

/** A connection can be used again one turn of the event loop after an answer's end. */
const free = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

function silent() {
  return { onHead() {}, onChunk() {}, onEnd() {}, onFailure() {} };
}

/** Until a count has not moved for a while. */
async function settled(count: () => number): Promise<void> {
  let before = -1;
  while (before !== count()) {
    before = count();
    await systemClock.sleep(60);
  }
}
