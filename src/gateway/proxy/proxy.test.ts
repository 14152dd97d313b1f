import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { connect } from "node:net";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError, systemClock } from "../../base/index.ts";
import type { AccessEntry } from "../../telemetry/index.ts";
import type { GatewayOptions } from "../gateway.ts";
import { ask, request, talk, testGateway } from "../testing.ts";
import { outsideSystem, plainUpstream, realUpstream, tellAll } from "./proxy.fixture.ts";
import type { OutsideRoute } from "./route.ts";

const open: OutsideRoute = { path: "/legacy/*", upstream: "legacy", access: "public" };

async function fronting(
  t: TestContext,
  routes: readonly OutsideRoute[] = [open],
  { handle = tellAll, ...options }: Partial<GatewayOptions> & { readonly handle?: RequestListener } = {},
): Promise<number> {
  const target = await outsideSystem(t, handle);
  const upstreams = new Map([["legacy", plainUpstream("legacy", target)]]);
  const gateway = testGateway({}, { outside: { upstreams, routes }, ...options });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  return port;
}

/** What the outside system saw. */
async function seen(port: number, text: string) {
  const answer = await ask(port, text);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as { method: string; url: string; headers: Record<string, string>; body: string };
}

test("passes method, path, query, headers and body on, and the answer back", async (t) => {
  const port = await fronting(t);
  const got = await seen(
    port,
    request("POST /legacy/a?b=1&c=%20", { "X-Own": "yes", "Content-Type": "text/plain" }, "hello"),
  );
  assert.deepEqual(
    [got.method, got.url, got.headers["x-own"], got.body],
    ["POST", "/legacy/a?b=1&c=%20", "yes", "hello"],
  );
  assert.equal(got.headers["content-length"], "5");
});

test("/legacy belongs to /legacy/*, /legacyx does not", async (t) => {
  const port = await fronting(t);
  assert.equal((await seen(port, request("GET /legacy"))).url, "/legacy");
  assert.equal((await ask(port, request("GET /legacyx"))).status, 404);
});

test("without access written a valid token is needed, and nothing reaches the outside system", async (t) => {
  let calls = 0;
  await assert.rejects(fronting(t, [{ path: "/legacy/*", upstream: "legacy" }], { handle: () => calls++ }), StartError);
  assert.equal(calls, 0);
});

test("a request gets an id when it has none, and the answer names it", async (t) => {
  const port = await fronting(t);
  const answer = await ask(port, request("GET /legacy/a"));
  const id = answer.headers["x-request-id"];
  assert.match(id ?? "", /^[\w-]{20,}$/);
  assert.equal(JSON.parse(answer.body).headers["x-request-id"], id);
  const kept = await ask(port, request("GET /legacy/a", { "X-Request-Id": "mine-1" }));
  assert.equal(kept.headers["x-request-id"], "mine-1");
  assert.equal(JSON.parse(kept.body).headers["x-request-id"], "mine-1");
});

test("what only the gateway may say does not come from outside", async (t) => {
  const port = await fronting(t);
  const got = await seen(
    port,
    request("GET /legacy/a", {
      "X-Plinth-Subject": "root",
      X_Plinth_Subject: "root",
      "X-Forwarded-For": "10.0.0.1",
      X_Forwarded_For: "10.0.0.1",
      Forwarded: "for=10.0.0.1",
      "X-Real-IP": "10.0.0.1",
      "X-Original-URL": "/admin",
      "X-HTTP-Method-Override": "DELETE",
      "Proxy-Authorization": "Basic eA==",
      TE: "trailers",
    }),
  );
  const names = Object.keys(got.headers).filter((name) => !["host", "connection"].includes(name));
  assert.deepEqual(names, ["x-request-id"]);
});

test("headers that Connection lists stay here, and what the gateway says cannot be listed away", async (t) => {
  const port = await fronting(t, [{ ...open, headers: { request: { set: { "x-env": "prod" } } } }]);
  const got = await seen(
    port,
    request("GET /legacy/a", {
      Connection: "close, X-Secret, X-Request-Id, X-Env, Host",
      "X-Secret": "1",
      "X-Other": "2",
    }),
  );
  assert.equal(got.headers["x-secret"], undefined);
  assert.equal(got.headers["x-other"], "2");
  assert.equal(got.headers["x-env"], "prod");
  assert.match(got.headers["x-request-id"] ?? "", /^[\w-]{20,}$/);
});

for (const path of [
  "/legacy/..%2fadmin",
  "/legacy/%2e%2e/admin",
  "/legacy/..;/admin",
  "/legacy//admin",
  "/legacy/a%00",
]) {
  test(`${path} is 400 before anything leaves`, async (t) => {
    const port = await fronting(t);
    const answer = await ask(port, request(`GET ${path}`));
    assert.equal(answer.status, 400);
    assert.equal(JSON.parse(answer.body).reason, "URL_MALFORMED");
  });
}

test("an escape cannot get around a stricter route", async (t) => {
  const port = await fronting(t, [open, { path: "/legacy/admin/*", redirect: { to: "/nowhere" }, access: "public" }]);
  assert.equal((await ask(port, request("GET /legacy/%61dmin/x"))).status, 308);
});

test("strip and rewrite change the path, transforms the headers of both directions", async (t) => {
  const routes: OutsideRoute[] = [
    {
      ...open,
      strip: true,
      headers: {
        request: { remove: ["x-a"], add: { "x-b": "2" } },
        response: { set: { "x-from": "edge" }, remove: ["x-powered-by"] },
      },
    },
    { path: "/old/*", upstream: "legacy", access: "public", rewrite: "/api/v1" },
  ];
  const port = await fronting(t, routes, {
    handle(req, res) {
      res.setHeader("X-Powered-By", "PHP/4");
      res.setHeader("X-From", "inside");
      tellAll(req, res);
    },
  });
  const answer = await ask(port, request("GET /legacy/a?x=1", { "X-A": "1" }));
  const got = JSON.parse(answer.body);
  assert.deepEqual([got.url, got.headers["x-a"], got.headers["x-b"]], ["/a?x=1", undefined, "2"]);
  assert.deepEqual([answer.headers["x-from"], answer.headers["x-powered-by"]], ["edge", undefined]);
  assert.equal((await seen(port, request("GET /old/a"))).url, "/api/v1/a");
});

test("a redirect keeps what follows and the query, and cannot be made to lead elsewhere", async (t) => {
  const port = await fronting(t, [
    { path: "/old/*", redirect: { to: "https://new.example/api/*" }, access: "public" },
    { path: "/r/*", redirect: { to: "/*", status: 302 }, access: "public", looseSegments: true },
  ]);
  const answer = await ask(port, request("GET /old/a/b?c=1"));
  assert.deepEqual([answer.status, answer.headers.location], [308, "https://new.example/api/a/b?c=1"]);
  assert.equal((await ask(port, request("GET /r//evil.example/x"))).headers.location, "/evil.example/x");
  assert.equal((await ask(port, request("GET /r/%0d%0aset-cookie:x"))).status, 400);
});

test("only declared methods pass; OPTIONS is the gateway's", async (t) => {
  const port = await fronting(t, [{ ...open, methods: ["GET"] }]);
  const refused = await ask(port, request("POST /legacy/a", {}, "x"));
  assert.deepEqual([refused.status, refused.headers.allow], [405, "GET, HEAD, OPTIONS"]);
  assert.equal((await ask(port, request("OPTIONS /legacy/a"))).status, 204);
});

test("a body above the limit is 413, announced or not", async (t) => {
  const port = await fronting(t, [{ ...open, bodyLimit: "100kb" }]);
  assert.equal((await ask(port, `POST /legacy/a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n`)).status, 413);
  const chunk = `${(20_000).toString(16)}\r\n${"x".repeat(20_000)}\r\n`;
  const head = "POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  assert.equal((await ask(port, [head, chunk.repeat(5), 10, chunk.repeat(3)])).status, 413);
});

test("large bodies pass in both directions, chunked or with a length", async (t) => {
  const port = await fronting(t, [open], {
    handle: (req, res) => {
      res.writeHead(200, { "content-type": "application/octet-stream" });
      req.pipe(res);
    },
  });
  const url = `http://127.0.0.1:${port}/legacy/echo`;
  const body = Buffer.alloc(3_000_000, "ab");
  const chunked = { method: "POST", body: new Blob([body]).stream(), duplex: "half" } as RequestInit;
  for (const init of [{ method: "POST", body }, chunked]) {
    const answer = await fetch(url, init);
    assert.equal(Buffer.from(await answer.arrayBuffer()).equals(body), true);
  }
});

test("a slow reader holds the outside system back", async (t) => {
  let written = 0;
  const port = await fronting(t, [open], {
    handle: (_req, res) => {
      const more = (): void => {
        while (written < 200_000_000) {
          written += 65_536;
          if (!res.write(Buffer.alloc(65_536))) {
            res.once("drain", more);
            return;
          }
        }
        res.end();
      };
      more();
    },
  });
  const answer = await fetch(`http://127.0.0.1:${port}/legacy/big`);
  await systemClock.sleep(300);
  assert.ok(written < 50_000_000, `${written} bytes were taken though nobody read`);
  await answer.body?.cancel();
});

test("an outside system that is away is 503, one that breaks off breaks the answer off", async (t) => {
  const port = await fronting(t, [open], {
    handle: (req, res) => {
      if (req.url === "/legacy/none") req.socket.destroy();
      else {
        res.writeHead(200, { "content-length": "100" });
        res.write("half");
        setTimeout(() => req.socket.destroy(), 20);
      }
    },
  });
  assert.equal((await ask(port, request("GET /legacy/none"))).status, 503);
  const { text, closed } = await talk(port, request("GET /legacy/half"));
  assert.ok(text.endsWith("half") && closed);
});

test("no answer until the deadline is 504, and the outside system hears of it", async (t) => {
  let gone = 0;
  const port = await fronting(t, [{ ...open, deadline: "100ms" }], {
    handle: (req) => void req.socket.once("close", () => gone++),
  });
  assert.equal((await ask(port, request("GET /legacy/slow"))).status, 504);
  await systemClock.sleep(50);
  assert.equal(gone, 1);
});

test("an answer that has begun takes its time after the deadline", async (t) => {
  const port = await fronting(t, [{ ...open, deadline: "100ms" }], {
    handle: (_req, res) => {
      res.write("a");
      setTimeout(() => res.end("b"), 300);
    },
  });
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/legacy/slow`)).text(), "ab");
});

test("a client that leaves ends the exchange with the outside system", async (t) => {
  let closed = false;
  const port = await fronting(t, [open], {
    handle: (req, res) => {
      res.write("a");
      req.socket.once("close", () => {
        closed = true;
      });
    },
  });
  const stop = new AbortController();
  const answer = await fetch(`http://127.0.0.1:${port}/legacy/slow`, { signal: stop.signal });
  await answer.body?.getReader().read();
  stop.abort();
  await systemClock.sleep(100);
  assert.equal(closed, true);
});

test("the access log names the route, the target and the bytes of both directions", async (t) => {
  const entries: AccessEntry[] = [];
  const accessLog = { write: (entry: AccessEntry) => entries.push(entry) > 0 } as unknown as NonNullable<
    GatewayOptions["accessLog"]
  >;
  const port = await fronting(t, [open], { accessLog });
  await seen(port, request("POST /legacy/a", {}, "hello"));
  await systemClock.sleep(20);
  const [entry] = entries as (AccessEntry & { target: string; attempts: number })[];
  assert.deepEqual([entry?.route, entry?.status, entry?.requestBytes, entry?.attempts], ["/legacy/*", 200, 5, 1]);
  assert.match(entry?.target ?? "", /^http:\/\/127/);
  assert.ok((entry?.responseBytes ?? 0) > 50);
});

test("server-sent events pass as they come and end when the process drains", async (t) => {
  const port = await fronting(t, [{ ...open, streams: { duration: "200ms", count: 1 } }], {
    handle: (_req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write("data: 1\n\n");
    },
  });
  const first = await fetch(`http://127.0.0.1:${port}/legacy/events`);
  assert.equal((await fetch(`http://127.0.0.1:${port}/legacy/events`)).status, 503);
  assert.equal(await first.text(), "data: 1\n\n");
  const second = await fetch(`http://127.0.0.1:${port}/legacy/events`);
  assert.equal(second.status, 200);
  await second.body?.cancel();
});

test("a collision names both owners", async (t) => {
  await assert.rejects(
    fronting(t, [open, { ...open, name: "other" }]),
    (thrown) =>
      thrown instanceof StartError &&
      thrown.reason === "ROUTE_COLLISION" &&
      thrown.message.includes("the route other") &&
      thrown.message.includes("the route /legacy/*"),
  );
});

test("a client that leaves while an outside system works is one 499, and nothing of it is left in flight", async (t) => {
  const target = await outsideSystem(t, () => {});
  const upstream = await realUpstream(t, "legacy", target);
  const statuses: number[] = [];
  const accessLog = { write: ({ status }: AccessEntry) => statuses.push(status) } as unknown as NonNullable<
    GatewayOptions["accessLog"]
  >;
  const outside = { upstreams: new Map([["legacy", upstream]]), routes: [open] };
  const gateway = testGateway({}, { outside, accessLog });
  t.after(() => gateway.stop());
  const { port } = await gateway.start();
  for (const count of [1, 2, 3]) {
    const socket = connect(port, "127.0.0.1");
    socket.write(request("GET /legacy/slow"));
    while (gateway.stats.inFlight === 0) await sleep(5);
    socket.destroy();
    while (statuses.length < count) await sleep(5);
    assert.deepEqual([statuses, gateway.stats.inFlight], [Array(count).fill(499), 0]);
  }
});
