import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { after, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { createManualClock, systemClock } from "../base/index.ts";
import { Tunnel } from "./tunnel.ts";
import { createBench, requestOf } from "./upstream.fixture.ts";
import type { UpgradeEnd, Upstream } from "./upstream.ts";
import type { UpstreamOptions } from "./upstream-options.ts";

const bench = createBench();
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
  await bench.close();
});

/** A gateway that does nothing but hand upgrades over. */
async function front(upstream: Upstream, remainingMs = 5000) {
  const ends: UpgradeEnd[] = [];
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on("upgrade", (req, socket: Socket, head) => {
    sockets.add(socket);
    const { method, url, rawHeaders } = req;
    const request = {
      ...requestOf({ remainingMs }),
      method: method as string,
      path: url as string,
      headers: rawHeaders,
    };
    upstream.upgrade({ ...request, onEnd: (end) => ends.push(end) }, socket, head);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  closing.unshift(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port, ends, url: `ws://127.0.0.1:${port}/chat?a=b` };
}

/** Says back what it hears. */
async function echo() {
  const seen: unknown[] = [];
  const target = await bench.target((_, res) => res.writeHead(426, { "x-why": "old" }).end("no"));
  const sockets = new WebSocketServer({ server: target.server });
  sockets.on("connection", (socket, req) => {
    const { host, forwarded, via } = req.headers;
    seen.push([req.url, host, req.headers["x-forwarded-for"], forwarded !== undefined, via]);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("error", () => {});
  });
  closing.push(() => sockets.close());
  return { ...target, seen, port: target.port };
}

async function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function said(socket: WebSocket, text: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    socket.once("message", (data) => resolve(`${data}`));
    socket.send(text);
  });
}

const gone = (socket: WebSocket) => new Promise((resolve) => socket.once("close", resolve));

/** What a plain socket hears until its end, after it asked for an upgrade. */
function refusal(port: number, headers = ""): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET /a HTTP/1.1\r\nHost: x\r\n${headers}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    socket
      .on("data", (chunk) => (heard += chunk))
      .on("error", () => {})
      .on("close", () => resolve(heard));
  });
}

function of(targets: readonly string[], options: Partial<UpstreamOptions> = {}) {
  return bench.upstream({ targets, balance: "round-robin", ...options });
}

describe("a WebSocket", () => {
  test("goes through, both ways, small and large, text and binary", async () => {
    const target = await echo();
    const upstream = of([target.url]);
    const { url, ends } = await front(upstream);
    const socket = await open(url);
    assert.equal(await said(socket, "hello"), "hello");
    const large = "x".repeat(3_000_000);
    assert.equal(await said(socket, large), large);
    assert.deepEqual(target.seen, [["/chat?a=b", `127.0.0.1:${target.port}`, "192.0.2.7", true, "1.1 plinth"]]);
    assert.equal(await upstream.value("plinth_upstream_tunnels"), 1);
    assert.equal(upstream.states()[0]?.inFlight, 0);
    socket.close();
    await gone(socket);
    while (ends.length === 0) await systemClock.sleep(2);
    const [end] = ends as [UpgradeEnd];
    assert.deepEqual([end.status, end.reason], [101, undefined]);
    assert.ok(end.bytesFromClient > 3_000_000 && end.bytesFromTarget > 3_000_000);
    assert.equal(upstream.states()[0]?.inFlight, 0);
    await upstream.drain();
  });

  test("goes to another target when one cannot be connected to", async () => {
    const target = await echo();
    const { url } = await front(of(["http://127.0.0.1:1", target.url]));
    for (let i = 0; i < 3; i++) {
      const socket = await open(url);
      assert.equal(await said(socket, "hello"), "hello");
      socket.terminate();
    }
  });

  test("ends on one side when it ends on the other", async () => {
    const target = await echo();
    const { url, ends } = await front(of([target.url]));
    const socket = await open(url);
    target.cut();
    await gone(socket);
    const again = await open(url);
    again.terminate();
    while (ends.length < 2) await systemClock.sleep(2);
    assert.deepEqual(
      ends.map(({ reason }) => reason),
      [undefined, undefined],
    );
  });

  test("carries what the target says right after its answer", async () => {
    const target = await bench.target(() => {});
    target.server.on("upgrade", (_, socket) =>
      socket.end("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: x\r\nX-A: b\r\n\r\nfirst words"),
    );
    const { port } = await front(of([target.url]));
    assert.match(await refusal(port), /^HTTP\/1\.1 101 [\s\S]*upgrade: websocket\r\nx-a: b\r\n\r\nfirst words$/);
  });
});

describe("an upgrade that does not come to be", () => {
  test("is answered with what the target says", async () => {
    const target = await bench.target((_, res) =>
      res.writeHead(403, { "x-why": "no", "set-cookie": ["a", "b"] }).end("not you"),
    );
    target.server.on("upgrade", (_, socket) =>
      socket.end("HTTP/1.1 403 No\r\nx-why: no\r\ncontent-length: 7\r\n\r\nnot you"),
    );
    const upstream = of([target.url]);
    const { port, ends } = await front(upstream);
    assert.match(
      await refusal(port),
      /^HTTP\/1\.1 403 Forbidden\r\nx-why: no\r\ncontent-length: 7\r\nconnection: close\r\n\r\nnot you$/,
    );
    assert.deepEqual([ends[0]?.status, ends[0]?.bytesFromTarget], [403, 7]);
    await upstream.drain();
  });

  test("is 502, 503 or 504 with a problem document", async () => {
    const silent = await bench.target(() => {});
    silent.server.on("upgrade", () => {});
    const broken = await bench.target(() => {});
    broken.server.on("upgrade", (_, socket) => socket.destroy());
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [["http://127.0.0.1:1"], 502, "UPSTREAM_UNREACHABLE"],
      [[broken.url], 502, "UPSTREAM_BROKEN"],
      [[silent.url], 504, "UPSTREAM_TIMEOUT"],
      [["http://nowhere.example"], 503, "UPSTREAM_UNAVAILABLE"],
    ];
    for (const [targets, status, reason] of cases) {
      const upstream = of(targets);
      const { port, ends } = await front(upstream, 400);
      const heard = await refusal(port);
      assert.ok(heard.startsWith(`HTTP/1.1 ${status} `), heard);
      assert.match(heard, /content-type: application\/problem\+json\r\n/);
      assert.equal(JSON.parse(heard.slice(heard.indexOf("\r\n\r\n"))).reason, reason);
      assert.deepEqual([ends.length, ends[0]?.status, ends[0]?.reason], [1, status, reason]);
      await upstream.drain();
    }
  });

  test("breaks off when the target does so within its own refusal, or says nothing more", async () => {
    const half = "HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\nhalf";
    const broken = await bench.target(() => {});
    broken.server.on("upgrade", (_, socket) => socket.end(half));
    const silent = await bench.target(() => {});
    silent.server.on("upgrade", (_, socket) => socket.write(half));
    for (const [target, says] of [
      [broken, /^HTTP\/1\.1 502 [\s\S]*UPSTREAM_BROKEN/],
      [silent, /^HTTP\/1\.1 504 [\s\S]*UPSTREAM_TIMEOUT/],
    ] as const) {
      const upstream = of([target.url]);
      const { port, ends } = await front(upstream, 400);
      assert.match(await refusal(port), says);
      assert.equal(ends.length, 1);
      assert.equal(upstream.states()[0]?.inFlight, 0);
      await upstream.drain();
    }
  });

  test("is answered with the first part of what the target says, when that is long", async () => {
    const target = await bench.target(() => {});
    target.server.on("upgrade", (_, socket) => {
      socket.on("error", () => {}).write("HTTP/1.1 403 No\r\ntransfer-encoding: chunked\r\n\r\n20000\r\n");
      socket.write("x".repeat(0x20000));
    });
    const upstream = of([target.url]);
    const { port } = await front(upstream);
    assert.match(await refusal(port), /^HTTP\/1\.1 403 [^x]*content-length: 65536\r\n[^x]*x{65536}$/);
    await upstream.drain();
  });

  test("is 508 when it goes round in a circle", async () => {
    const { port } = await front(of(["http://127.0.0.1:1"]));
    const via = Array.from({ length: 10 }, () => "1.1 plinth").join(", ");
    assert.match(await refusal(port, `Via: ${via}\r\n`), /^HTTP\/1\.1 508 [\s\S]*UPSTREAM_LOOP/);
  });

  test("is 503 when this process ends meanwhile", async () => {
    const silent = await bench.target(() => {});
    silent.server.on("upgrade", (_, socket) => socket.on("error", () => {}));
    const upstream = of([silent.url]);
    const { port } = await front(upstream);
    const heard = refusal(port);
    while ((await upstream.value("plinth_upstream_tunnels")) === 0) await systemClock.sleep(2);
    await systemClock.sleep(30);
    await upstream.close();
    assert.match(await heard, /^HTTP\/1\.1 503 [\s\S]*UPSTREAM_LEAVING/);
  });

  test("passes on what the client says before it is answered, a part of it at first", async () => {
    const target = await bench.target(() => {});
    let heard = 0;
    target.server.on("upgrade", (_, socket: Socket, head) => {
      heard = head.length;
      socket.on("data", (chunk) => (heard += chunk.length)).on("error", () => {});
      systemClock.after(80, () => socket.write("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
    });
    const { port } = await front(of([target.url]));
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    socket.write(Buffer.alloc(500_000));
    while (heard < 500_000) await systemClock.sleep(5);
    assert.equal(heard, 500_000);
    socket.destroy();
  });

  test("is 503 above the limit, and while this process leaves", async () => {
    const target = await echo();
    const upstream = of([target.url], { limits: { tunnels: 1 } });
    const { port, url } = await front(upstream);
    const socket = await open(url);
    assert.match(await refusal(port), /503[\s\S]*retry-after: 1[\s\S]*UPSTREAM_BUSY/);
    const closed = gone(socket);
    await upstream.close();
    await closed;
    assert.match(await refusal(port), /503[\s\S]*UPSTREAM_UNAVAILABLE/);
  });

  test("ends when the client does not wait for it", async () => {
    const silent = await bench.target(() => {});
    let isCut = false;
    silent.server.on("upgrade", (_, socket) => {
      // A server's sockets stay half open until it ends them too.
      socket.once("end", () => {
        isCut = true;
        socket.end();
      });
      socket.on("error", () => {}).resume();
    });
    const upstream = of([silent.url]);
    const { port, ends } = await front(upstream);
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await systemClock.sleep(50);
    socket.destroy();
    while (!isCut || ends.length === 0) await systemClock.sleep(2);
    assert.deepEqual([ends[0]?.status, ends[0]?.reason], [499, "TUNNEL_CLIENT_GONE"]);
    assert.equal(upstream.states()[0]?.inFlight, 0);
  });
});

/** A connection whose other side reads nothing: what is written stays here. */
function unread(): Duplex {
  return new Duplex({ read() {}, write() {} }).on("error", () => {});
}

describe("a client that reads nothing", () => {
  test("loses its connection 5 s after the tunnel is over", async () => {
    const clock = createManualClock();
    const [client, target] = [unread(), new PassThrough()];
    const ends: unknown[] = [];
    const limits = { idleMs: 60_000, ageMs: 60_000, bytesPerSecond: 0 };
    const tunnel = new Tunnel(client, target, clock, limits, (end) => ends.push(end.reason));
    client.write("the last words");
    tunnel.cut(undefined);
    assert.deepEqual(ends, [undefined]);
    await clock.advance(4999);
    assert.equal(client.destroyed, false);
    await clock.advance(1);
    assert.equal(client.destroyed, true);
  });

  test("loses it 5 s after its upgrade was refused", async () => {
    const clock = createManualClock();
    const timed = createBench(clock);
    const upstream = timed.upstream({ targets: ["http://127.0.0.1:1"] });
    await upstream.close();
    const client = unread();
    upstream.upgrade(requestOf({ clock }), client, Buffer.alloc(0));
    await clock.advance(4999);
    assert.deepEqual([client.writableEnded, client.destroyed], [true, false]);
    await clock.advance(1);
    assert.equal(client.destroyed, true);
  });
});

describe("a tunnel", () => {
  test("is cut when nothing is said for too long, not before, and when it is too old", async () => {
    const target = await echo();
    for (const [limits, reason] of [
      [{ tunnelIdle: "500ms" }, "TUNNEL_IDLE"],
      [{ tunnelAge: "1200ms" }, "TUNNEL_TOO_OLD"],
    ] as const) {
      const { url, ends } = await front(of([target.url], { limits }));
      const socket = await open(url);
      for (let i = 0; i < 4; i++) {
        await systemClock.sleep(150);
        assert.equal(await said(socket, "still here"), "still here");
      }
      await gone(socket);
      assert.equal(ends[0]?.reason, reason);
    }
  });

  test("is not faster than it may be", async () => {
    const target = await echo();
    const { url } = await front(of([target.url], { limits: { tunnelBytesPerSecond: 200_000 } }));
    const socket = await open(url);
    const startedAt = systemClock.now();
    await said(socket, Buffer.alloc(300_000));
    const tookMs = systemClock.now() - startedAt;
    // The first second's worth comes at once.
    assert.ok(tookMs > 400 && tookMs < 3000, `${tookMs} ms`);
    socket.terminate();
  });

  test("is held back by the side that does not read", async () => {
    const target = await bench.target(() => {});
    let sent = 0;
    target.server.on("upgrade", (_, socket: Socket) => {
      socket.write("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
      const write = () => {
        let isTaken = true;
        for (; isTaken && !socket.destroyed; sent++) isTaken = socket.write(Buffer.alloc(65_536));
      };
      socket.on("drain", write).on("error", () => {});
      write();
    });
    const { port } = await front(of([target.url]));
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    socket.pause();
    let before = 0;
    while (before !== sent || sent === 0) {
      before = sent;
      await systemClock.sleep(60);
    }
    let bytes = 0;
    socket.on("data", (chunk) => (bytes += chunk.length)).resume();
    while (bytes < before * 65_536 || sent === before) await systemClock.sleep(5);
    socket.destroy();
  });

  test("is closed when this process leaves, and drain waits for it", async () => {
    const target = await echo();
    const upstream = bench.upstream(
      { targets: [target.url] },
      { random: { next: () => 0.01, uint32: () => 1, fill: (bytes) => bytes } },
    );
    const { url, ends } = await front(upstream);
    const socket = await open(url);
    const closed = gone(socket);
    await upstream.drain();
    await closed;
    assert.equal(ends[0]?.reason, "UPSTREAM_LEAVING");
  });
});
