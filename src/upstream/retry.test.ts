import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { createManualClock, createSeededRandom, error, systemClock } from "../base/index.ts";
import type { Target } from "./upstream.fixture.ts";
import { ask, createBench, requestOf } from "./upstream.fixture.ts";
import type { UpstreamOptions } from "./upstream-options.ts";

const bench = createBench();
after(() => bench.close());

const nobody = "http://127.0.0.1:1";
const still = { outliers: false, breaker: false, slowStart: 0, balance: "round-robin" } as const;

/** One that answers 503, or breaks off, and one that works. */
async function pair(sick: (target: Target) => void | Promise<void> = () => {}): Promise<readonly [Target, Target]> {
  const first = await bench.target((_, res) => res.writeHead(503).end("sick"));
  await sick(first);
  return [
    first,
    await bench.target(async (req, res) => {
      let body = "";
      for await (const chunk of req) body += chunk;
      res.end(`ok ${body}`);
    }),
  ];
}

const breaksOff = (target: Target): void => {
  target.server.removeAllListeners("request").on("request", (req) => req.socket.destroy());
};

function of(targets: readonly (string | Target)[], options: Partial<UpstreamOptions> = {}) {
  const urls = targets.map((each) => (typeof each === "string" ? each : each.url));
  return bench.upstream({ targets: urls, ...still, ...options });
}

/** Statuses of many requests, failures as their reasons. */
async function outcomes(upstream: ReturnType<typeof of>, count: number, fields: () => Parameters<typeof requestOf>[0]) {
  const found: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const outcome = await ask(upstream, fields()).then(
      ({ status }) => `${status}`,
      (thrown) => thrown.reason,
    );
    found[outcome] = (found[outcome] ?? 0) + 1;
  }
  return found;
}

describe("another try is made", () => {
  const lots = { retry: { budget: 1 } };

  test("for methods that may be repeated, upon 503 and upon a connection that broke", async () => {
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      assert.deepEqual(await outcomes(of(await pair(), lots), 6, () => ({ method })), { 200: 6 }, method);
      assert.deepEqual(await outcomes(of(await pair(breaksOff), lots), 6, () => ({ method })), { 200: 6 }, method);
    }
  });

  test("for no other, unless the route says that it may be", async () => {
    for (const method of ["POST", "PATCH"]) {
      assert.deepEqual(await outcomes(of(await pair(), lots), 6, () => ({ method })), { 200: 3, 503: 3 });
      const broken = await outcomes(of(await pair(breaksOff), lots), 6, () => ({ method }));
      assert.deepEqual(broken, { 200: 3, UPSTREAM_BROKEN: 3 });
      const declared = () => ({ method, isIdempotent: true });
      assert.deepEqual(await outcomes(of(await pair(), lots), 6, declared), { 200: 6 });
    }
    const never = () => ({ method: "GET", isIdempotent: false });
    assert.deepEqual(await outcomes(of(await pair(), lots), 6, never), { 200: 3, 503: 3 });
  });

  test("for any, when it never left: also with a body that can be sent once", async () => {
    const [, good] = await pair();
    const upstream = of([nobody, good], lots);
    for (const body of [undefined, Buffer.from("b"), () => Readable.from([Buffer.from("c")])]) {
      const fields = () => ({ method: "POST", body: typeof body === "function" ? body() : body });
      assert.deepEqual(await outcomes(upstream, 6, fields), { 200: 6 });
    }
    const answer = await ask(upstream, { method: "POST", body: Readable.from([Buffer.from("x"), Buffer.from("y")]) });
    assert.equal(answer.text, "ok xy");
  });

  test("with the same body when that is kept, and not when it is gone", async () => {
    const upstream = of(await pair(breaksOff), lots);
    for (let i = 0; i < 4; i++) {
      const { text } = await ask(upstream, { method: "PUT", body: Buffer.from("kept") });
      assert.equal(text, "ok kept");
    }
    const fields = () => ({ method: "PUT", body: Readable.from([Buffer.from("gone")]) });
    assert.deepEqual(await outcomes(upstream, 6, fields), { 200: 3, UPSTREAM_BROKEN: 3 });
  });

  test("for any, when the target says itself that it did nothing", async () => {
    const problem = (executed: string | undefined) => JSON.stringify({ title: "Busy", status: 503, executed });
    const says = async (body: string, status = 503, type = "application/problem+json; charset=utf-8") => {
      const headers = { "content-type": type, "content-length": String(body.length) };
      return bench.target((req, res) => req.resume().once("end", () => res.writeHead(status, headers).end(body)));
    };
    const [, good] = await pair();
    const post = () => ({ method: "POST", body: Buffer.from("once") });
    for (const sick of [await says(problem("no")), await says(problem("no"), 429)])
      assert.deepEqual(await outcomes(of([sick, good], lots), 6, post), { 200: 6 });
    for (const sick of [
      ...[await says(problem("maybe")), await says(problem(undefined)), await says("null"), await says("{")],
      ...[await says(problem("no"), 503, "application/json"), await says(`${problem("no")}${" ".repeat(9000)}`)],
    ])
      assert.deepEqual(await outcomes(of([sick, good], lots), 6, post), { 200: 3, 503: 3 });
    const alone = of([await says(problem("no"))], lots);
    const { status, text, attempts } = await ask(alone, post());
    assert.deepEqual([status, text, attempts], [503, problem("no"), 1]);
    const streamed = () => ({ method: "POST", body: Readable.from([Buffer.from("gone")]) });
    const gone = await outcomes(of([await says(problem("no")), good], lots), 6, streamed);
    assert.deepEqual(gone, { 200: 3, 503: 3 });
    await alone.drain();
  });

  test("not when it breaks off while it says so", async () => {
    const head = { "content-type": "application/problem+json", "content-length": "100" };
    const sick = await bench.target((_, res) => void res.writeHead(503, head).write("half", () => res.destroy()));
    const [, good] = await pair();
    const upstream = of([sick, good], lots);
    const found = await outcomes(upstream, 6, () => ({ method: "POST" }));
    assert.deepEqual(found, { 200: 3, UPSTREAM_BROKEN: 3 });
    await upstream.drain();
  });

  test("at another target, not at the same one upon an answer", async () => {
    const [sick] = await pair();
    const alone = of([sick], lots);
    const { status, text, attempts } = await ask(alone);
    assert.deepEqual([status, text, attempts, sick.count], [503, "sick", 1, 1]);
  });

  test("at the same one upon a broken connection, when there is no other", async () => {
    let count = 0;
    const target = await bench.target((req, res) => (count++ === 0 ? req.socket.destroy() : res.end("ok")));
    const { text, attempts } = await ask(of([target], lots));
    assert.deepEqual([text, attempts], ["ok", 2]);
  });

  test("at most so often as declared, and only upon the statuses that are", async () => {
    const sick = await Promise.all([1, 2, 3, 4].map(() => pair().then(([each]) => each)));
    assert.equal((await ask(of(sick, lots))).attempts, 3);
    assert.equal((await ask(of(sick, { retry: { budget: 1, attempts: 2 } }))).attempts, 2);
    assert.equal((await ask(of(sick, { retry: { budget: 1, statuses: [502] } }))).attempts, 1);
    assert.equal((await ask(of(sick, { retry: false }))).attempts, 1);
  });

  test("within the budget: when all fail, not more than a tenth on top", async () => {
    const sick = await Promise.all([1, 2].map(() => pair().then(([each]) => each)));
    const upstream = of(sick);
    await outcomes(upstream, 400, () => ({}));
    const asked = sick.reduce((sum, { count }) => sum + count, 0);
    // 10 that are always there, and 10 % of 400.
    assert.ok(asked > 400 && asked <= 400 + 10 + 40, `${asked} for 400 requests`);
    assert.ok((await upstream.value("plinth_upstream_retries_refused_total")) > 300);
    assert.equal(await upstream.value("plinth_upstream_retries_total", { cause: "status" }), asked - 400);
  });

  test("after a try that took too long, within the deadline of all", async () => {
    const slow = await bench.target(() => {});
    const [, good] = await pair();
    const upstream = of([slow, good], { retry: { budget: 1, tryTimeout: "250ms" } });
    assert.deepEqual(await outcomes(upstream, 4, () => ({})), { 200: 4 });
    const noTime = await outcomes(of([slow, good], lots), 2, () => ({ remainingMs: 400 }));
    assert.deepEqual(noTime, { 200: 1, UPSTREAM_TIMEOUT: 1 });
  });

  test("not when the client went away while it was waited for", async () => {
    const clock = createManualClock();
    const timed = createBench(clock);
    const sick = await Promise.all([1, 2].map(() => pair().then(([each]) => each)));
    const random = { ...createSeededRandom(1), next: () => 0.99 };
    const upstream = timed.upstream({ targets: sick.map(({ url }) => url), ...still, ...lots }, { random });
    const request = requestOf({ clock });
    const failing = assert.rejects(upstream.forward(request), { reason: "CLIENT_GONE" });
    while ((await upstream.value("plinth_upstream_retries_total")) === 0) await systemClock.sleep(1);
    request.cancel(error("cancelled", "Gone.", { reason: "CLIENT_GONE" }));
    await failing;
    await upstream.drain();
    await clock.advance(1000);
    assert.equal(
      sick.reduce((sum, { count }) => sum + count, 0),
      1,
    );
    await timed.close();
  });
});

describe("a connection that the target closed while it was kept", () => {
  test("fails no request: idle ones are noticed, and those that cross it are repeated", async () => {
    const target = await bench.target((_, res) => {
      res.end("ok");
      setImmediate(() => res.socket?.destroy());
    });
    const upstream = of([target], { retry: { budget: 1 } });
    assert.deepEqual(await outcomes(upstream, 60, () => ({})), { 200: 60 });
  });
});

describe("a hedge", () => {
  async function slowAndFast(slowMs = 3000) {
    let isCut = false;
    const slow = await bench.target((req, res) => {
      req.once("close", () => {
        isCut ||= !res.writableEnded;
      });
      systemClock.after(slowMs, () => res.end("slow"));
    });
    const fast = await bench.target((_, res) => res.end("fast"));
    return { targets: [slow, fast], slow, fast, isCut: () => isCut };
  }
  const hedge = { hedge: { after: "20ms" }, retry: { budget: 1 } } as const;

  test("answers when the first try is slow, and the loser is cancelled", async () => {
    const { targets, isCut, slow } = await slowAndFast();
    const upstream = of(targets, hedge);
    for (let i = 0; i < 4; i++) assert.equal((await ask(upstream)).text, "fast");
    assert.ok(slow.count > 0);
    await upstream.drain();
    while (!isCut()) await systemClock.sleep(2);
    assert.equal(await upstream.value("plinth_upstream_retries_total", { cause: "hedge" }), slow.count);
    assert.ok(upstream.states().every(({ inFlight }) => inFlight === 0));
  });

  test("is not sent for what may not be repeated, or without budget", async () => {
    const { targets } = await slowAndFast(60);
    const texts = async (options: Partial<UpstreamOptions>, method: string, count = 2) => {
      const upstream = of(targets, options);
      const found = [];
      for (let i = 0; i < count; i++) found.push((await ask(upstream, { method })).text);
      return found.sort();
    };
    assert.deepEqual(await texts(hedge, "POST"), ["fast", "slow"]);
    const poor = await texts({ hedge: { after: "5ms" }, retry: { budget: 0.01 } }, "GET", 30);
    assert.ok(poor.filter((text) => text === "slow").length >= 3, poor.join());
  });

  test("takes over when the first fails after all, and the first when the hedge fails", async () => {
    const late = await bench.target((req) => systemClock.after(60, () => req.socket.destroy()));
    const good = await bench.target((_, res) => systemClock.after(90, () => res.end("ok")));
    const soon = await bench.target((req) => req.socket.destroy());
    for (const targets of [
      [late, good],
      [good, late],
      [good, soon],
    ]) {
      const upstream = of(targets, hedge);
      for (let i = 0; i < 2; i++) assert.equal((await ask(upstream)).text, "ok");
    }
  });

  test("that is answered with 503 waits for the other", async () => {
    const sick = await bench.target((_, res) => res.writeHead(503).end());
    const good = await bench.target((_, res) => systemClock.after(60, () => res.end("ok")));
    const upstream = of([good, sick], { hedge: { after: "20ms" }, retry: { budget: 1, attempts: 2 } });
    for (let i = 0; i < 3; i++) assert.equal((await ask(upstream)).text, "ok");
    await upstream.drain();
  });
});
