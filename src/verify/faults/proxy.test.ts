import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { afterEach, describe, test } from "node:test";
import { isError, StartError, systemClock } from "../../base/index.ts";
import type { FaultProxy, FaultProxyOptions } from "./proxy.ts";
import { createFaultProxy } from "./proxy.ts";
import { spawnFaultProxy } from "./spawn.ts";

/** Answers what it gets; writes down how each connection ended. */
const ends: string[] = [];
const accepted: Socket[] = [];
const echo = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  accepted.push(socket);
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  socket.on("end", () => {
    ends.push("end");
    socket.end();
  });
  socket.on("error", (thrown: NodeJS.ErrnoException) => void ends.push(thrown.code ?? ""));
});
await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
const target = { host: "127.0.0.1", port: (echo.address() as AddressInfo).port };
echo.unref();

let proxy: FaultProxy;
const clients: Client[] = [];
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await proxy.close();
  await until(() => accepted.every(({ closed }) => closed));
  ends.length = 0;
});

const start = async (options: Partial<FaultProxyOptions> = {}): Promise<FaultProxy> => {
  proxy = await createFaultProxy({ target, ...options });
  return proxy;
};

interface Client {
  readonly socket: Socket;
  readonly chunks: Buffer[];
  text(): string;
  /** "end", or the code of an error. */
  over(): string | undefined;
}

async function client(): Promise<Client> {
  const socket = connect({ port: proxy.port, host: "127.0.0.1", noDelay: true });
  const chunks: Buffer[] = [];
  let over: string | undefined;
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  socket.on("error", (thrown: NodeJS.ErrnoException) => {
    over = thrown.code;
  });
  socket.on("end", () => {
    over ??= "end";
  });
  const made = { socket, chunks, text: () => Buffer.concat(chunks).toString(), over: () => over };
  clients.push(made);
  await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {});
  return made;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endAt = systemClock.now() + 5000;
  while (!(await holds())) {
    assert.ok(systemClock.now() < endAt, "waited in vain");
    await systemClock.sleep(2);
  }
}

const settle = () => systemClock.sleep(60);

describe("a fault proxy without faults", () => {
  test("passes bytes and ends on, both ways, and counts them", async () => {
    await start();
    const one = await client();
    one.socket.end("hello");
    await until(() => one.over() === "end");
    assert.equal(one.text(), "hello");
    assert.deepEqual(ends, ["end"]);
    const { up, down, connections, affectedConnections } = await proxy.counts();
    assert.deepEqual([up.bytes, down.bytes, connections, affectedConnections], [5, 5, 1, 0]);
    await until(async () => (await proxy.counts()).openConnections === 0);
  });

  test("makes a sender wait for a reader that does not read, within its bound", async () => {
    await start();
    const one = await client();
    one.socket.pause();
    const block = Buffer.alloc(1024 * 1024, "x");
    for (let i = 0; i < 40; i++) one.socket.write(block);
    await settle();
    await settle();
    const { up } = await proxy.counts();
    assert.ok(up.bytes < 39 * block.length, `${up.bytes} bytes went through`);
    one.socket.resume();
    await until(() => one.chunks.reduce((sum, { length }) => sum + length, 0) === 40 * block.length);
  });

  test("passes a reset on as a reset, and says when the target takes nobody", async () => {
    await start();
    const one = await client();
    one.socket.write("a");
    await until(() => one.text() === "a");
    one.socket.resetAndDestroy();
    await until(() => ends.includes("ECONNRESET"));
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    await proxy.retarget({ host: "127.0.0.1", port });
    const two = await client();
    await until(() => two.over() !== undefined);
    assert.equal((await proxy.counts()).targetFailures, 1);
  });
});

describe("byte faults", () => {
  test("latency and jitter delay every byte and keep their order", async () => {
    await start();
    await proxy.set({ up: { latencyMs: 40, jitterMs: 40 } });
    const one = await client();
    const startedAt = systemClock.now();
    for (let i = 0; i < 50; i++) {
      one.socket.write(`${i},`);
      if (i % 10 === 0) await systemClock.sleep(3);
    }
    const expected = Array.from({ length: 50 }, (_, i) => `${i},`).join("");
    await until(() => one.text().length === expected.length);
    assert.equal(one.text(), expected);
    assert.ok(systemClock.now() - startedAt >= 39);
    const { up, down, affectedConnections } = await proxy.counts();
    assert.deepEqual([up.delayedBytes, down.delayedBytes, affectedConnections], [expected.length, 0, 1]);
  });

  test("bandwidth bounds what passes in a second", async () => {
    await start();
    await proxy.set({ down: { bytesPerSecond: 10_000 } });
    const one = await client();
    const startedAt = systemClock.now();
    one.socket.write(Buffer.alloc(3000, "x"));
    await until(() => one.text().length === 3000);
    const tookMs = systemClock.now() - startedAt;
    assert.ok(tookMs >= 240, `3,000 bytes at 10,000 a second took ${tookMs} ms`);
    assert.equal((await proxy.counts()).down.throttledBytes, 3000);
  });

  test("slices arrive one by one", async () => {
    await start();
    await proxy.set({ down: { sliceBytes: 2 } });
    const one = await client();
    one.socket.write("abcdefgh");
    await until(() => one.text() === "abcdefgh");
    assert.equal((await proxy.counts()).down.slices, 4);
    assert.ok(one.chunks.length > 1);
  });

  for (const direction of ["up", "down"] as const) {
    test(`a black hole ${direction} lets nothing through, and loses nothing once it is closed`, async () => {
      await start();
      const one = await client();
      one.socket.write("a");
      await until(() => one.text() === "a");
      await proxy.set({ [direction]: { blackHole: true } });
      one.socket.write("b");
      await settle();
      assert.equal(one.text(), "a");
      assert.equal((await proxy.counts())[direction].heldBytes, 1);
      await proxy.clear();
      await until(() => one.text() === "ab");
      assert.equal((await proxy.counts()).affectedConnections, 1);
    });
  }

  test("a black hole hides the end of a connection too", async () => {
    await start();
    const one = await client();
    one.socket.write("a");
    await until(() => one.text() === "a");
    await proxy.set({ up: { blackHole: true } });
    one.socket.end();
    await settle();
    assert.deepEqual(ends, []);
    await proxy.clear();
    await until(() => ends.length === 1);
  });

  test("a cut after so many bytes delivers exactly these, then the end", async () => {
    await start();
    await proxy.set({ down: { cutAfterBytes: 3 } });
    const one = await client();
    one.socket.write("abcdef");
    await until(() => one.over() !== undefined);
    assert.deepEqual([one.text(), one.over()], ["abc", "end"]);
    await until(() => ends.length > 0);
    assert.deepEqual(ends, ["ECONNRESET"]);
    const { cuts, down } = await proxy.counts();
    assert.deepEqual([cuts, down.bytes, down.droppedBytes], [1, 3, 3]);
  });

  test("reset ends both sides at once", async () => {
    await start();
    const one = await client();
    one.socket.write("a");
    await until(() => one.text() === "a");
    assert.equal(await proxy.reset(), 1);
    await until(() => one.over() !== undefined && ends.length > 0);
    assert.deepEqual([one.over(), ends], ["ECONNRESET", ["ECONNRESET"]]);
    assert.equal((await proxy.counts()).resets, 1);
  });

  test("half open: one side is gone, the other hears nothing of it", async () => {
    await start();
    const one = await client();
    one.socket.write("a");
    await until(() => one.text() === "a");
    assert.equal(await proxy.halfOpen(), 1);
    await until(() => ends.length > 0);
    one.socket.write("b");
    await settle();
    assert.deepEqual([one.text(), one.over()], ["a", undefined]);
    const { halfOpened, up } = await proxy.counts();
    assert.deepEqual([halfOpened, up.droppedBytes], [1, 1]);
    const two = await client();
    two.socket.write("c");
    await until(() => two.text() === "c");
    await proxy.halfOpen("target");
    await until(() => two.over() !== undefined);
    assert.equal(ends.length, 1, "the target heard nothing of the second");
    one.socket.end();
    await until(async () => (await proxy.counts()).openConnections <= 1);
  });

  test("a slow close passes the end on later", async () => {
    await start();
    await proxy.set({ slowCloseMs: 80 });
    const one = await client();
    one.socket.end("a");
    await systemClock.sleep(30);
    assert.deepEqual(ends, []);
    await until(() => one.over() === "end");
    assert.equal((await proxy.counts()).slowCloses, 2);
  });

  test("refuses by a reset that is counted, or by not being there", async () => {
    await start({ connectionsMax: 1 });
    await proxy.set({ refuse: "reset" });
    const one = await client();
    await until(() => one.over() !== undefined || one.socket.closed);
    assert.equal((await proxy.counts()).refusals, 1);
    await proxy.set({ refuse: "closed" });
    const two = await client();
    assert.equal(two.over(), "ECONNREFUSED");
    await proxy.clear();
    const three = await client();
    three.socket.write("a");
    await until(() => three.text() === "a");
    const four = await client();
    await until(() => four.over() !== undefined || four.socket.closed);
    assert.equal((await proxy.counts()).refusals, 2, "beyond its limit it refuses too");
  });

  test("faults are for new connections, for those that there are, or for all", async () => {
    await start();
    const old = await client();
    old.socket.write("a");
    await until(() => old.text() === "a");
    await proxy.set({ up: { blackHole: true } }, "new");
    const fresh = await client();
    fresh.socket.write("b");
    old.socket.write("b");
    await until(() => old.text() === "ab");
    await settle();
    assert.equal(fresh.text(), "");
    await proxy.set({}, "existing");
    await until(() => fresh.text() === "b");
    const later = await client();
    later.socket.write("c");
    await settle();
    assert.equal(later.text(), "");
  });

  test("refuses a fault that is none, with its name and range", async () => {
    await start();
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ up: { latencyMs: -1 } }, /up\.latencyMs: it must be a number from 0 to 600000, not -1/],
      [{ down: { delay: 1 } }, /down\.delay: there is no such fault/],
      [{ up: { blackHole: 1 } }, /true or false/],
      [{ refuse: "maybe" }, /"reset" or "closed"/],
      [{ slowCloseMs: "x" }, /slowCloseMs/],
      [{ sideways: {} }, /sideways: there is no such fault/],
    ];
    for (const [faults, pattern] of wrong) {
      await assert.rejects(proxy.set(faults), (thrown) => thrown instanceof StartError && pattern.test(thrown.message));
    }
    const rules: [object, RegExp][] = [[{ name: "a", match: "x", action: "cut-reply" }, /reads no protocol/]];
    for (const [rule, pattern] of rules) {
      await assert.rejects(
        proxy.plan(rule as never),
        (thrown) => thrown instanceof StartError && pattern.test(thrown.message),
      );
    }
    await assert.rejects(createFaultProxy({ target, port: proxy.port }), /cannot listen/);
  });
});

describe("a fault proxy in a process of its own", () => {
  test("does the same over its channel, and ends with close", async () => {
    const spawned = await spawnFaultProxy({ target });
    proxy = spawned;
    assert.notEqual(spawned.pid, process.pid);
    await proxy.set({ down: { cutAfterBytes: 2 } });
    const one = await client();
    one.socket.write("abc");
    await until(() => one.over() === "end");
    assert.equal(one.text(), "ab");
    assert.equal((await proxy.counts()).cuts, 1);
    assert.deepEqual(await proxy.hits(), []);
    assert.equal(proxy.address("redis://u:p@host:1/0"), `redis://u:p@127.0.0.1:${proxy.port}/0`);
    await assert.rejects(proxy.set({ up: { latencyMs: -1 } }), (thrown) => thrown instanceof StartError);
    await proxy.clear();
    assert.equal(typeof (await proxy.halfOpen()), "number");
    assert.equal(typeof (await proxy.reset()), "number");
    await proxy.retarget(target);
    await assert.rejects(proxy.plan({ name: "a", match: "x", action: "cut-reply" }), /reads no protocol/);
    await assert.rejects(spawnFaultProxy({ target, port: proxy.port }), /cannot listen/);
    await proxy.close();
    await assert.rejects(proxy.counts(), (thrown) => isError(thrown, "FAULT_PROXY_GONE"));
  });
});
