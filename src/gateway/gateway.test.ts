import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { method, raw } from "../service/index.ts";
import { createAccessLog, createMetrics, createTracer } from "../telemetry/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import type { TestMethod } from "./testing.ts";
import { ask, request, routesOf, talk, testGateway } from "./testing.ts";

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

const text = t.Object({ text: t.String() });
const publicGet = (path: `/${string}`, extra: Record<string, unknown> = {}) =>
  method({ http: `GET ${path}`, access: "public", response: text, ...extra });

async function open(
  methods: Readonly<Record<string, TestMethod>>,
  options: Partial<GatewayOptions> = {},
): Promise<number> {
  const gateway = testGateway(methods, options);
  running.push(gateway);
  return (await gateway.start()).port;
}

const defaults = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
};

test("every answer carries the secure headers, and no name of the server", async () => {
  const port = await open({ a: { method: publicGet("/a"), handle: () => ({ text: "x" }) } });
  for (const path of ["/a", "/nothing"]) {
    const { headers } = await ask(port, request(`GET ${path}`));
    for (const [name, value] of Object.entries(defaults)) assert.equal(headers[name], value);
    assert.equal(headers["x-powered-by"] ?? headers.server, undefined);
    assert.equal(headers["strict-transport-security"], undefined);
  }
});

test("headers can be changed, added and taken away", async () => {
  const port = await open(
    { a: { method: publicGet("/a"), handle: () => ({ text: "x" }) } },
    {
      headers: {
        "Cross-Origin-Resource-Policy": false,
        "Strict-Transport-Security": "max-age=31536000",
        "x-content-type-options": "other",
      },
    },
  );
  const { headers } = await ask(port, request("GET /a"));
  assert.equal(headers["cross-origin-resource-policy"], undefined);
  assert.equal(headers["strict-transport-security"], "max-age=31536000");
  assert.equal(headers["x-content-type-options"], "other");
});

test("what the schema does not declare does not leave, and a status of one's own does", async () => {
  const port = await open({
    a: {
      method: method({ http: "POST /a", access: "public", response: text, status: 201 }),
      handle: () => ({ text: "x", secret: "y" }),
    },
  });
  const answer = await ask(port, request("POST /a"));
  assert.deepEqual([answer.status, answer.body], [201, '{"text":"x"}']);
});

test("a request id that is harmless comes back", async () => {
  const port = await open({ a: { method: publicGet("/a"), handle: () => ({ text: "x" }) } });
  assert.equal((await ask(port, request("GET /a", { "X-Request-Id": "r-1" }))).headers["x-request-id"], "r-1");
  assert.equal((await ask(port, request("GET /b", { "X-Request-Id": "r-1" }))).headers["x-request-id"], "r-1");
  assert.equal((await ask(port, request("GET /a", { "X-Request-Id": "<r>" }))).headers["x-request-id"], undefined);
});

test("what may be cached has a tag, and is not sent again to who holds it", async () => {
  const port = await open({
    open: { method: publicGet("/open", { cache: { ttl: "30s" } }), handle: () => ({ text: "x" }) },
    own: { method: publicGet("/own", { cache: { ttl: "30s", private: true } }), handle: () => ({ text: "x" }) },
  });
  const first = await ask(port, request("GET /open"));
  const { etag = "" } = first.headers;
  assert.equal(first.headers["cache-control"], "public, max-age=30");
  assert.match(etag, /^"[\w-]{22}"$/);
  for (const header of [etag, `W/${etag}`, `"other", W/${etag}`, "*"]) {
    const again = await ask(port, request("GET /open", { "If-None-Match": header }));
    assert.deepEqual([again.status, again.body, again.headers.etag], [304, "", etag]);
    assert.equal(again.headers["cache-control"], "public, max-age=30");
    assert.equal(again.headers["content-type"], undefined);
  }
  assert.equal((await ask(port, request("GET /open", { "If-None-Match": '"other"' }))).status, 200);
  assert.equal((await ask(port, request("HEAD /open", { "If-None-Match": etag }))).status, 304);
  assert.equal((await ask(port, request("GET /own"))).headers["cache-control"], "private, max-age=30");
});

test("large answers are compressed as the client likes it, small ones never", async () => {
  const big = { text: "žluťoučký kůň ".repeat(200) };
  const huge = { text: "abc ".repeat(20_000) };
  const port = await open({
    big: { method: publicGet("/big", { cache: { ttl: "1s" } }), handle: () => big },
    huge: { method: publicGet("/huge"), handle: () => huge },
    small: { method: publicGet("/small"), handle: () => ({ text: "x" }) },
  });
  const unpack = (body: string, coding: string | undefined) => {
    const bytes = Buffer.from(body, "latin1");
    return JSON.parse(
      (coding === "br" ? brotliDecompressSync(bytes) : coding === "gzip" ? gunzipSync(bytes) : bytes).toString(),
    );
  };
  const cases = [
    ["gzip, deflate, br, zstd", "br"],
    ["gzip", "gzip"],
    ["br;q=0.5, gzip;q=0.9", "gzip"],
    ["br;q=0, *", "gzip"],
    ["identity, gzip;q=0.5", undefined],
    ["br;q=0, gzip;q=0", undefined],
    ["", undefined],
    ["deflate", undefined],
  ] as const;
  for (const [path, wanted] of [
    ["/big", big],
    ["/huge", huge],
  ] as const) {
    for (const [accept, coding] of cases) {
      const answer = await ask(port, request(`GET ${path}`, { "Accept-Encoding": accept }));
      assert.equal(answer.headers["content-encoding"], coding, accept);
      assert.equal(answer.headers.vary, "accept-encoding");
      assert.deepEqual(unpack(answer.body, coding), wanted);
    }
  }
  const small = await ask(port, request("GET /small", { "Accept-Encoding": "br" }));
  assert.deepEqual([small.headers["content-encoding"], small.headers.vary], [undefined, undefined]);
  const tags = await Promise.all(
    ["br", "gzip", "identity"].map(
      async (accept) => (await ask(port, request("GET /big", { "Accept-Encoding": accept }))).headers.etag,
    ),
  );
  assert.equal(new Set(tags).size, 3);
  const held = await ask(port, request("GET /big", { "Accept-Encoding": "br", "If-None-Match": tags[0] as string }));
  assert.deepEqual([held.status, held.headers.vary], [304, "accept-encoding"]);
  const head = await ask(port, request("HEAD /big", { "Accept-Encoding": "gzip" }));
  assert.equal(head.headers["content-encoding"], "gzip");
});

test("compression can be turned off", async () => {
  const port = await open(
    { a: { method: publicGet("/a"), handle: () => ({ text: "x".repeat(5000) }) } },
    { compression: false },
  );
  const { headers } = await ask(port, request("GET /a", { "Accept-Encoding": "br" }));
  assert.deepEqual([headers["content-encoding"], headers["content-length"]], [undefined, "5011"]);
});

test("CORS: listed origins may read, others may not", async () => {
  const port = await open(
    {
      a: { method: publicGet("/a"), handle: () => ({ text: "x" }) },
      b: { method: method({ http: "PUT /a", access: "public" }), handle: () => undefined },
      c: { method: method({ http: "POST /c", access: "public" }), handle: () => undefined },
    },
    { cors: { origins: ["https://shop.example"], credentials: true, exposeHeaders: ["etag"] } },
  );
  const known = { Origin: "https://shop.example" };
  for (const send of [request("GET /a", known), request("GET /nothing", known), request("POST /c", known)]) {
    const { headers } = await ask(port, send);
    assert.equal(headers["access-control-allow-origin"], "https://shop.example");
    assert.equal(headers["access-control-allow-credentials"], "true");
    assert.equal(headers["access-control-expose-headers"], "etag");
    assert.equal(headers.vary, "origin");
  }
  for (const origin of ["https://evil.example", "https://shop.example.evil.example", "null", "http://shop.example"]) {
    const { headers } = await ask(port, request("GET /a", { Origin: origin }));
    assert.equal(headers["access-control-allow-origin"], undefined);
    assert.equal(headers.vary, "origin");
  }
  assert.equal((await ask(port, request("GET /a"))).headers.vary, "origin");

  const ask1 = (origin: string) =>
    ask(port, request("OPTIONS /a", { Origin: origin, "Access-Control-Request-Method": "PUT" }));
  const preflight = await ask1("https://shop.example");
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-methods"], "GET, HEAD, PUT, OPTIONS");
  assert.match(preflight.headers["access-control-allow-headers"] ?? "", /authorization, content-type/);
  assert.equal(preflight.headers["access-control-max-age"], "600");
  assert.equal(preflight.headers["access-control-allow-credentials"], "true");
  assert.match(preflight.headers.vary ?? "", /^origin, access-control-request-method/);
  const refused = await ask1("https://evil.example");
  assert.deepEqual([refused.status, refused.headers["access-control-allow-origin"]], [204, undefined]);
  const plain = await ask(port, request("OPTIONS /a", known));
  assert.deepEqual([plain.status, plain.headers.allow], [204, "GET, HEAD, PUT, OPTIONS"]);
});

test("CORS: an API that is open to all pages says so to each", async () => {
  const port = await open(
    { a: { method: publicGet("/a"), handle: () => ({ text: "x" }) } },
    { cors: { origins: "*", methods: ["GET"], allowHeaders: [], exposeHeaders: [], maxAge: "1h" } },
  );
  const { headers } = await ask(port, request("GET /a", { Origin: "https://any.example" }));
  assert.deepEqual(
    [headers["access-control-allow-origin"], headers["access-control-expose-headers"], headers.vary],
    ["*", undefined, undefined],
  );
  const preflight = await ask(
    port,
    request("OPTIONS /a", { Origin: "https://x.example", "Access-Control-Request-Method": "GET" }),
  );
  assert.equal(preflight.headers["access-control-allow-methods"], "GET");
  assert.equal(preflight.headers["access-control-allow-headers"], undefined);
  assert.equal(preflight.headers["access-control-max-age"], "3600");
});

test("pages are served with a tag and a policy that names their own scripts", async () => {
  const html = "<html><script>let a = 1;</script><script src='/x.js'></script></html>";
  const port = await open(
    { a: { method: publicGet("/a"), handle: () => ({ text: "x" }) } },
    {
      pages: [
        { path: "/docs", contentType: "text/html; charset=utf-8", body: html },
        {
          path: "/openapi.json",
          contentType: "application/json",
          body: "{}",
          headers: { "Cache-Control": "max-age=5" },
        },
      ],
    },
  );
  const docs = await ask(port, request("GET /docs", { Accept: "text/html" }));
  assert.deepEqual([docs.status, docs.body, docs.headers["content-type"]], [200, html, "text/html; charset=utf-8"]);
  assert.match(docs.headers["content-security-policy"] ?? "", /default-src 'none'; script-src 'self' 'sha256-[^']+';/);
  assert.equal(docs.headers["cache-control"], "no-cache");
  assert.equal(docs.headers["referrer-policy"], "no-referrer");
  assert.equal((await ask(port, request("GET /docs", { "If-None-Match": docs.headers.etag as string }))).status, 304);
  assert.equal((await ask(port, request("HEAD /docs"))).headers["content-length"], String(html.length));
  assert.equal((await ask(port, request("GET /openapi.json"))).headers["cache-control"], "max-age=5");
});

test("a page is written with the first request for it, once, even when it cannot be", async () => {
  const written: string[] = [];
  const port = await open(
    {},
    {
      pages: ["/good", "/bad"].map((path) => ({
        path,
        contentType: "text/plain",
        body() {
          written.push(path);
          if (path === "/bad") throw new Error("no such schema");
          return "good";
        },
      })),
    },
  );
  assert.deepEqual(written, []);
  const statuses: number[] = [];
  for (const path of ["/good", "/good", "/bad", "/bad"])
    statuses.push((await ask(port, request(`GET ${path}`))).status);
  statuses.push((await ask(port, request("HEAD /bad"))).status);
  assert.deepEqual(statuses, [200, 200, 500, 500, 500]);
  assert.deepEqual(written, ["/good", "/bad"]);
});

test("metrics, access log and spans tell the route, never the path", async () => {
  const metrics = createMetrics();
  const tracer = createTracer({ sampleRatio: 1 });
  const destination = createMemoryDestination();
  const accessLog = createAccessLog({ sample: 1, destination });
  const port = await open(
    {
      get: {
        method: method({
          http: "GET /a/:id",
          access: "public",
          request: t.Object({ id: t.Integer() }),
          response: text,
        }),
        handle: (_, context) => ({ text: context.trace?.traceId ?? "" }),
      },
      bug: {
        method: method({ http: "GET /bug", access: "public" }),
        handle: () => {
          throw new Error("x");
        },
      },
    },
    { metrics, tracer, accessLog },
  );
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const answer = await ask(port, request("GET /a/77?token=secret", { traceparent: parent }));
  assert.equal(JSON.parse(answer.body).text, "0af7651916cd43dd8448eb211c80319c");
  await ask(port, request("HEAD /a/77"));
  const refused = await ask(port, request("GET /a/x", { traceparent: parent }));
  assert.equal(JSON.parse(refused.body).traceId, "0af7651916cd43dd8448eb211c80319c");
  await ask(port, request("GET /bug"));
  await ask(port, request("GET /nothing/88"));
  await ask(port, request("PROPFIND /nothing"));
  await talk(port, "noise\r\n\r\n");

  const { body } = await metrics.render();
  const counted = [...body.matchAll(/http_server_request_duration_seconds_count\{(.*)\} (\d+)/g)].map(
    (match) => `${match[1]} ${match[2]}`,
  );
  const label = (m: string, r: string, s: number) =>
    `http_request_method="${m}",http_route="${r}",http_response_status_code="${s}" 1`;
  for (const wanted of [
    label("GET", "/a/:id", 200),
    label("HEAD", "/a/:id", 200),
    label("GET", "/a/:id", 422),
    label("GET", "/bug", 500),
    label("GET", "", 404),
    label("_OTHER", "", 501),
    label("_OTHER", "", 400),
  ]) {
    assert.ok(counted.includes(wanted), `${wanted} in\n${counted.join("\n")}`);
  }
  assert.match(body, /http_server_active_requests 0/);

  const spans = tracer.spans();
  const first = spans.find((span) => span.traceId === "0af7651916cd43dd8448eb211c80319c");
  assert.deepEqual(
    [first?.name, first?.kind, first?.parentSpanId, first?.status],
    ["GET /a/:id", "server", "b7ad6b7169203331", "ok"],
  );
  assert.deepEqual(first?.attributes, {
    "http.request.method": "GET",
    "http.response.status_code": 200,
    "http.route": "/a/:id",
    "url.path": "/a/77",
  });
  assert.equal(spans.find((span) => span.name === "GET /bug")?.status, "error");
  assert.equal(spans.find((span) => span.name === "HTTP")?.attributes["http.response.status_code"], 501);

  await accessLog.flush();
  await accessLog.close();
  const log = destination.text;
  assert.match(log, /"method":"GET","route":"\/a\/:id","path":"\/a\/77","status":200/);
  assert.match(log, /"reason":"VALIDATION_FAILED"/);
  const ids = destination.records.map((line) => [line.requestId === line.trace_id, typeof line.requestId]);
  assert.deepEqual(new Set(ids.map(String)), new Set(["true,string"]), "each line has an id, the trace's");
  assert.doesNotMatch(log, /secret/);
});

const startErrors: readonly {
  readonly name: string;
  readonly start: () => unknown;
  readonly reason: string;
  readonly says: RegExp;
}[] = [
  {
    name: "two methods on one route",
    start: () =>
      testGateway({
        a: { method: raw({ http: "GET /x/:id", access: "public" }), handle: () => {} },
        b: { method: raw({ http: "GET /x/:name", access: "public" }), handle: () => {} },
      }),
    reason: "ROUTE_COLLISION",
    says: /test\.b and test\.a both answer "GET \/x\/:name".*change the path/,
  },
  {
    name: "a page on a method's route",
    start: () =>
      testGateway(
        { a: { method: publicGet("/docs"), handle: () => {} } },
        { pages: [{ path: "/docs", contentType: "text/html", body: "" }] },
      ),
    reason: "ROUTE_COLLISION",
    says: /the page \/docs and test\.a/,
  },
  {
    name: "a pattern in a path",
    // A contract refuses it already: as if one had let it through.
    start: () => {
      const [route] = routesOf({ a: { method: raw({ http: "GET /a", access: "public" }), handle: () => {} } });
      assert.ok(route);
      const operation = { ...route.operation, route: { verb: "GET" as const, path: "/a(b)", params: [] } };
      return testGateway({}, { routes: [{ ...route, operation }] });
    },
    reason: "ROUTE_INVALID",
    says: /test\.a: .*patterns.*write ":name"/,
  },
  {
    name: "a wildcard that is not last",
    start: () => testGateway({ a: { method: raw({ http: "GET /*/a", access: "public" }), handle: () => {} } }),
    reason: "ROUTE_INVALID",
    says: /test\.a: "GET \/\*\/a" is no route/,
  },
  {
    name: "a method that nothing answers",
    start: () =>
      testGateway(
        {},
        {
          routes: routesOf({ a: { method: publicGet("/a"), handle: () => {} } }).map(({ operation }) => ({
            operation,
          })),
        },
      ),
    reason: "ROUTE_INVALID",
    says: /test\.a: nothing was given that answers it; pass its call/,
  },
  {
    name: "a method that needs a token where none can be verified",
    start: () => testGateway({ a: { method: method({ http: "GET /a" }), handle: () => {} } }),
    reason: "AUTHENTICATOR_MISSING",
    says: /test\.a: it needs a valid token.*access: "public"/,
  },
  {
    name: "credentials for every origin",
    start: () => testGateway({}, { cors: { origins: "*", credentials: true } }),
    reason: "CORS_INVALID",
    says: /list the exact origins/,
  },
  {
    name: "origins that are none",
    start: () =>
      testGateway(
        {},
        {
          cors: {
            origins: ["https://a.example/", "*", "a.example", "https://A.example"],
            methods: ["G T"],
            maxAge: "x" as never,
          },
        },
      ),
    reason: "CORS_INVALID",
    says: /a\.example\/.*\n.*"\*".*\n.*\n.*A\.example.*\n.*cors\.methods.*\n.*maxAge/,
  },
  {
    name: "origins that are no list",
    start: () => testGateway({}, { cors: { origins: "https://a.example" as never } }),
    reason: "CORS_INVALID",
    says: /write a list/,
  },
  {
    name: "headers that cannot be",
    start: () => testGateway({}, { headers: { "a b": "c", connection: "close", x: "a\r\nb" } }),
    reason: "HEADER_INVALID",
    says: /"a b".*\n.*"connection".*\n.*"x"/,
  },
  {
    name: "a realm with quotes",
    start: () => testGateway({}, { realm: '"' }),
    reason: "HEADER_INVALID",
    says: /realm/,
  },
  {
    name: "a prefix that ends in a slash",
    start: () => testGateway({}, { prefix: "/a/" }),
    reason: "ROUTE_INVALID",
    says: /prefix "\/a\/"/,
  },
  {
    name: "a compression size that is none",
    start: () => testGateway({}, { compression: { minBytes: "x" as never } }),
    reason: "COMPRESSION_INVALID",
    says: /minBytes/,
  },
  {
    name: "limits that cannot be",
    start: () =>
      testGateway(
        {},
        { limits: { urlLength: 0, headerBytes: "x" as never, deadline: "soon" as never, inFlight: 1.5 } },
      ),
    reason: "LIMIT_INVALID",
    says: /urlLength: 0.*\n.*headerBytes: "x".*\n.*inFlight: 1\.5.*\n?.*deadline: "soon"|urlLength[\s\S]*deadline/,
  },
];

for (const { name, start, reason, says } of startErrors) {
  test(`does not start with ${name}`, () => {
    assert.throws(start, (thrown) => {
      assert.ok(thrown instanceof StartError, String(thrown));
      assert.equal(thrown.reason, reason);
      assert.match(thrown.message, says);
      return true;
    });
  });
}
