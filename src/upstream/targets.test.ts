import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { createManualClock, systemClock } from "../base/index.ts";
import type { Target } from "./upstream.fixture.ts";
import { ask, createBench, requestOf, textOf } from "./upstream.fixture.ts";
import type { UpstreamOptions } from "./upstream-options.ts";

const bench = createBench();
after(() => bench.close());

const hello = (text: string) => bench.target((_, res) => res.end(text));
const even = { balance: "round-robin", slowStart: 0 } as const;

async function texts(upstream: Parameters<typeof ask>[0], count: number): Promise<string> {
  const found = new Set<string>();
  for (let i = 0; i < count; i++) found.add((await ask(upstream)).text);
  return [...found].sort().join();
}

async function until(condition: () => boolean): Promise<void> {
  const endAt = systemClock.now() + 5000;
  while (!condition()) {
    assert.ok(systemClock.now() < endAt, "it did not come to be");
    await systemClock.sleep(3);
  }
}

describe("a name", () => {
  test("stands for all its addresses, and for others when they change", async () => {
    const target = await bench.target((req, res) => res.end(`${req.headers.host} ${req.socket.localAddress}`));
    await new Promise<void>((resolve) => target.server.close(() => resolve()));
    await new Promise<void>((resolve) => target.server.listen(target.port, "0.0.0.0", resolve));
    let addresses = ["127.0.0.2", "127.0.0.1", "127.0.0.2"];
    const url = `http://orders.example:${target.port}`;
    const host = `orders.example:${target.port}`;
    const upstream = bench.upstream(
      { targets: [url], ...even, limits: { resolve: "20ms" } },
      { resolve: async () => addresses },
    );
    await assert.rejects(upstream.forward(requestOf()), { reason: "UPSTREAM_UNAVAILABLE" });
    await upstream.start();
    assert.deepEqual(
      upstream.states().map((state) => [state.target, state.address]),
      [
        [url, "127.0.0.1"],
        [url, "127.0.0.2"],
      ],
    );
    assert.equal(await texts(upstream, 4), `${host} 127.0.0.1,${host} 127.0.0.2`);
    const [kept] = upstream.states();
    addresses = ["127.0.0.3", "127.0.0.1"];
    await until(() => upstream.states().some(({ address }) => address === "127.0.0.3"));
    assert.equal(await texts(upstream, 6), `${host} 127.0.0.1,${host} 127.0.0.3`);
    assert.equal(kept?.address, upstream.states()[0]?.address);
  });

  test("keeps its addresses while it cannot be looked up, and while it has none", async () => {
    const target = await hello("ok");
    let answer: () => Promise<string[]> = async () => ["127.0.0.1"];
    const upstream = bench.upstream(
      { targets: [`http://orders.example:${target.port}`], limits: { resolve: "15ms" } },
      { resolve: () => answer() },
    );
    await upstream.start();
    for (const next of [() => Promise.reject(new Error("SERVFAIL")), async () => []]) {
      answer = next;
      await systemClock.sleep(50);
      assert.equal((await ask(upstream)).text, "ok");
    }
    assert.equal(upstream.said.filter((line) => line.includes("could not be looked up")).length, 1);
    assert.ok((await upstream.value("plinth_upstream_lookups_total", { result: "failed" })) >= 1);
  });

  test("that is slow to be looked up does not hold the start up longer than allowed", async () => {
    const upstream = bench.upstream(
      { targets: ["http://orders.example"], limits: { start: "30ms" } },
      { resolve: () => new Promise(() => {}) },
    );
    const startedAt = systemClock.now();
    await upstream.start();
    assert.ok(systemClock.now() - startedAt < 1000);
  });

  test("that is looked up after others at the start is not taken for new", async () => {
    const targets = await Promise.all(["a", "b"].map(hello));
    const late = `http://late.example:${targets[1]?.port}`;
    const upstream = bench.upstream(
      { targets: [targets[0]?.url as string, late], balance: "weighted" },
      { resolve: () => systemClock.sleep(30).then(() => ["127.0.0.1"]) },
    );
    await upstream.start();
    for (let i = 0; i < 20; i++) await ask(upstream);
    assert.deepEqual(
      targets.map(({ count }) => count),
      [10, 10],
    );
  });

  test("is looked up by the system otherwise", async () => {
    const target = await hello("ok");
    const upstream = bench.upstream({ targets: [`http://localhost:${target.port}`] });
    await upstream.start();
    assert.equal((await ask(upstream)).text, "ok");
    const missing = bench.upstream({ targets: ["http://nowhere.invalid"] });
    await missing.start();
    assert.equal(missing.states()[0]?.state, "unhealthy");
  });
});

describe("a health check", () => {
  const health = { path: "/up", interval: "20ms", unhealthyInterval: "10ms" } as const;

  /** Two of which the first can fall ill. */
  async function pair() {
    const state = { status: 200, checks: 0, userAgent: "" };
    const first = await bench.target((req, res) => {
      if (req.url !== "/up") return res.end("first");
      state.checks++;
      state.userAgent = `${req.headers["user-agent"]} ${req.headers.host}`;
      if (state.status === 0) return res.socket?.destroy();
      return res.writeHead(state.status).end("x".repeat(state.status === 299 ? 200_000 : 2));
    });
    const second = await hello("second");
    return { state, targets: [first.url, second.url], first };
  }

  test("counts at the start at once, later after three, and back after two", async () => {
    const { state, targets } = await pair();
    state.status = 500;
    const upstream = bench.upstream({ targets, ...even, health });
    await upstream.start();
    assert.equal(upstream.states()[0]?.state, "unhealthy");
    assert.equal(await texts(upstream, 6), "second");
    assert.equal(await upstream.value("plinth_upstream_targets", { state: "unhealthy" }), 1);
    state.status = 200;
    await until(() => upstream.states()[0]?.state === "available");
    assert.equal(await texts(upstream, 6), "first,second");
    for (const status of [404, 0]) {
      const before = state.checks;
      state.status = status;
      await until(() => upstream.states()[0]?.state === "unhealthy");
      assert.ok(state.checks - before >= 3);
      state.status = 299;
      await until(() => upstream.states()[0]?.state === "available");
    }
    assert.match(upstream.said.join("\n"), /unhealthy.*"why":"status 500"[\s\S]*healthy.*answers again/);
    assert.match(state.userAgent, /^plinth-health-check 127\.0\.0\.1:\d+$/);
  });

  test("that is not answered in time has failed", async () => {
    const silent = await bench.target(() => {});
    const upstream = bench.upstream({
      targets: [silent.url],
      health: { ...health, timeout: "20ms", host: "up.example" },
    });
    await upstream.start();
    assert.equal(upstream.states()[0]?.state, "unhealthy");
    assert.match(upstream.said.join(), /no answer within 20 ms/);
  });

  test("ends with the upstream, and with options without it", async () => {
    const { state, targets } = await pair();
    state.status = 500;
    const upstream = bench.upstream({ targets, ...even, health });
    await upstream.start();
    upstream.update({ targets, ...even });
    assert.equal(upstream.states()[0]?.state, "available");
    const before = state.checks;
    await systemClock.sleep(60);
    assert.equal(state.checks, before);
    upstream.update({ targets, ...even, health });
    await until(() => upstream.states()[0]?.state === "unhealthy");
    await upstream.close();
    const last = state.checks;
    await systemClock.sleep(60);
    assert.ok(state.checks <= last + 1);
  });
});

describe("a target that fails requests", () => {
  /** Healthy at its health check, and nowhere else. */
  async function sick(isSick: () => boolean): Promise<Target> {
    return bench.target((req, res) => res.writeHead(req.url === "/up" || !isSick() ? 200 : 500).end("first"));
  }

  test("is left out after five of them, comes back after its time, and is left out sooner when it still fails", async () => {
    const clock = createManualClock();
    const timed = createBench(clock);
    let isSick = true;
    const targets = [(await sick(() => isSick)).url, (await hello("second")).url, (await hello("third")).url];
    const health = { path: "/up", interval: "1s" } as const;
    const upstream = timed.upstream({ targets, ...even, health, breaker: false });
    const starting = upstream.start();
    await systemClock.sleep(80);
    await starting;
    const one = async () => (await upstream.forward(requestOf({ method: "POST", clock }))).status;
    let failures = 0;
    for (let i = 0; i < 60; i++) if ((await one()) === 500) failures++;
    assert.equal(failures, 5);
    assert.equal(upstream.states()[0]?.state, "ejected");
    assert.equal(await upstream.value("plinth_upstream_ejections_total", { reason: "consecutive_failures" }), 1);
    assert.match(upstream.said.join(), /is left out.*"durationMs":30000/);
    await clock.advance(30_000);
    assert.equal(upstream.states()[0]?.state, "available");
    failures = 0;
    for (let i = 0; i < 60; i++) if ((await one()) === 500) failures++;
    assert.equal(failures, 1);
    isSick = false;
    await clock.advance(60_000);
    for (let i = 0; i < 60; i++) assert.equal(await one(), 200);
    assert.equal(upstream.states()[0]?.state, "available");
    await timed.close();
  });

  test("fails no request that may be repeated", async () => {
    const targets = [(await sick(() => true)).url, (await hello("second")).url, (await hello("third")).url];
    const upstream = bench.upstream({ targets, ...even });
    for (let i = 0; i < 60; i++) assert.equal((await ask(upstream)).status, 200);
    assert.equal(upstream.states()[0]?.state, "ejected");
    assert.ok((upstream.states()[0]?.until ?? 0) > systemClock.now());
  });
});

describe("other options", () => {
  test("hold for requests from then on, and those under way end as they began", async () => {
    let answer = (): void => {};
    const first = await bench.target((_, res) => {
      answer = () => res.end("first");
    });
    const second = await hello("second");
    const upstream = bench.upstream({ targets: [first.url] });
    await upstream.start();
    const running = ask(upstream);
    await until(() => first.count === 1);
    upstream.update({ targets: [second.url] });
    assert.equal(await texts(upstream, 3), "second");
    answer();
    assert.equal((await running).text, "first");
    assert.equal(await upstream.value("plinth_upstream_targets", { target: first.url }), 0);
    assert.equal(await upstream.value("plinth_upstream_targets", { target: second.url, state: "available" }), 1);
  });

  test("do not lose sight of what began before: its failures count, and it ends with the upstream", async () => {
    const waiting: (() => void)[] = [];
    const sick = await bench.target((_, res) => void waiting.push(() => res.writeHead(500).end()));
    const targets = [sick.url, (await hello("second")).url, (await hello("third")).url];
    const upstream = bench.upstream({ targets, ...even, retry: false });
    const running = Array.from({ length: 15 }, () => ask(upstream));
    await until(() => waiting.length === 5);
    upstream.update({ targets, ...even, retry: false, limits: { requests: 500 } });
    for (const answer of waiting) answer();
    await Promise.all(running);
    assert.equal(upstream.states()[0]?.state, "ejected");
    assert.equal(await texts(upstream, 9), "second,third");

    const endless = await bench.target((_, res) => res.write("x"));
    upstream.update({ targets: [endless.url] });
    const { body } = await upstream.forward(requestOf());
    upstream.update({ targets: targets.slice(1) });
    await systemClock.sleep(20);
    assert.equal(body?.destroyed, false);
    await upstream.close();
    await assert.rejects(textOf(body), { reason: "UPSTREAM_BROKEN" });
  });

  test("whose names are not known yet come into use when they are, and the old ones serve until then", async () => {
    const [old, fresh] = [await hello("old"), await hello("new")];
    let isKnown = false;
    const resolve = async (): Promise<string[]> => {
      await systemClock.sleep(60);
      if (!isKnown) throw new Error("ENOTFOUND");
      return ["127.0.0.1"];
    };
    const moved = { targets: [`http://new.example:${fresh.port}`], limits: { resolve: "20ms" } } as const;
    const upstream = bench.upstream({ targets: [old.url] }, { resolve });
    await upstream.start();
    upstream.update(moved);
    // While it is looked up for the first time, and as long as that fails.
    const endAt = systemClock.now() + 200;
    while (systemClock.now() < endAt) assert.equal(await texts(upstream, 3), "old");
    assert.match(upstream.said.join(), /could not be looked up/);
    isKnown = true;
    await until(() => upstream.states()[0]?.target === moved.targets[0] && upstream.states().length === 1);
    assert.equal(await texts(upstream, 3), "new");
    // Back at once: there is nothing to look up.
    upstream.update({ targets: [old.url] });
    assert.equal(await texts(upstream, 3), "old");
  });

  test("wait for the slowest of their names no longer than a start does", async () => {
    const [old, fresh] = [await hello("old"), await hello("new")];
    const resolve = async (name: string) => (name === "new.example" ? ["127.0.0.1"] : new Promise<string[]>(() => {}));
    const upstream = bench.upstream({ targets: [old.url], ...even }, { resolve });
    await upstream.start();
    const targets = [`http://new.example:${fresh.port}`, "http://slow.example"];
    upstream.update({ targets, ...even, limits: { start: "150ms" } });
    await systemClock.sleep(10);
    assert.equal(await texts(upstream, 4), "new,old");
    await until(() => !upstream.states().some(({ target }) => target === old.url));
    assert.equal(await texts(upstream, 4), "new");
  });

  test("that are wrong are refused whole, and the old ones go on", async () => {
    const target = await hello("ok");
    const upstream = bench.upstream({ targets: [target.url] });
    const wrong: UpstreamOptions = { targets: ["nowhere"], balance: "hash" };
    assert.throws(() => upstream.update(wrong), { reason: "UPSTREAM_OPTIONS_WRONG" });
    assert.equal((await ask(upstream)).text, "ok");
    assert.equal(upstream.states().length, 1);
  });

  test("under load fail no request", async () => {
    const targets = await Promise.all(["a", "b", "c"].map(hello));
    const upstream = bench.upstream({ targets: targets.map(({ url }) => url) });
    await upstream.start();
    let isOver = false;
    let count = 0;
    const load = async () => {
      while (!isOver) {
        assert.equal((await ask(upstream, { method: "POST", body: Buffer.from("x") })).status, 200);
        count++;
      }
    };
    const running = Promise.all([load(), load(), load(), load()]);
    for (let i = 0; i < 30; i++) {
      const left = targets.filter((_, place) => place !== i % 3).map(({ url }) => ({ url, weight: 1 + (i % 5) }));
      upstream.update({
        targets: left,
        balance: i % 2 === 0 ? "p2c" : "weighted",
        limits: { connect: 900 + (i % 4) },
        retry: { budget: 0.1 * (i % 2) },
        breaker: i % 2 === 0 ? {} : false,
      });
      await systemClock.sleep(8);
    }
    isOver = true;
    await running;
    assert.ok(count > 50, `${count} requests`);
    await upstream.drain();
  });

  test("of connections make new ones, others keep them", async () => {
    const target = await bench.target((req, res) => res.end(`${req.headers.host} ${req.socket.remotePort}`));
    const upstream = bench.upstream({ targets: [target.url] });
    const [host, port] = (await ask(upstream)).text.split(" ");
    assert.equal(`http://${host}`, target.url);
    await systemClock.sleep(5);
    upstream.update({ targets: [target.url], host: "client", balance: "weighted" });
    assert.equal((await ask(upstream)).text, `shop.example ${port}`);
    await systemClock.sleep(5);
    upstream.update({ targets: [target.url], limits: { connect: "2s" } });
    assert.notEqual((await ask(upstream)).text, `${host} ${port}`);
  });
});

describe("hash", () => {
  test("sends a key to one target, in another process to the same one", async () => {
    const targets = await Promise.all(["a", "b", "c", "d"].map(hello));
    const urls = targets.map(({ url }) => url);
    const one = bench.upstream({ targets: urls, balance: "hash" });
    const other = bench.upstream({ targets: [...urls].reverse(), balance: "hash" });
    const homes = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const { text } = await ask(one, { hashKey: `k${i}` });
      assert.equal((await ask(other, { hashKey: `k${i}` })).text, text);
      homes.add(text);
    }
    assert.equal(homes.size, 4);
  });
});
