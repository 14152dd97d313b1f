import assert from "node:assert/strict";
import type { AddressInfo, Socket } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { PassThrough } from "node:stream";
import { after, describe, test } from "node:test";
import { createManualClock, error, systemClock } from "../base/index.ts";
import { ask, createBench, requestOf, textOf } from "./upstream.fixture.ts";

const bench = createBench();
const servers: { close(): unknown }[] = [];
after(async () => {
  await bench.close();
  for (const server of servers) server.close();
});

/** A target that answers with bytes. */
async function raw(answer: (socket: Socket) => void): Promise<string> {
  const server = createTcpServer((socket) => socket.on("error", () => {}).once("data", () => answer(socket)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const once = { retry: false, breaker: false } as const;

describe("a target that does not answer well", () => {
  const broken: readonly (readonly [string, (socket: Socket) => void])[] = [
    ["closes", (socket) => socket.end()],
    ["resets", (socket) => socket.resetAndDestroy()],
    ["says no HTTP", (socket) => socket.end("SSH-2.0-x\r\n")],
    [
      "sends two lengths",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    ],
    [
      "sends length and chunks",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ],
    ["sends a bare header", (socket) => socket.end("HTTP/1.1 200 OK\r\nx\r\n\r\n")],
    ["has too large headers", (socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)],
    [
      "changes a protocol nobody asked it to",
      (socket) => socket.write("HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    ],
  ];
  for (const [what, answer] of broken) {
    test(`and ${what} is 502`, async () => {
      const upstream = bench.upstream({ targets: [await raw(answer)], ...once });
      const failing = upstream.forward(requestOf({ method: "POST" }));
      await assert.rejects(failing, { status: 502, reason: "UPSTREAM_BROKEN", executed: "maybe" });
      assert.equal(await upstream.value("plinth_upstream_attempts_total", { outcome: "broken" }), 1);
      await upstream.drain();
    });
  }

  test("within the deadline is 504, within the time for one try as well", async () => {
    const target = await bench.target(() => {});
    const upstream = bench.upstream({ targets: [target.url], ...once });
    const late = { status: 504, reason: "UPSTREAM_TIMEOUT", executed: "maybe" };
    await assert.rejects(upstream.forward(requestOf({ remainingMs: 300 })), late);
    await assert.rejects(upstream.forward(requestOf({ remainingMs: 0 })), { ...late, executed: "no" });
    const hasty = bench.upstream({
      targets: [target.url],
      breaker: false,
      retry: { attempts: 1, tryTimeout: "300ms" },
    });
    await assert.rejects(hasty.forward(requestOf()), late);
    assert.equal(await hasty.value("plinth_upstream_attempts_total", { outcome: "timeout" }), 1);
    await Promise.all([upstream.drain(), hasty.drain()]);
  });

  test("to the attempt to connect in time is 504", async () => {
    // TLS to somebody who says nothing.
    const url = (await raw(() => {})).replace("http", "https");
    const upstream = bench.upstream({ targets: [url], ...once, limits: { connect: "50ms" } });
    await assert.rejects(upstream.forward(requestOf()), { status: 504, reason: "UPSTREAM_CONNECT_TIMEOUT" });
  });

  test("and may not be called at all is 502: metadata of a cloud is no target", async () => {
    const upstream = bench.upstream({ targets: ["http://169.254.169.254"], ...once });
    await assert.rejects(upstream.forward(requestOf()), { status: 502, reason: "UPSTREAM_UNREACHABLE" });
    const inner = bench.upstream(
      { targets: ["http://inner.example"], ...once },
      { resolve: async () => ["169.254.169.254"] },
    );
    await inner.start();
    await assert.rejects(inner.forward(requestOf()), { status: 502, reason: "UPSTREAM_UNREACHABLE" });
  });

  test("to the end breaks the answer off", async () => {
    const url = await raw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
      systemClock.after(30, () => socket.destroy());
    });
    const upstream = bench.upstream({ targets: [url], ...once });
    const { body } = await upstream.forward(requestOf());
    await assert.rejects(textOf(body), { reason: "UPSTREAM_BROKEN" });
    await upstream.drain();
  });

  test("and breaks off at once is found broken by who takes the body later", async () => {
    const url = await raw((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
    const { body } = await bench.upstream({ targets: [url], ...once }).forward(requestOf());
    await systemClock.sleep(50);
    await assert.rejects(textOf(body), { reason: "UPSTREAM_BROKEN" });
  });

  test("and stands still within its answer is cut", async () => {
    const target = await bench.target((_, res) => res.write("half"));
    const upstream = bench.upstream({ targets: [target.url], ...once, limits: { stalled: "20ms" } });
    const { body } = await upstream.forward(requestOf());
    await assert.rejects(textOf(body), { status: 504, reason: "UPSTREAM_STALLED" });
    await upstream.drain();
  });

  test("with a body over the limit is 502, or broken off when that shows too late", async () => {
    const target = await bench.target((req, res) => {
      if (req.url === "/told") res.writeHead(200, { "content-length": "2000" });
      res.write("x".repeat(900));
      systemClock.after(20, () => res.end("x".repeat(1100)));
    });
    const upstream = bench.upstream({ targets: [target.url], ...once, limits: { answerBody: 1000 } });
    const tooLarge = { status: 502, reason: "UPSTREAM_ANSWER_TOO_LARGE" };
    await assert.rejects(upstream.forward(requestOf({ path: "/told" })), tooLarge);
    const { body } = await upstream.forward(requestOf());
    await assert.rejects(textOf(body), tooLarge);
    await upstream.drain();
  });
});

describe("a request that goes to no target", () => {
  test("is 503 when none is known, with a time to come back", async () => {
    const upstream = bench.upstream(
      { targets: ["http://nowhere.example"] },
      { resolve: () => Promise.reject(new Error("no")) },
    );
    await upstream.start();
    await assert.rejects(upstream.forward(requestOf()), {
      status: 503,
      reason: "UPSTREAM_UNAVAILABLE",
      retry: 1000,
      executed: "no",
    });
    assert.deepEqual(
      upstream.states().map(({ target, state }) => [target, state]),
      [["http://nowhere.example", "unhealthy"]],
    );
  });

  test("is 503 when too many are under way, with all or with each target", async () => {
    const target = await bench.target((_, res) => systemClock.after(60, () => res.end()));
    for (const [limits, reason] of [
      [{ requests: 2 }, "UPSTREAM_BUSY"],
      [{ requestsPerTarget: 2 }, "UPSTREAM_UNAVAILABLE"],
    ] as const) {
      const upstream = bench.upstream({ targets: [target.url], limits });
      const running = [ask(upstream), ask(upstream)];
      await assert.rejects(upstream.forward(requestOf()), { status: 503, reason });
      await Promise.all(running);
      await ask(upstream);
    }
  });

  test("is 508 when it goes round in a circle", async () => {
    const upstream = bench.upstream({ targets: ["http://127.0.0.1:1"] });
    const headers = ["via", Array.from({ length: 10 }, () => "1.1 plinth").join(", ")];
    await assert.rejects(upstream.forward(requestOf({ headers })), { status: 508, reason: "UPSTREAM_LOOP" });
    assert.equal(await upstream.value("plinth_upstream_refusals_total", { reason: "UPSTREAM_LOOP" }), 1);
  });

  test("is 503 while this process leaves, and those under way end first", async () => {
    const target = await bench.target((_, res) => systemClock.after(60, () => res.end("done")));
    const upstream = bench.upstream({ targets: [target.url] });
    const running = ask(upstream);
    const drained = upstream.drain();
    await assert.rejects(upstream.forward(requestOf()), { status: 503, reason: "UPSTREAM_UNAVAILABLE" });
    await drained;
    assert.equal((await running).text, "done");
  });

  test("ends when the upstream is closed under it", async () => {
    const target = await bench.target(() => {});
    const upstream = bench.upstream({ targets: [target.url], ...once });
    const failing = assert.rejects(upstream.forward(requestOf()), { status: 503 });
    await systemClock.sleep(50);
    await upstream.close();
    await failing;
  });
});

describe("a client that goes away", () => {
  const gone = error("cancelled", "Gone.", { reason: "CLIENT_GONE" });

  test("before the answer ends the request at the target", async () => {
    let isCut = false;
    const target = await bench.target((req) =>
      req.once("close", () => {
        isCut = true;
      }),
    );
    const upstream = bench.upstream({ targets: [target.url] });
    const request = requestOf();
    const failing = assert.rejects(upstream.forward(request), { reason: "CLIENT_GONE" });
    while (target.count === 0) await systemClock.sleep(2);
    request.cancel(gone);
    await failing;
    while (!isCut) await systemClock.sleep(2);
    await upstream.drain();
    assert.equal(upstream.states()[0]?.inFlight, 0);
  });

  test("within the answer ends it as well, by the request or by the body", async () => {
    let cut = 0;
    const target = await bench.target((req, res) => {
      res.write("x");
      req.once("close", () => cut++);
    });
    const upstream = bench.upstream({ targets: [target.url] });
    const request = requestOf();
    const first = await upstream.forward(request);
    request.cancel(gone);
    await assert.rejects(textOf(first.body), { reason: "CLIENT_GONE" });
    const second = await upstream.forward(requestOf());
    second.body?.destroy();
    while (cut < 2) await systemClock.sleep(2);
    await upstream.drain();
  });

  test("already sends nothing, and leaves no listener behind when it stays", async () => {
    const target = await bench.target((_, res) => res.end("ok"));
    const upstream = bench.upstream({ targets: [target.url] });
    const over = requestOf({
      onCancel(listener) {
        listener(gone);
        return () => {};
      },
    });
    await assert.rejects(upstream.forward(over), { reason: "CLIENT_GONE" });
    assert.equal(target.count, 0);
    const request = requestOf();
    await textOf((await upstream.forward(request)).body);
    assert.equal(request.listeners.size, 0);
    await upstream.drain();
  });
});

describe("the circuit breaker", () => {
  test("opens when most requests fail, says so, and closes with the first that succeeds", async () => {
    const clock = createManualClock();
    const timed = createBench(clock);
    let status = 500;
    const target = await timed.target((_, res) => res.writeHead(status).end());
    const upstream = timed.upstream({
      targets: [target.url],
      outliers: false,
      retry: false,
      breaker: { callsMin: 10, openFor: "80ms" },
    });
    for (let i = 0; i < 10; i++) assert.equal((await ask(upstream, { clock })).status, 500);
    await assert.rejects(upstream.forward(requestOf({ clock })), { reason: "CIRCUIT_OPEN", executed: "no" });
    assert.equal(await upstream.value("plinth_upstream_breaker", { state: "open" }), 1);
    assert.equal(await upstream.value("plinth_upstream_refusals_total", { reason: "CIRCUIT_OPEN" }), 1);
    assert.equal(target.count, 10);
    status = 200;
    await clock.advance(90);
    assert.equal((await ask(upstream, { clock })).status, 200);
    assert.equal(await upstream.value("plinth_upstream_breaker", { state: "closed" }), 1);
    assert.match(upstream.said.join(), /circuit changed.*"open".*"half-open".*"closed"/);
    await timed.close();
  });

  test("counts no refusals of ours, and no answers of 4xx and 501", async () => {
    const target = await bench.target((req, res) => res.writeHead(Number(req.url?.slice(1))).end());
    const upstream = bench.upstream({ targets: [target.url], breaker: { callsMin: 5 }, outliers: false });
    for (const status of [400, 404, 429, 501, 501, 501, 501, 401]) await ask(upstream, { path: `/${status}` });
    assert.equal((await ask(upstream, { path: "/200" })).status, 200);
  });

  test("counts no request that went to no target, since none is known or all are full", async () => {
    const target = await bench.target((_, res) => systemClock.after(60, () => res.end()));
    const breaker = { callsMin: 5 } as const;
    const full = bench.upstream({ targets: [target.url], breaker, limits: { requestsPerTarget: 1 } });
    const unknown = bench.upstream({ targets: ["http://nowhere.example"], breaker }, { resolve: async () => [] });
    const running = ask(full);
    for (let i = 0; i < 8; i++) {
      await assert.rejects(full.forward(requestOf()), { status: 503, reason: "UPSTREAM_UNAVAILABLE" });
      await assert.rejects(unknown.forward(requestOf()), { status: 503, reason: "UPSTREAM_UNAVAILABLE" });
    }
    await running;
    assert.equal((await ask(full)).status, 200);
  });

  test("counts no body that broke off at the client, before an answer or within it", async () => {
    const target = await bench.target((req, res) => {
      req.on("error", () => {}).resume();
      if (req.url === "/early") res.write("x");
      else req.once("end", () => res.end("ok"));
    });
    const upstream = bench.upstream({ targets: [target.url], breaker: { callsMin: 5 }, outliers: {} });
    for (let i = 0; i < 8; i++) {
      const body = new PassThrough();
      body.write("some");
      const count = target.count;
      const failing = upstream.forward(requestOf({ method: "POST", body }));
      const rejected = assert.rejects(failing, { code: "cancelled", reason: "REQUEST_BODY_BROKEN" });
      while (target.count === count) await systemClock.sleep(2);
      body.destroy();
      await rejected;
      const other = new PassThrough();
      other.write("some");
      const early = await upstream.forward(requestOf({ method: "POST", path: "/early", body: other }));
      other.destroy();
      await assert.rejects(textOf(early.body), { code: "cancelled", reason: "REQUEST_BODY_BROKEN" });
    }
    assert.equal(upstream.states()[0]?.state, "available");
    assert.equal((await ask(upstream)).text, "ok");
    assert.equal(upstream.states()[0]?.inFlight, 0);
  });
});
