import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { PassThrough, Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { systemClock } from "../base/index.ts";
import { HttpError } from "../wire/index.ts";
import { ask, createBench, requestOf, textOf } from "./upstream.fixture.ts";

const bench = createBench();
after(() => bench.close());

const piece = Buffer.alloc(65_536, "x");

/** Until a count has not moved for a while. */
async function settled(count: () => number): Promise<void> {
  let before = -1;
  while (before !== count()) {
    before = count();
    await systemClock.sleep(60);
  }
}

describe("an answer's body", () => {
  test("holds the target back while nobody reads, and comes whole", async () => {
    let made = 0;
    const target = await bench.target((_, res) => {
      const pieces = function* () {
        for (made = 0; made < 500; made++) yield piece;
      };
      Readable.from(pieces()).pipe(res);
    });
    const { body } = await bench.upstream({ targets: [target.url] }).forward(requestOf());
    await settled(() => made);
    assert.ok(made < 300, `${made} of 500 pieces were taken for a reader that stands still`);
    let bytes = 0;
    for await (const chunk of body as Readable) bytes += chunk.length;
    assert.equal(bytes, 500 * piece.length);
  });

  test("comes piece by piece, as server-sent events do", async () => {
    const target = await bench.target((_, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      let count = 0;
      const stop = systemClock.every(15, () => {
        res.write(`data: ${++count}\n\n`);
        if (count === 4) {
          stop();
          res.end();
        }
      });
    });
    const { body } = await bench.upstream({ targets: [target.url] }).forward(requestOf());
    const chunks: string[] = [];
    for await (const chunk of body as Readable) chunks.push(`${chunk}`);
    assert.deepEqual(chunks, ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n", "data: 4\n\n"]);
  });
});

describe("a request's body", () => {
  test("is held back by the target, and arrives whole, with its length or in chunks", async () => {
    const waiting: IncomingMessage[] = [];
    const target = await bench.target((req, res) => {
      waiting.push(req);
      let bytes = 0;
      req.on("data", (chunk) => {
        bytes += chunk.length;
      });
      req.once("end", () => res.end(`${req.headers["content-length"]} ${bytes}`));
      req.pause();
    });
    const upstream = bench.upstream({ targets: [target.url] });
    for (const [headers, says] of [
      [["content-length", `${300 * piece.length}`], `${300 * piece.length} ${300 * piece.length}`],
      [[], `undefined ${300 * piece.length}`],
    ] as const) {
      let made = 0;
      const pieces = function* () {
        for (made = 0; made < 300; made++) yield piece;
      };
      const asked = ask(upstream, { method: "POST", headers, body: Readable.from(pieces()) });
      await settled(() => made);
      assert.ok(made < 200, `${made} of 300 pieces were taken for a target that stands still`);
      waiting.pop()?.resume();
      assert.equal((await asked).text, says);
    }
    await upstream.drain();
  });

  test("that breaks off breaks the request off, with its own reason", async () => {
    let isCut = false;
    const target = await bench.target((req) => {
      req.resume();
      req
        .once("error", () => {})
        .once("close", () => {
          isCut = true;
        });
    });
    const upstream = bench.upstream({ targets: [target.url] });
    const body = new PassThrough();
    body.write("some");
    const tooLarge = new HttpError(413, "invalid_argument", "Too large.", { reason: "BODY_TOO_LARGE" });
    const failing = assert.rejects(upstream.forward(requestOf({ method: "PUT", body })), { status: 413 });
    while (target.count === 0) await systemClock.sleep(2);
    body.destroy(tooLarge);
    await failing;
    while (!isCut) await systemClock.sleep(2);
    await upstream.drain();
    assert.equal(upstream.states()[0]?.state, "available");
    assert.equal(await upstream.value("plinth_upstream_attempts_total", { outcome: "cancelled" }), 1);
  });

  test("that was broken off before, or has ended, is no riddle", async () => {
    const target = await bench.target((req, res) => req.resume().once("end", () => res.end("ok")));
    const upstream = bench.upstream({ targets: [target.url], retry: false });
    const gone = new PassThrough();
    gone.destroy();
    await assert.rejects(upstream.forward(requestOf({ method: "POST", body: gone })), { code: "cancelled" });
    const ended = Readable.from([]);
    await textOf(ended);
    assert.equal((await ask(upstream, { method: "POST", body: ended })).text, "ok");
  });

  test("is left alone, not destroyed, when the target answers before its end", async () => {
    const target = await bench.target((_, res) => res.writeHead(403, { connection: "close" }).end("no"));
    const upstream = bench.upstream({ targets: [target.url] });
    const body = new PassThrough();
    body.write(piece);
    const { status, text } = await ask(upstream, { method: "POST", body });
    assert.deepEqual([status, text], [403, "no"]);
    await upstream.drain();
    assert.equal(body.destroyed, false);
    assert.equal(body.listenerCount("data") + body.listenerCount("end"), 0);
  });

  test("is left alone when the target breaks off", async () => {
    const target = await bench.target((req) => req.once("data", () => req.socket.destroy()));
    const upstream = bench.upstream({ targets: [target.url] });
    const body = new PassThrough();
    body.write(piece);
    await assert.rejects(upstream.forward(requestOf({ method: "POST", body })), { reason: "UPSTREAM_BROKEN" });
    assert.equal(body.destroyed, false);
  });
});
