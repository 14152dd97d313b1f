import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import express from "express";
import fastify from "fastify";
import { systemClock } from "../base/index.ts";
import { createTokenIssuer, createTokenKeys, generateTokenSecret } from "../identity/index.ts";
import { testIdentity } from "../identity/testing.ts";
import { t } from "../schema/index.ts";
import { method, raw } from "../service/index.ts";
import { createTracer } from "../telemetry/index.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import type { Mount, MountedCall } from "./mount.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const word = t.Object({ word: t.String() });
const methods = {
  get: {
    method: method({ http: "GET /words/:word", access: "public", request: word, response: word }),
    handle: (q: unknown) => q,
  },
  post: {
    method: method({ http: "POST /words", access: "public", request: word, response: word }),
    handle: (q: unknown) => q,
  },
} as const;

async function started(options: Partial<GatewayOptions>): Promise<number> {
  const gateway: Gateway = testGateway(methods, options);
  ends.push(() => gateway.stop());
  return (await gateway.start()).port;
}

function listening(server: Server): Promise<number> {
  ends.push(() => new Promise((resolve) => server.close(resolve)));
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

const close = { Connection: "close" };
const mountAt = (path: string, handler: Mount["handler"], more: Partial<Mount> = {}): Partial<GatewayOptions> => ({
  mounts: [{ path, access: "public", handler, ...more }],
});

test("an Express app under a path keeps its ways, and gets path, trace and principal", async () => {
  const app = express();
  app.use(express.json());
  app.post("/orders/:id", (req, res) => {
    const { plinth } = req as typeof req & { plinth: MountedCall };
    res.status(201).set("X-Own", "1");
    res.json({
      id: req.params.id,
      body: req.body,
      query: req.query,
      url: req.originalUrl,
      parent: req.headers.traceparent,
      subject: plinth.principal.subject,
    });
  });
  const tracer = createTracer({ sampleRatio: 1 });
  const port = await started({ ...mountAt("/legacy", app), tracer });
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const answer = await ask(port, request("POST /legacy/orders/7?a=1", { ...close, Traceparent: parent }, '{"x":1}'));
  const body = JSON.parse(answer.body);
  assert.deepEqual([answer.status, answer.headers["x-own"]], [201, "1"]);
  assert.deepEqual(
    [body.id, body.body, body.query, body.url, body.subject],
    ["7", { x: 1 }, { a: "1" }, "/legacy/orders/7?a=1", ""],
  );
  assert.match(body.parent, /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-0[13]$/);
  assert.equal(tracer.spans()[0]?.name, "POST /legacy/*");
  assert.equal((await ask(port, request("GET /legacy/nothing", close))).status, 404);
  assert.equal((await ask(port, request("GET /legacyx", close))).headers["content-type"], "application/problem+json");
  assert.equal((await ask(port, request("GET /words/a", close))).body, '{"word":"a"}');
});

test("a Fastify app can be mounted at the root, behind our own routes", async () => {
  const app = fastify();
  app.get("/", async (req) => ({
    at: "root",
    trace: req.raw.rawHeaders.filter((name) => name === "traceparent").length,
  }));
  app.get("/words", async () => ({ at: "words" }));
  await app.ready();
  ends.push(() => app.close());
  const port = await started({ ...mountAt("/", app.routing), tracer: createTracer({}) });
  assert.deepEqual(JSON.parse((await ask(port, request("GET /", close))).body), { at: "root", trace: 1 });
  assert.equal((await ask(port, request("GET /words", close))).body, '{"at":"words"}');
  assert.equal((await ask(port, request("GET /words/a", close))).body, '{"word":"a"}');
});

test("a mounted handler is denied unless declared open, and the longest path wins", async () => {
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const names = { keys, issuer: "a", audience: "a" };
  const { token } = await createTokenIssuer(names).issue({ subject: "u1" });
  const port = await started({
    authenticator: testIdentity({ name: "a", keys }, systemClock),
    mounts: [
      {
        path: "/old",
        handler: (req, res) => res.end((req as typeof req & { plinth: MountedCall }).plinth.principal.subject),
      },
      { path: "/old/open", access: "public", handler: (req, res) => res.end(req.url) },
    ],
  });
  assert.equal((await ask(port, request("GET /old", close))).status, 401);
  assert.equal((await ask(port, request("GET /old", { ...close, Authorization: `Bearer ${token}` }))).body, "u1");
  assert.equal((await ask(port, request("GET /old/open?a", close))).body, "/?a");
  assert.equal((await ask(port, request("GET /old/open/b", close))).body, "/b");
});

test("a mounted handler that takes too long is 504, and may speak on without harm", async () => {
  let said = false;
  const port = await started(
    mountAt(
      "/slow",
      async (req, res) => {
        res.setHeader("X-Secret", "1");
        req.resume();
        await sleep(120);
        res.setHeader("X-Late", "1");
        res.writeHead(200, { a: "b" });
        res.write("late");
        res.flushHeaders();
        res.end("late");
        said = true;
      },
      { deadline: "50ms" },
    ),
  );
  const answer = await ask(port, request("GET /slow"));
  assert.deepEqual([answer.status, answer.headers["x-secret"]], [504, undefined]);
  while (!said) await sleep(10);
  const upload = request("POST /slow", { "Transfer-Encoding": "chunked" });
  assert.equal((await talk(port, [`${upload}2\r\n{}\r\n`])).answers[0]?.status, 504);
});

test("an answer that a mounted handler has begun is not cut at the deadline", async () => {
  const port = await started(
    mountAt(
      "/slow",
      async (_req, res) => {
        res.write("begun, ");
        await sleep(100);
        res.end("done");
      },
      { deadline: "40ms" },
    ),
  );
  assert.equal((await ask(port, request("GET /slow", close))).body, "begun, done");
});

test("a mounted handler that throws or rejects costs one request", async () => {
  const port = await started({
    mounts: [
      {
        path: "/throws",
        access: "public",
        handler: () => {
          throw new Error("s3cret");
        },
      },
      {
        path: "/rejects",
        access: "public",
        handler: async () => {
          throw new Error("s3cret");
        },
      },
      {
        path: "/breaks",
        access: "public",
        handler: async (_req, res) => {
          res.write("half");
          throw new Error("s3cret");
        },
      },
    ],
  });
  for (const path of ["/throws", "/rejects"]) {
    const answer = await ask(port, request(`GET ${path}`));
    assert.deepEqual([answer.status, answer.headers["content-type"]], [500, "application/problem+json"]);
    assert.doesNotMatch(answer.body, /s3cret/);
  }
  const { closed, answers } = await talk(port, request("GET /breaks"));
  assert.deepEqual([closed, answers.length], [true, 0]);
});

test("a client that waits for 100 Continue gets it from a mount, too", async () => {
  const port = await started(mountAt("/up", (req, res) => void req.pipe(res)));
  const head = request("POST /up", { ...close, Expect: "100-continue", "Content-Length": "2" });
  assert.match((await talk(port, [head, 30, "hi"])).text, /^HTTP\/1\.1 100 Continue[\s\S]*200 OK[\s\S]*hi/);
});

test("mounts that cannot be stop the start", () => {
  for (const mount of [
    { path: "legacy" },
    { path: "/a/" },
    { path: "/:id" },
    { path: "/a", deadline: "soon" as never },
  ]) {
    assert.throws(
      () =>
        testGateway(
          {},
          mountAt(mount.path, () => {}, mount),
        ),
      { reason: "MOUNT_INVALID" },
    );
  }
});

test("inside Express: our paths are ours, the others go on", async () => {
  const gateway = testGateway(methods);
  gateway.open();
  const app = express();
  app.use("/api", gateway.handler);
  app.get("/api/own", (_req, res) => void res.send("own"));
  const port = await listening(createServer(app));
  assert.equal((await ask(port, request("GET /api/words/a", close))).body, '{"word":"a"}');
  assert.equal((await ask(port, request("POST /api/words", close, '{"word":"b"}'))).body, '{"word":"b"}');
  assert.equal((await ask(port, request("PUT /api/words", close, '{"word":"b"}'))).status, 405);
  assert.equal((await ask(port, request("GET /api/own", close))).body, "own");
  assert.equal(
    (await ask(port, request("GET /api/nothing", close))).headers["content-type"],
    "text/html; charset=utf-8",
  );
  await gateway.drain();
  assert.equal(gateway.stats.draining, true);
  await gateway.stop();
});

test("inside Express: before the start and after the end our paths are 503, the others go on", async () => {
  const gateway = testGateway(methods);
  const app = express();
  app.use(gateway.handler);
  app.get("/own", (_req, res) => void res.send("own"));
  const port = await listening(createServer(app));
  const refused = async (): Promise<void> => {
    const answer = await ask(port, request("GET /words/a", close));
    assert.equal(answer.status, 503);
    assert.equal(answer.headers["retry-after"], "1");
    assert.equal(JSON.parse(answer.body).reason, "NOT_SERVING");
    assert.equal((await ask(port, request("GET /own", close))).body, "own");
  };
  await refused();
  gateway.open();
  assert.equal((await ask(port, request("GET /words/a", close))).status, 200);
  await gateway.drain();
  await refused();
  await gateway.stop();
  await refused();
});

test("inside Express behind a body parser: 500, and the log says what to change", async () => {
  const gateway = testGateway(methods);
  gateway.open();
  const app = express();
  app.use(express.json());
  app.use(gateway.handler);
  const port = await listening(createServer(app));
  assert.equal((await ask(port, request("POST /words", close, '{"word":"b"}'))).status, 500);
});

test("inside Fastify: under the prefix that it leaves on", async () => {
  const gateway = testGateway(methods, { prefix: "/api" });
  gateway.open();
  const app = fastify();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_req, _payload, done) => done(null));
  app.all("/api/*", (req, reply) => {
    reply.hijack();
    gateway.handler(req.raw, reply.raw);
  });
  ends.push(() => app.close());
  await app.listen({ port: 0, host: "127.0.0.1" });
  const port = (app.server.address() as AddressInfo).port;
  assert.equal((await ask(port, request("GET /api/words/a", close))).body, '{"word":"a"}');
  assert.equal((await ask(port, request("POST /api/words", close, '{"word":"b"}'))).body, '{"word":"b"}');
  assert.equal((await ask(port, request("GET /api/nothing", close))).status, 404);
  const alone = await gateway.start();
  ends.push(() => gateway.stop());
  assert.equal((await ask(alone.port, request("GET /api/words/a?x"))).body, '{"word":"a"}');
  for (const path of ["/words/a", "/apiwords/a", "/"])
    assert.equal((await ask(alone.port, request(`GET ${path}`))).status, 404);
  assert.equal((await ask(alone.port, request("GET /api?x"))).status, 404);
});

test("a body that breaks half way to a mounted handler is 400", async () => {
  const port = await started(mountAt("/up", (req) => void req.resume()));
  const head = request("POST /up", { "Transfer-Encoding": "chunked" });
  const { answers, closed } = await talk(port, `${head}zz\r\n`);
  assert.deepEqual([answers[0]?.status, closed], [400, true]);
});

test("raw methods: plain HTTP in and out", async () => {
  const gateway = testGateway({
    hook: {
      method: raw({ http: "POST /hooks/:name", access: "public", bodyLimit: 10 }),
      handle: (q) => ({
        status: 202,
        headers: { "X-A": "1", "Content-Type": "text/csv" },
        body: `${q.method} ${q.url} ${q.params.name} ${q.headers["x-b"]} ${Buffer.from(q.body)}`,
      }),
    },
    file: {
      method: raw({ http: "GET /files/*", access: "public" }),
      handle: (q) => ({ body: new Uint8Array([1, 2, 3]), headers: { "cache-control": q.params["*"] } }),
    },
    text: { method: raw({ http: "GET /text", access: "public" }), handle: () => ({ body: "žluť" }) },
    none: { method: raw({ http: "DELETE /none", access: "public" }), handle: () => ({ status: 204 }) },
    bad: {
      method: raw({ http: "GET /bad/:how", access: "public" }),
      handle: (q) =>
        ({
          status: { status: 99 },
          split: { headers: { a: "b\r\nSet-Cookie: x" } },
          name: { headers: { "a b": "c" } },
          hop: { headers: { Connection: "close" } },
          length: { headers: { "content-length": "5" } },
          type: { headers: { a: 1 } },
        })[q.params.how as string],
    },
  });
  ends.push(() => gateway.stop());
  const { port } = await gateway.start();
  const hook = await ask(port, request("POST /hooks/pay%20me?q=1", { "X-B": "b1" }, "body"));
  assert.deepEqual([hook.status, hook.body], [202, "POST /hooks/pay%20me?q=1 pay me b1 body"]);
  assert.deepEqual(
    [hook.headers["x-a"], hook.headers["content-type"], hook.headers["x-content-type-options"]],
    ["1", "text/csv", "nosniff"],
  );
  assert.equal((await ask(port, request("POST /hooks/a", {}, "more than ten"))).status, 413);
  const file = await ask(port, request("GET /files/a/b"));
  assert.deepEqual(
    [file.body, file.headers["cache-control"], file.headers["content-type"]],
    ["\x01\x02\x03", "a/b", "application/octet-stream"],
  );
  const text = await ask(port, request("GET /text", { Accept: "image/png" }));
  assert.deepEqual([text.headers["content-length"], text.headers["content-type"]], ["6", "text/plain; charset=utf-8"]);
  const head = await ask(port, request("HEAD /text"));
  assert.deepEqual([head.headers["content-length"], head.body], ["6", ""]);
  const none = await ask(port, request("DELETE /none"));
  assert.deepEqual([none.status, none.headers["content-length"]], [204, undefined]);
  for (const how of ["status", "split", "name", "hop", "length", "type"]) {
    const answer = await ask(port, request(`GET /bad/${how}`));
    assert.equal(answer.status, 500, how);
    assert.equal(answer.headers["set-cookie"], undefined);
  }
});

test("a raw method may set several cookies, and none with a line break", async () => {
  const cookies = { good: ["a=1; Path=/", "b=2"], bad: ["a=1", "b\r\nx: y"] };
  const gateway = testGateway({
    in: {
      method: raw({ http: "POST /in/:how", access: "public" }),
      handle: ({ params }) => ({ headers: { "Set-Cookie": cookies[params.how as keyof typeof cookies] } }),
    },
  });
  ends.push(() => gateway.stop());
  const { port } = await gateway.start();
  const { text } = await talk(port, request("POST /in/good"), { answers: 1 });
  assert.match(text, /set-cookie: a=1; Path=\/\r\nset-cookie: b=2\r\n/);
  assert.equal((await ask(port, request("POST /in/bad"))).status, 500);
});
