import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import { StartError, systemClock } from "../../base/index.ts";
import { outsideSystem, plainUpstream } from "../proxy/proxy.fixture.ts";
import { ask, request, testGateway } from "../testing.ts";
import type { Headers } from "./response-cache.fixture.ts";
import { keeping } from "./response-cache.fixture.ts";
import type { EdgeCacheOptions } from "./response-cache.ts";

test("a fresh answer is given again, with its age and what became of it", async (t) => {
  const { asked, clock, get } = await keeping(t, { "cache-control": "max-age=60" });
  const first = await get();
  assert.match(first.headers["cache-status"] ?? "", /^plinth; fwd=miss; fwd-status=200; stored; ttl=60$/);
  clock.advance(20_000);
  const second = await get();
  assert.deepEqual([second.body, second.headers.age, asked.length], ["answer 1", "20", 1]);
  assert.equal(second.headers["cache-status"], "plinth; hit; ttl=40");
  clock.advance(41_000);
  assert.equal((await get()).body, "answer 2");
});

for (const [why, headers] of [
  ["no-store", { "cache-control": "no-store" }],
  ["private", { "cache-control": "private, max-age=60" }],
  ["a cookie", { "cache-control": "max-age=60", "set-cookie": "a=1" }],
  ["Vary: *", { "cache-control": "max-age=60", vary: "*" }],
  ["nothing said", {}],
] as const) {
  test(`an answer with ${why} is not kept`, async (t) => {
    const { asked, get } = await keeping(t, headers);
    await get();
    await get();
    assert.equal(asked.length, 2);
  });
}

test("a token that is not passed on makes no difference, where nobody in particular asks", async (t) => {
  const rules: Headers[] = [{ "cache-control": "max-age=60" }, { "cache-control": "public, max-age=60" }];
  for (const [i, headers] of rules.entries()) {
    const { asked, get } = await keeping(t, headers);
    await get("/a", { Authorization: "Bearer x" });
    await get("/a", { Authorization: "Bearer x" });
    assert.equal(asked.length, 1, String(i));
  }
});

test("an answer to a request with Authorization is kept only when it says that it is for all", async (t) => {
  for (const [control, count] of [
    ["max-age=60", 2],
    ["public, max-age=60", 1],
    ["s-maxage=60", 1],
  ] as const) {
    const asked: string[] = [];
    const target = await outsideSystem(t, (req, res) => {
      asked.push(req.headers.authorization ?? "");
      res.writeHead(200, { "cache-control": control });
      res.end("body");
    });
    const upstreams = new Map([["legacy", plainUpstream("legacy", target)]]);
    const route = { path: "/*", upstream: "legacy", access: "public", authorization: "pass", cache: {} } as const;
    const gateway = testGateway({}, { outside: { upstreams, routes: [route] } });
    const { port } = await gateway.start();
    t.after(() => gateway.stop());
    await ask(port, request("GET /a", { Authorization: "Basic one" }));
    await ask(port, request("GET /a", { Authorization: "Basic two" }));
    assert.deepEqual([asked.length, asked[0]], [count, "Basic one"], control);
  }
});

test("Vary keeps answers apart, and only what it names", async (t) => {
  const { asked, get } = await keeping(t, { "cache-control": "max-age=60", vary: "accept-language" });
  await get("/a", { "Accept-Language": "de" });
  await get("/a", { "Accept-Language": "en" });
  assert.equal((await get("/a", { "Accept-Language": "de", Accept: "text/plain" })).body, "answer 1");
  assert.equal((await get("/a", { "Accept-Language": "en" })).body, "answer 2");
  assert.equal(asked.length, 2);
});

test("headers that no answer may depend on unseen are not sent: nobody poisons an answer by one", async (t) => {
  const reflect = (req: IncomingMessage, res: ServerResponse): void => {
    res.writeHead(200, { "cache-control": "max-age=60" });
    res.end(
      `${req.headers["x-forwarded-host"]} ${req.headers["x-host"]} ${req.headers.cookie} ${req.headers["x-theme"]}`,
    );
  };
  const { get } = await keeping(t, reflect, { vary: ["X-Theme"] });
  const evil = { "X-Forwarded-Host": "evil.example", "X-Host": "evil.example", Cookie: "a=1", "X-Theme": "dark" };
  assert.equal((await get("/a", evil)).body, "undefined undefined undefined dark");
});

test("another host has answers of its own", async (t) => {
  const { asked, get } = await keeping(t, { "cache-control": "max-age=60" });
  await get("/a", { Host: "evil.example" });
  assert.equal((await get("/a", { Host: "shop.example" })).body, "answer 2");
  assert.equal(asked.length, 2);
});

test("an old answer is asked for again by its tag, and a 304 makes it new", async (t) => {
  const { asked, clock, get } = await keeping(t, (req, res) => {
    if (req.headers["if-none-match"] === '"v1"') res.writeHead(304, { etag: '"v1"', "cache-control": "max-age=10" });
    else res.writeHead(200, { etag: '"v1"', "cache-control": "max-age=10" });
    res.end(req.headers["if-none-match"] === '"v1"' ? undefined : "body");
  });
  await get();
  clock.advance(11_000);
  const renewed = await get();
  assert.deepEqual([renewed.status, renewed.body], [200, "body"]);
  assert.match(renewed.headers["cache-status"] ?? "", /fwd=stale; fwd-status=304/);
  assert.equal((await get()).headers["cache-status"], "plinth; hit; ttl=10");
  assert.equal(asked.length, 2);
});

test("a client's own condition is judged here", async (t) => {
  const { asked, get } = await keeping(t, {
    "cache-control": "max-age=60",
    etag: '"v1"',
    "last-modified": "Sat, 01 Jan 2022 00:00:00 GMT",
  });
  const first = await get("/a", { "If-None-Match": '"other"' });
  assert.equal(first.body, "answer 1");
  const same = await get("/a", { "If-None-Match": 'W/"v1"' });
  assert.deepEqual([same.status, same.body, same.headers.etag], [304, "", '"v1"']);
  assert.equal((await get("/a", { "If-Modified-Since": "Sat, 01 Jan 2022 00:00:00 GMT" })).status, 304);
  assert.equal((await get("/a", { "If-Modified-Since": "Fri, 31 Dec 2021 00:00:00 GMT" })).status, 200);
  assert.equal(asked.length, 1);
});

test("HEAD is answered from a kept GET, and never kept as one", async (t) => {
  const { asked, get, port } = await keeping(t, { "cache-control": "max-age=60" });
  await ask(port, request("HEAD /b"));
  assert.equal((await get("/b")).body, "answer 2");
  const head = await ask(port, request("HEAD /b"));
  assert.deepEqual(
    [head.headers["content-length"], head.headers["cache-status"], asked.length],
    ["8", "plinth; hit; ttl=60", 2],
  );
});

test("of many who want the same at once, one asks", async (t) => {
  const { asked, get } = await keeping(t, (_req, res, count) => {
    setTimeout(() => {
      res.writeHead(200, { "cache-control": "max-age=60" });
      res.end(`answer ${count}`);
    }, 50);
  });
  const answers = await Promise.all(Array.from({ length: 20 }, () => get()));
  assert.deepEqual([asked.length, new Set(answers.map(({ body }) => body)).size], [1, 1]);
  assert.ok(answers.filter(({ headers }) => headers["cache-status"]?.includes("collapsed")).length > 0);
});

test("what cannot be kept is asked for by each, and no body is given to another", async (t) => {
  const { asked, get } = await keeping(t, (_req, res, count) => {
    setTimeout(() => {
      res.writeHead(200, { "cache-control": "private" });
      res.end(`for ${count}`);
    }, 20);
  });
  const answers = await Promise.all(Array.from({ length: 5 }, () => get()));
  assert.deepEqual([asked.length, new Set(answers.map(({ body }) => body)).size], [5, 5]);
});

test("when no new answer can be had, an old one is given as long as that is allowed", async (t) => {
  const { clock, get } = await keeping(
    t,
    (_req, res, count) => {
      if (count > 1) res.writeHead(503);
      else res.writeHead(200, { "cache-control": "max-age=10" });
      res.end("body");
    },
    { staleIfError: "60s" },
  );
  await get();
  clock.advance(30_000);
  const stale = await get();
  assert.deepEqual([stale.status, stale.body, stale.headers.age], [200, "body", "30"]);
  assert.match(stale.headers["cache-status"] ?? "", /hit; fwd-status=503; detail=stale-if-error; ttl=-20/);
  clock.advance(60_000);
  assert.equal((await get()).status, 503);
});

test("must-revalidate never gives an old answer", async (t) => {
  const { clock, get } = await keeping(
    t,
    (_req, res, count) => {
      res.writeHead(count > 1 ? 503 : 200, { "cache-control": "max-age=10, must-revalidate" });
      res.end();
    },
    { staleIfError: "60s", staleWhileRevalidate: "60s" },
  );
  await get();
  clock.advance(11_000);
  assert.equal((await get()).status, 503);
});

test("while an old answer is given, a new one is fetched", async (t) => {
  const { asked, clock, get } = await keeping(t, { "cache-control": "max-age=10, stale-while-revalidate=60" });
  await get();
  clock.advance(20_000);
  assert.equal((await get()).body, "answer 1");
  await systemClock.sleep(50);
  assert.deepEqual([(await get()).body, asked.length], ["answer 2", 2]);
});

test("an unsafe request that succeeds removes what is kept of its address, one that fails does not", async (t) => {
  const { asked, get, port } = await keeping(t, (req, res, count) => {
    res.writeHead(req.url === "/fails" ? 500 : 200, { "cache-control": "max-age=60" });
    res.end(`answer ${count}`);
  });
  await get();
  await ask(port, request("DELETE /a"));
  assert.equal((await get()).body, "answer 3");
  assert.equal(asked.length, 3);
});

test("a tag purges what has it, and what was asked for before is not kept after", async (t) => {
  let release: (() => void) | undefined;
  const { get, gateway } = await keeping(t, (req, res, count) => {
    const send = (): void => {
      res.writeHead(200, { "cache-control": "max-age=60", "cache-tag": "product:1, all" });
      res.end(`answer ${count}`);
    };
    if (req.url === "/slow" && !release) release = send;
    else send();
  });
  const first = await get();
  assert.equal(first.headers["cache-tag"], undefined);
  assert.equal(gateway.outside.purge(["other"]), 0);
  assert.equal(gateway.outside.purge(["product:1"]), 1);
  assert.equal((await get()).body, "answer 2");
  const slow = get("/slow");
  await systemClock.sleep(50);
  gateway.outside.purge(["product:1"]);
  release?.();
  assert.equal((await slow).body, "answer 3");
  assert.equal((await get("/slow")).body, "answer 4");
});

test("what is larger than the limit passes whole and is not kept", async (t) => {
  const big = Buffer.alloc(300_000, "x");
  const { asked, get } = await keeping(
    t,
    (req, res) => {
      res.writeHead(200, {
        "cache-control": "max-age=60",
        ...(req.url === "/told" && { "content-length": big.length }),
      });
      res.end(big);
    },
    { bodyLimit: "100kb" },
  );
  const port = asked;
  for (const path of ["/told", "/untold"]) {
    assert.equal((await get(path)).body.length, 300_000);
    await get(path);
  }
  assert.equal(port.length, 4);
});

test("when the memory is used up, what was used least recently goes", async (t) => {
  const { asked, get } = await keeping(t, { "cache-control": "max-age=60" }, { size: "4500b" });
  for (const path of ["/1", "/2", "/3", "/1", "/4"]) await get(path);
  const before = asked.length;
  await get("/1");
  assert.equal(asked.length, before);
  await get("/2");
  assert.equal(asked.length, before + 1);
});

test("only-if-cached asks nobody, no-cache asks again, ranges pass", async (t) => {
  const { asked, get } = await keeping(t, { "cache-control": "max-age=60" });
  assert.equal((await get("/a", { "Cache-Control": "only-if-cached" })).status, 504);
  assert.equal(asked.length, 0);
  await get();
  assert.equal((await get("/a", { "Cache-Control": "no-cache" })).body, "answer 2");
  await get("/a", { Range: "bytes=0-1" });
  assert.equal(asked.length, 3);
  assert.equal((await get("/a", { "Cache-Control": "only-if-cached" })).body, "answer 2");
});

test("wrong options stop the start", () => {
  const upstreams = new Map([["legacy", plainUpstream("legacy", "http://127.0.0.1:1")]]);
  const cache = { size: "big", staleIfError: "soon", vary: ["a b"] } as unknown as EdgeCacheOptions;
  assert.throws(
    () =>
      testGateway(
        {},
        { outside: { upstreams, routes: [{ path: "/*", upstream: "legacy", access: "public", cache }] } },
      ),
    (thrown) => thrown instanceof StartError && thrown.problems.length === 3,
  );
});
