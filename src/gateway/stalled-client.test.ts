import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, describe, test } from "node:test";
import { systemClock } from "../base/index.ts";
import { raw } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import { request, testGateway } from "./testing.ts";

const running: Gateway[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const gateway of running.splice(0)) await gateway.stop();
});

const large = Buffer.alloc(16 * 1024 * 1024, "x");

async function open(): Promise<{ readonly gateway: Gateway; readonly port: number }> {
  const gateway = testGateway(
    {
      large: { method: raw({ http: "GET /large", access: "public" }), handle: () => ({ body: large }) },
      slow: {
        method: raw({ http: "GET /slow", access: "public" }),
        handle: async () => {
          await systemClock.sleep(500);
          return { body: large };
        },
      },
    },
    { limits: { stalledClient: "300ms", timeoutCheck: "20ms" } },
  );
  running.push(gateway);
  return { gateway, port: (await gateway.start()).port };
}

/** A client that reads nothing of what it asks for, unless told to. */
async function client(port: number, path = "/large") {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  socket.pause();
  socket.write(request(`GET ${path}`));
  return socket;
}

async function isLetGo(gateway: Gateway, withinMs: number, meanwhile: () => void = () => {}): Promise<boolean> {
  const until = systemClock.now() + withinMs;
  while (gateway.stats.connections === 0) await systemClock.sleep(5);
  while (gateway.stats.connections > 0 && systemClock.now() < until) {
    meanwhile();
    await systemClock.sleep(20);
  }
  return gateway.stats.connections === 0;
}

describe("a client that takes nothing of its answer", () => {
  test("loses the connection", async () => {
    const { gateway, port } = await open();
    await client(port);
    assert.equal(await isLetGo(gateway, 5000), true);
  });

  test("is not kept by what it says meanwhile", async () => {
    const { gateway, port } = await open();
    const socket = await client(port);
    const talks = () => void socket.write("\r\n");
    assert.equal(await isLetGo(gateway, 5000, talks), true);
  });

  test("is kept while it takes something now and then, and gets all of it", async () => {
    const { gateway, port } = await open();
    const socket = await client(port);
    const bytes = counted(socket);
    // Slower than the limit as a whole: what counts is that it goes on.
    for (let i = 0; i < 6; i++) {
      socket.pause();
      await systemClock.sleep(100);
      socket.resume();
      await systemClock.sleep(1);
    }
    assert.equal(gateway.stats.connections, 1);
    assert.equal(await hasAll(bytes), true);
  });

  test("has all the time of the handler before there is an answer", async () => {
    const { port } = await open();
    const socket = await client(port, "/slow");
    const bytes = counted(socket);
    socket.resume();
    assert.equal(await hasAll(bytes), true);
  });
});

function counted(socket: Socket): { count: number } {
  const bytes = { count: 0 };
  socket.on("data", (chunk: Buffer) => {
    bytes.count += chunk.length;
  });
  return bytes;
}

async function hasAll(bytes: { readonly count: number }): Promise<boolean> {
  const until = systemClock.now() + 5000;
  while (bytes.count < large.length && systemClock.now() < until) await systemClock.sleep(10);
  return bytes.count >= large.length;
}
