import assert from "node:assert/strict";
import { test } from "node:test";
import { anonymous, createSeededRandom, systemClock } from "../../base/index.ts";
import { createMetrics } from "../../telemetry/index.ts";
import type { Exchange } from "../exchange.ts";
import { ask, request, testGateway } from "../testing.ts";
import { outsideSystem, plainUpstream } from "./proxy.fixture.ts";
import type { SplitOptions } from "./split.ts";
import { cookieOf, createSplit } from "./split.ts";

const between = ["stable", "canary"];
const asking = (headers: Record<string, string> = {}, subject?: string) =>
  ({
    headers,
    principal: subject === undefined ? anonymous : { ...anonymous, kind: "user", subject },
  }) as unknown as Exchange;

function chooser(options: Omit<SplitOptions, "between">) {
  const split = createSplit("main", { between, ...options }, createSeededRandom(7));
  const share = (count: number, make: (i: number) => Exchange): number => {
    let canary = 0;
    for (let i = 0; i < count; i++) canary += split.choose(make(i));
    return canary / count;
  };
  return { split, share };
}

test("weights are shares", () => {
  const { share } = chooser({ weights: { stable: 95, canary: 5 } });
  assert.ok(Math.abs(share(40_000, () => asking()) - 0.05) < 0.005);
});

test("a weight of 0 gets nothing but what a rule sends there", () => {
  const match = [
    { header: "X-Canary", value: "yes", to: "canary" },
    { cookie: "beta", to: "canary" },
  ];
  const { split, share } = chooser({ weights: { stable: 1 }, match });
  assert.equal(
    share(1000, () => asking()),
    0,
  );
  assert.equal(split.choose(asking({ "x-canary": "yes" })), 1);
  assert.equal(split.choose(asking({ "x-canary": "no" })), 0);
  assert.equal(split.choose(asking({ cookie: "a=1; beta=anything" })), 1);
  assert.equal(split.choose(asking({ cookie: "alpha-beta=1" })), 0);
});

test("what has one key goes one way, and when weights change no more moves than must", () => {
  const { split, share } = chooser({ weights: { stable: 80, canary: 20 }, sticky: { cookie: "sid" } });
  const ways = () => Array.from({ length: 5000 }, (_, i) => split.choose(asking({ cookie: `sid=${i}` })));
  const before = ways();
  assert.deepEqual(ways(), before);
  assert.ok(Math.abs(before.filter((way) => way === 1).length / 5000 - 0.2) < 0.02);
  split.replace({ weights: { stable: 70, canary: 30 } });
  const after = ways();
  assert.ok(Math.abs(after.filter((way) => way === 1).length / 5000 - 0.3) < 0.02);
  assert.equal(before.filter((way, i) => way === 1 && after[i] === 0).length, 0);
  assert.ok(Math.abs(share(20_000, () => asking()) - 0.3) < 0.02);
});

test("a principal goes one way, whoever is nobody is diced", () => {
  const { split } = chooser({ weights: { stable: 1, canary: 1 }, sticky: "principal" });
  for (const subject of ["ada", "bob", "eve"]) {
    assert.equal(new Set(Array.from({ length: 50 }, () => split.choose(asking({}, subject)))).size, 1);
  }
  assert.equal(new Set(Array.from({ length: 50 }, () => split.choose(asking()))).size, 2);
});

test("cookies are read by their exact name", () => {
  assert.equal(cookieOf("a=1; b=2=3;c", "b"), "2=3");
  assert.equal(cookieOf("a=1", "A"), undefined);
  assert.equal(cookieOf(undefined, "a"), undefined);
});

test("a mirror gets copies of bodies and all, and its slowness and failures reach nobody", async (t) => {
  const copies: string[] = [];
  const main = await outsideSystem(t, (_req, res) => res.end("main"));
  const shadow = await outsideSystem(t, (req, res) => {
    let body = "";
    req.on("data", (chunk) => {
      body += chunk;
    });
    req.on("end", () => {
      copies.push(`${req.method} ${req.url} ${req.headers["x-plinth-mirror"]} ${body}`);
      if (copies.length === 1) res.destroy();
      // The second is never answered.
    });
  });
  const upstreams = new Map([
    ["main", plainUpstream("main", main)],
    ["shadow", plainUpstream("shadow", shadow)],
  ]);
  const metrics = createMetrics();
  const routes = [
    { path: "/a/*", upstream: "main", access: "public" as const, mirror: { to: "shadow", percent: 100 } },
  ];
  const gateway = testGateway({}, { outside: { upstreams, routes }, metrics });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  assert.equal((await ask(port, request("POST /a/1", {}, "hello"))).body, "main");
  assert.equal((await ask(port, request("GET /a/2", { "X-Plinth-Mirror": "1" }))).body, "main");
  await systemClock.sleep(50);
  assert.deepEqual(copies, ["POST /a/1 1 hello", "GET /a/2 1 "]);
  gateway.outside.mirrors.get("/a/*")?.replace(undefined);
  await ask(port, request("GET /a/3"));
  await systemClock.sleep(50);
  assert.equal(copies.length, 2);
  assert.match(
    (await metrics.render()).body,
    /plinth_gateway_mirrored_requests_total\{route="\/a\/\*",outcome="failed"\} 1/,
  );
});

test("copies under way are bounded, and what is more is left out", async (t) => {
  let count = 0;
  const main = await outsideSystem(t, (_req, res) => res.end("main"));
  const shadow = await outsideSystem(t, () => void count++);
  const upstreams = new Map([
    ["main", plainUpstream("main", main)],
    ["shadow", plainUpstream("shadow", shadow)],
  ]);
  const routes = [
    { path: "/a/*", upstream: "main", access: "public" as const, mirror: { to: "shadow", percent: 100 } },
  ];
  const gateway = testGateway({}, { outside: { upstreams, routes } });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(port, request("GET /a/x"))));
  await systemClock.sleep(100);
  assert.ok(answers.every(({ body }) => body === "main"));
  assert.equal(count, 64);
});
