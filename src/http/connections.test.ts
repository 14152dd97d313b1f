import assert from "node:assert/strict";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { after, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { PlinthError } from "../base/index.ts";
import { createManualClock, error, systemClock } from "../base/index.ts";
import type { ExchangeEvents } from "./exchange.ts";
import type { HttpPool, HttpPoolOptions, HttpRequest } from "./http-pool.ts";
import { createHttpPool } from "./http-pool.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

/** A server that answers each request on a connection with bytes, in one write each. */
async function serve(answer: (socket: Socket, count: number) => void): Promise<{ url: string; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    let count = 0;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", () => answer(socket, count++));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

function poolOf(url: string, options: HttpPoolOptions = {}): HttpPool {
  const pool = createHttpPool(url, options);
  closing.unshift(() => pool.close());
  return pool;
}

const plain = { method: "GET", path: "/", headers: [], headTimeoutMs: 0, bodyTimeoutMs: 0 };

interface Told {
  readonly events: string[];
  body: string;
}

/** What is told of an exchange, until its end. */
function ask(pool: HttpPool, request: Partial<HttpRequest> = {}, more: Partial<ExchangeEvents> = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    const told: Told = { events: [], body: "" };
    pool.send(
      { ...plain, ...request },
      {
        onHead: (status) => void told.events.push(`head ${status}`),
        onChunk: (chunk) => {
          told.events.push("chunk");
          told.body += chunk;
        },
        onEnd: () => {
          told.events.push("end");
          resolve(told);
        },
        onFailure: reject,
        ...more,
      },
    );
  });
}

const whole = (text: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
const lost = { reason: "HTTP_CONNECTION_LOST", executed: "maybe" };

describe("an answer", () => {
  test("in one piece is told at once where that is taken, and piece by piece elsewhere", async () => {
    const { url } = await serve((socket) => socket.write(whole("hello")));
    const pool = poolOf(url);
    assert.deepEqual(await ask(pool), { events: ["head 200", "chunk", "end"], body: "hello" });
    const [status, body] = await new Promise<[number, string]>((resolve, reject) => {
      const onWhole: ExchangeEvents["onWhole"] = (status, _headers, body) => resolve([status, body.toString()]);
      ask(pool, {}, { onWhole }).catch(reject);
    });
    assert.deepEqual([status, body], [200, "hello"]);
  });

  test("is the same however it is cut", async () => {
    const texts = [
      "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n",
    ];
    for (const text of texts) {
      const { url } = await serve(async (socket) => {
        for (const piece of text.match(/[\s\S]{1,3}/g) ?? []) {
          socket.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
      const pool = poolOf(url);
      for (let i = 0; i < 2; i++) assert.equal((await ask(pool)).body, "0123456789");
      assert.equal(pool.connectionCount, 1);
    }
  });

  test("without a length ends with its connection", async () => {
    const { url } = await serve((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"));
    assert.equal((await ask(poolOf(url))).body, "all of it");
  });

  test("to HEAD has no body, whatever it says", async () => {
    const { url } = await serve((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"));
    const pool = poolOf(url);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual((await ask(pool, { method: "HEAD" })).events, ["head 200", "end"]);
    }
    assert.equal(pool.connectionCount, 1);
  });

  test("is held while nobody wants it, also what came with its head", async () => {
    const { url } = await serve((socket) => socket.write(whole("x".repeat(300_000))));
    const pool = poolOf(url);
    let got = 0;
    let isFree = false;
    const bytes = await new Promise<number>((resolve, reject) => {
      const exchange = pool.send(plain, {
        onHead() {
          exchange.pause();
          exchange.pause();
          systemClock.after(30, () => {
            assert.equal(got, 0);
            isFree = true;
            exchange.resume();
          });
        },
        onChunk(chunk) {
          assert.ok(isFree);
          got += chunk.length;
          // Within what is being read: nothing is lost by it.
          exchange.pause();
          exchange.resume();
        },
        onEnd: () => resolve(got),
        onFailure: reject,
      });
    });
    assert.equal(bytes, 300_000);
    assert.equal((await ask(pool)).body.length, 300_000);
    assert.equal(pool.connectionCount, 1);
  });

  for (const [what, text] of [
    ["that is no HTTP", "SSH-2.0\r\n\r\n"],
    ["with two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    ["whose chunks are none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
    ["that changes the protocol unasked", "HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"],
    ["whose head never ends", `HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(20_000)}`],
  ]) {
    test(`${what} is a lost connection, which is not used again`, async () => {
      const { url } = await serve((socket) => socket.write(text as string));
      const pool = poolOf(url);
      await assert.rejects(ask(pool), lost);
      assert.equal(pool.connectionCount, 0);
    });
  }

  test("that breaks off is a lost connection", async () => {
    const { url } = await serve((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
    await assert.rejects(ask(poolOf(url)), lost);
  });

  test("whose reader fails is a lost connection, and the next request has another", async () => {
    const { url } = await serve((socket) => socket.write(whole("hello")));
    const pool = poolOf(url);
    const onHead = () => {
      throw new TypeError("no");
    };
    await assert.rejects(ask(pool, {}, { onHead }), lost);
    assert.equal((await ask(pool)).body, "hello");
  });
});

describe("a connection", () => {
  test("that says more than it was asked for is not used again", async () => {
    const { url, sockets } = await serve((socket) => socket.write(`${whole("a")}${whole("not asked for")}`));
    const pool = poolOf(url);
    assert.equal((await ask(pool)).body, "a");
    assert.equal(pool.connectionCount, 0);
    assert.equal((await ask(pool)).body, "a");
    const late = await serve((socket) => {
      socket.write(whole("a"));
      systemClock.after(20, () => socket.write(whole("not asked for")));
    });
    const other = poolOf(late.url);
    await ask(other);
    await until(() => other.connectionCount === 0);
    assert.ok(sockets.size <= 1);
  });

  test("is not used again when the other side says so", async () => {
    const ends = ["connection: close", "keep-alive: timeout=2"];
    for (const end of ends) {
      const { url } = await serve((socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 0\r\n${end}\r\n\r\n`));
      const pool = poolOf(url);
      await ask(pool);
      assert.equal(pool.connectionCount, 0, end);
    }
  });

  test("is closed when it was idle for long enough, or for as long as the other side keeps it", async () => {
    const clock = createManualClock();
    for (const [more, afterMs] of [
      ["", 4000],
      ["keep-alive: timeout=12\r\n", 10_000],
      ["keep-alive: max=5\r\n", 4000],
    ] as const) {
      const { url } = await serve((socket) => socket.write(`HTTP/1.1 200 OK\r\n${more}content-length: 0\r\n\r\n`));
      const pool = poolOf(url, { clock });
      await ask(pool);
      await clock.advance(afterMs - 1000);
      assert.equal(pool.connectionCount, 1);
      await ask(pool);
      await clock.advance(afterMs - 1000);
      assert.equal(pool.connectionCount, 1);
      await clock.advance(1500);
      assert.equal(pool.connectionCount, 0);
    }
  });

  test("is replaced when it is old", async () => {
    const clock = createManualClock();
    const ports = new Set<number | undefined>();
    const { url } = await serve((socket) => {
      ports.add(socket.remotePort);
      socket.write(whole("a"));
    });
    const pool = poolOf(url, { clock, limits: { connectionMs: 2000 } });
    for (let i = 0; i < 4; i++) {
      await ask(pool);
      await clock.advance(1000);
    }
    assert.ok(ports.size > 1);
  });

  test("whose head drips is given up in the time that the whole head has", async () => {
    const clock = createManualClock();
    const dripped = "HTTP/1.1 103 Early Hints\r\n\r\n";
    const { url, sockets } = await serve((socket) => socket.write(dripped));
    const pool = poolOf(url, { clock });
    const failures: PlinthError[] = [];
    ask(pool, { headTimeoutMs: 2000 }).catch((thrown) => failures.push(thrown));
    await until(() => sockets.size === 1);
    for (let i = 0; i < 8; i++) {
      for (const socket of sockets) socket.write(dripped);
      await systemClock.sleep(10);
      await clock.advance(500);
    }
    assert.equal(failures[0]?.code, "deadline_exceeded");
  });

  test("that stands still within an answer is given up, but not while it is held back", async () => {
    const clock = createManualClock();
    const { url } = await serve((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
    const pool = poolOf(url, { clock });
    const failures: PlinthError[] = [];
    const got = new Promise<void>((resolve) => {
      const exchange = pool.send(
        { ...plain, bodyTimeoutMs: 1000 },
        {
          onHead() {},
          onChunk() {
            exchange.pause();
            resolve();
          },
          onEnd() {},
          onFailure: (reason) => void failures.push(reason),
        },
      );
      void clock.sleep(10_000).then(() => exchange.resume());
    });
    await got;
    await clock.advance(9000);
    assert.equal(failures.length, 0);
    await clock.advance(3000);
    assert.equal(failures[0]?.code, "deadline_exceeded");
  });
});

describe("requests above the connections", () => {
  test("wait for one, in their order; who was cancelled meanwhile is left out", async () => {
    const { url } = await serve((socket, count) => socket.write(whole(String(count))));
    const pool = poolOf(url, { limits: { connections: 1 } });
    const first = ask(pool);
    const cancelled = pool.send(plain, {
      onHead: () => assert.fail(),
      onChunk() {},
      onEnd() {},
      onFailure: () => assert.fail(),
    });
    const third = ask(pool);
    cancelled.cancel(error("cancelled", "enough"));
    cancelled.cancel(error("cancelled", "enough"));
    cancelled.pause();
    cancelled.resume();
    assert.deepEqual([(await first).body, (await third).body, cancelled.wasSent], ["0", "1", false]);
  });

  test("are held no longer than to the next look when they are cancelled", async () => {
    const { url } = await serve(() => {});
    const clock = createManualClock();
    const pool = poolOf(url, { clock, limits: { connections: 1 } });
    void ask(pool).catch(() => {});
    await until(() => pool.connectionCount === 1);
    const cancelled = Array.from({ length: 1000 }, () => {
      const events = { onHead() {}, onChunk() {}, onEnd() {}, onFailure() {} };
      pool.send(plain, events).cancel(error("cancelled", "enough"));
      return new WeakRef(events);
    });
    await clock.advance(500);
    await until(() => true);
    collect();
    assert.equal(cancelled.filter((each) => each.deref()).length, 0);
  });

  test("get a connection of their own when the one before them is lost", async () => {
    const { url } = await serve((socket) => socket.destroy());
    const pool = poolOf(url, { limits: { connections: 1 } });
    const asked = [ask(pool), ask(pool), ask(pool)];
    for (const each of asked) await assert.rejects(each, lost);
  });

  test("each hear that nobody is there", async () => {
    const pool = poolOf("http://127.0.0.1:1", { limits: { connections: 2 } });
    const asked = [ask(pool), ask(pool), ask(pool), ask(pool)];
    for (const each of asked) await assert.rejects(each, { reason: "HTTP_UNREACHABLE", executed: "no" });
  });

  test("are ended when the pool is closed, sent or not", async () => {
    const { url } = await serve(() => {});
    const pool = poolOf(url, { limits: { connections: 1 } });
    const first = assert.rejects(ask(pool), { reason: "HTTP_CLOSED", executed: "maybe" });
    const second = assert.rejects(ask(pool), { reason: "HTTP_CLOSED", executed: "no" });
    await until(() => pool.connectionCount === 1);
    await pool.close();
    await Promise.all([first, second]);
    const early = poolOf(url);
    const third = assert.rejects(ask(early), { reason: "HTTP_CLOSED", executed: "no" });
    await early.close();
    await third;
  });

  test("and a large body are sent whole", async () => {
    let bytes = 0;
    const { url } = await serve(() => {});
    const pool = poolOf(url);
    const server = createServer((socket) =>
      socket.on("data", (chunk) => {
        bytes += chunk.length;
        if (bytes > 1_000_000) socket.write(whole("ok"));
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => server.close());
    const other = poolOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.equal((await ask(other, { method: "POST", body: Buffer.alloc(1_000_000) })).body, "ok");
    assert.equal(pool.connectionCount, 0);
  });
});

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) await systemClock.sleep(10);
  assert.ok(isSo());
}
