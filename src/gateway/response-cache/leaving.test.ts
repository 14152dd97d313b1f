import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { ask, request } from "../testing.ts";
import { keeping } from "./response-cache.fixture.ts";

/** Asks, and leaves as soon as something has come. */
async function leaveHalfWay(port: number, path: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  return socket.destroy();
}

test("a client that leaves an answer too large to be kept ends the exchange with the outside system", async (t) => {
  let closed = 0;
  const { port } = await keeping(
    t,
    (req, res) => {
      res.on("close", () => closed++);
      res.writeHead(200, { "cache-control": "max-age=60" });
      // The first goes silent in the middle, the second does not end.
      if (req.url === "/silent") res.write(Buffer.alloc(200_000));
      else {
        const more = (): void => {
          while (!res.destroyed && res.write(Buffer.alloc(65_536)));
        };
        res.on("drain", more);
        more();
      }
    },
    { bodyLimit: "100kb" },
  );
  await leaveHalfWay(port, "/silent");
  await leaveHalfWay(port, "/endless");
  for (let i = 0; i < 50 && closed < 2; i++) await systemClock.sleep(20);
  assert.equal(closed, 2);
});

test("what is fetched in the background and cannot be kept is left, and not asked for again for a while", async (t) => {
  let closed = 0;
  const { asked, clock, get } = await keeping(
    t,
    (_req, res, count) => {
      if (count === 1) {
        res.writeHead(200, { "cache-control": "max-age=10" }).end("good");
        return;
      }
      res.on("close", () => closed++);
      res.writeHead(500).end(Buffer.alloc(10_000_000));
    },
    { staleWhileRevalidate: "1h" },
  );
  await get();
  clock.advance(11_000);
  for (let i = 0; i < 5; i++) assert.equal((await get()).body, "good");
  for (let i = 0; i < 50 && closed < 1; i++) await systemClock.sleep(20);
  for (let i = 0; i < 5; i++) assert.equal((await get()).body, "good");
  assert.deepEqual([asked.length, closed], [2, 1]);
  clock.advance(11_000);
  await get();
  await systemClock.sleep(50);
  assert.equal(asked.length, 3);
});

test("what an unsafe request removes is not kept when it comes later; of other addresses it is", async (t) => {
  const waiting: (() => void)[] = [];
  const { asked, get, port } = await keeping(t, (req, res, count) => {
    const send = (): void => void res.writeHead(200, { "cache-control": "max-age=60" }).end(`answer ${count}`);
    if (count <= 2) waiting.push(send);
    else send();
    req.resume();
  });
  const answers = [get("/a"), get("/other")];
  for (let i = 0; i < 50 && waiting.length < 2; i++) await systemClock.sleep(10);
  await ask(port, request("DELETE /a"));
  for (const send of waiting) send();
  await Promise.all(answers);
  assert.equal((await get("/other")).headers["cache-status"], "plinth; hit; ttl=60");
  assert.equal((await get("/a")).body, "answer 4");
  assert.equal(asked.length, 4);
});
