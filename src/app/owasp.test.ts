/** The OWASP API Security Top 10 of 2023, each risk tried against an app through its gateway. */
import assert from "node:assert/strict";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { systemClock } from "../base/index.ts";
import { createHttpFetcher } from "../http/index.ts";
import { createTokenIssuer, createTokenKeys, generateTokenSecret } from "../identity/index.ts";
import { t } from "../schema/index.ts";
import { contract, external, method, resource, service } from "../service/index.ts";
import { app } from "./app.ts";
import type { TestApp } from "./testing.ts";
import { startTestApp } from "./testing.ts";

interface Note {
  readonly id: string;
  readonly ownerId: string;
  text: string;
  isPublished: boolean;
}

const notes = new Map<string, Note>();
const noteShape = t.Object({ id: t.String(), text: t.String() });
const note = resource<Note>()("note");
const id = t.Object({ id: t.String({ maxLength: 40 }) });
const isOwner = (who: { subject: string }, _request: unknown, found: Note) => found.ownerId === who.subject;

const diary = contract("diary", {
  methods: {
    read: method({
      http: "GET /notes/:id",
      request: id,
      response: noteShape,
      errors: { NOTE_UNKNOWN: "not_found" },
      access: { resource: note, can: isOwner },
    }),
    change: method({
      http: "PATCH /notes/:id",
      request: t.Object({ id: t.String(), text: t.String({ maxLength: 1000 }) }, { additionalProperties: false }),
      response: noteShape,
      errors: { NOTE_UNKNOWN: "not_found" },
      access: { resource: note, can: isOwner },
    }),
    publish: method({ http: "POST /notes/:id/publication", request: id, access: { role: "editor" } }),
    purge: method({ http: "DELETE /notes", access: { scope: "notes:purge" } }),
    list: method({
      http: "POST /searches",
      request: t.Object({
        words: t.Array(t.String({ maxLength: 50 }), { maxItems: 10 }),
        limit: t.Integer({ minimum: 1, maximum: 100 }),
      }),
      response: t.Object({ found: t.Integer() }),
      access: "public",
    }),
    book: method({
      http: "POST /bookings",
      response: t.Object({ ok: t.Boolean() }),
      access: "authenticated",
      limits: [{ quota: 3, window: "1h", by: "principal" }],
    }),
    fail: method({ http: "GET /failure", access: "public" }),
    weather: method({ http: "GET /weather", response: t.Object({ celsius: t.Number() }), access: "public" }),
    internal: method({ response: t.Object({ secret: t.String() }), access: "public" }),
  },
});

const sky = contract("sky", {
  methods: {
    now: method({ http: "GET /now", response: t.Object({ celsius: t.Number() }, { additionalProperties: false }) }),
  },
});

/** What the outside system answers next. */
let lie: (req: IncomingMessage, res: ServerResponse) => void = (_req, res) => void res.end();
let outside: Server;
let inside: Server;
let insideHits = 0;
let running: TestApp;
let outsidePort = 0;
let insidePort = 0;
const secret = generateTokenSecret();
let tokenOf: (subject: string, given?: { scopes?: string[]; roles?: string[] }) => Promise<string>;

const listen = (server: Server) =>
  new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
  );

before(async () => {
  outside = createServer((req, res) => lie(req, res));
  inside = createServer((_req, res) => {
    insideHits++;
    res.end('{"password":"hunter2"}');
  });
  outsidePort = await listen(outside);
  insidePort = await listen(inside);
  const diaryService = service(diary, {
    needs: { sky },
    resources: { note: ({ id }: { id: string }) => notes.get(id) },
    methods: {
      // More than the contract says: what is undeclared must not leave.
      read: async (_request, { resource }) => ({ ...resource }),
      change: async (request, { resource }) => Object.assign(resource, request),
      publish: async ({ id }) => void Object.assign(notes.get(id) as Note, { isPublished: true }),
      purge: async () => notes.clear(),
      list: async ({ words }) => ({ found: words.length }),
      book: async () => ({ ok: true }),
      fail: async () => {
        throw new Error("connection to postgres://app:hunter2@10.0.0.5 failed");
      },
      weather: (_request, { sky }) => sky.now(),
      internal: async () => ({ secret: "inside" }),
    },
  });
  const definition = app({
    name: "diary-app",
    services: [diaryService, external(sky, `http://127.0.0.1:${outsidePort}`)],
    gateway: {
      upstreams: { old: { targets: [`http://127.0.0.1:${outsidePort}`], retry: false, outliers: false } },
      routes: [{ path: "/old/*", upstream: "old", access: "public" }],
    },
  });
  running = await startTestApp(definition, { settings: { tokenKey: secret } });
  const issuer = createTokenIssuer({
    keys: await createTokenKeys({ secret }),
    issuer: "diary-app",
    audience: "diary-app",
  });
  tokenOf = async (subject, given = {}) => (await issuer.issue({ subject, ...given })).token;
  notes.set("a1", { id: "a1", ownerId: "ada", text: "mine", isPublished: false });
  notes.set("b1", { id: "b1", ownerId: "bob", text: "his", isPublished: false });
});
after(async () => {
  await running.stop();
  outside.close();
  inside.close();
});

interface Asked {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

async function ask(line: string, token?: string, body?: unknown, headers: Record<string, string> = {}): Promise<Asked> {
  const [verb = "GET", path = "/"] = line.split(" ");
  const answer = await fetch(`${running.url}${path}`, {
    method: verb,
    redirect: "manual",
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

/** Bytes as no client would send them. */
function say(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(running.url).port), "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
    socket.end(bytes, "latin1");
  });
}

test("API1, broken object level authorization: another's object looks as if there were none", async () => {
  const ada = await tokenOf("ada");
  assert.deepEqual([(await ask("GET /notes/a1", ada)).status, (await ask("GET /notes/b1", ada)).status], [200, 404]);
  const others = JSON.parse((await ask("GET /notes/b1", ada)).text) as object;
  const absent = JSON.parse((await ask("GET /notes/zz", ada)).text) as object;
  assert.deepEqual({ ...others, trace: 0, traceId: 0 }, { ...absent, trace: 0, traceId: 0 });
  assert.equal((await ask("PATCH /notes/b1", ada, { text: "stolen" })).status, 404);
  for (const path of ["/notes/b1?id=a1", "/notes/a1%2F..%2Fb1", "/notes/%62%31"]) {
    assert.notEqual((await ask(`GET ${path}`, ada)).status, 200, path);
  }
  assert.equal((await ask("PATCH /notes/b1", ada, { id: "a1", text: "stolen" })).status >= 400, true);
  assert.equal(notes.get("b1")?.text, "his");
  assert.equal((await ask("GET /notes/a1")).status, 401);
});

test("API2, broken authentication: no token, a forged one, one in the wrong place", async () => {
  const ada = await tokenOf("ada");
  const [head = "", payload = ""] = ada.split(".");
  const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`;
  for (const forged of ["x", none, `${head}.${payload}.AAAA`, `${ada}x`, `${head}.e30.${ada.split(".")[2]}`]) {
    const answer = await ask("GET /notes/a1", forged);
    assert.equal(answer.status, 401, forged);
    assert.match(String(answer.headers.get("www-authenticate")), /^Bearer /);
  }
  assert.equal((await ask(`GET /notes/a1?access_token=${ada}`)).status, 401);
  assert.equal((await ask("GET /notes/a1", undefined, undefined, { cookie: `token=${ada}` })).status, 401);
});

test("API3, broken object property level authorization: fields that are not declared neither go in nor out", async () => {
  const ada = await tokenOf("ada");
  assert.deepEqual(JSON.parse((await ask("GET /notes/a1", ada)).text), { id: "a1", text: "mine" });
  for (const more of [{ ownerId: "ada" }, { isPublished: true }, { __proto__x: 1 }]) {
    const answer = await ask("PATCH /notes/a1", ada, { text: "new", ...more });
    assert.equal(answer.status, 422, JSON.stringify(more));
  }
  const polluted = await ask("PATCH /notes/a1", ada, '{"text":"new","__proto__":{"isAdmin":true}}');
  assert.equal(polluted.status, 422);
  assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
  assert.deepEqual(notes.get("a1"), { id: "a1", ownerId: "ada", text: "mine", isPublished: false });
});

describe("API4, unrestricted resource consumption", () => {
  test("bodies, targets, headers, nesting and lists have limits, each with its status", async () => {
    const search = (body: unknown) => ask("POST /searches", undefined, body);
    assert.equal((await search({ words: ["a"], limit: 100 })).status, 200);
    assert.equal((await search({ words: ["a"], limit: 1_000_000 })).status, 422);
    assert.equal((await search({ words: Array(11).fill("a"), limit: 1 })).status, 422);
    assert.equal((await search({ words: ["a".repeat(51)], limit: 1 })).status, 422);
    assert.equal((await search("[".repeat(1000))).status, 400);
    assert.equal((await search(`{"words":[],"limit":1,"x":"${"a".repeat(2 * 1024 * 1024)}"}`)).status, 413);
    assert.equal((await ask(`GET /notes/${"a".repeat(9000)}`)).status, 414);
    assert.equal((await ask("GET /weather", undefined, undefined, { "x-large": "a".repeat(17_000) })).status, 431);
    const bomb = await ask("POST /searches", undefined, "x", { "content-encoding": "gzip" });
    assert.equal(bomb.status, 415);
  });

  test("a request that never ends costs its connection", async () => {
    const text = await say(
      "POST /searches HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    );
    assert.match(text, /^(?:HTTP\/1\.1 400 |$)/);
  });
});

test("API5, broken function level authorization: a role, a scope and another verb are asked for", async () => {
  const ada = await tokenOf("ada");
  assert.equal((await ask("POST /notes/a1/publication", ada)).status, 403);
  assert.equal(
    (await ask("POST /notes/a1/publication", await tokenOf("ada", { roles: ["Editor", "editor "] }))).status,
    403,
  );
  assert.equal((await ask("DELETE /notes", ada)).status, 403);
  assert.equal((await ask("DELETE /notes", await tokenOf("ada", { scopes: ["notes:purge:none"] }))).status, 403);
  for (const override of ["x-http-method-override", "x-method-override", "x-http-method"]) {
    const answer = await ask("GET /notes", await tokenOf("ada"), undefined, { [override]: "DELETE" });
    assert.equal(answer.status, 405, override);
  }
  assert.equal(notes.get("a1")?.isPublished, false);
  assert.equal(notes.size, 2);
  const editor = await tokenOf("eve", { roles: ["editor"] });
  assert.equal((await ask("POST /notes/a1/publication", editor)).status, 204);
});

test("API6, unrestricted access to sensitive business flows: as often as declared, for each caller", async () => {
  const bookAs = async (who: string) => (await ask("POST /bookings", await tokenOf(who), {})).status;
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) statuses.push(await bookAs("robot"));
  assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
  assert.equal(await bookAs("somebody"), 200);
});

describe("API7, server side request forgery", () => {
  const fetcher = createHttpFetcher({ clock: systemClock });

  test("an address that a user gave leads neither inside nor to the cloud's metadata", async () => {
    const before = insideHits;
    for (const host of [
      "127.0.0.1",
      "127.1",
      "2130706433",
      "0x7f000001",
      "0177.0.0.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "0.0.0.0",
      "localhost",
      "169.254.169.254",
      "[fd00:ec2::254]",
      "10.0.0.1",
      "192.168.0.1",
      "100.64.0.1",
    ]) {
      await assert.rejects(fetcher.getJson(`http://${host}:${insidePort}/`, { timeoutMs: 2000 } as object), host);
    }
    for (const url of ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://a:b@127.0.0.1/"]) {
      await assert.rejects(fetcher.getJson(url), url);
    }
    assert.equal(insideHits, before);
  });

  test("a redirect is not followed, by a fetch, by a call, or by the gateway", async () => {
    const before = insideHits;
    const allowed = createHttpFetcher({ clock: systemClock, egress: { allow: ["127.0.0.1"] } });
    lie = (_req, res) => void res.writeHead(302, { location: `http://127.0.0.1:${insidePort}/` }).end();
    assert.equal((await allowed.getJson(`http://127.0.0.1:${outsidePort}/`)).status, 302);
    assert.ok((await ask("GET /weather")).status >= 500);
    assert.equal((await ask("GET /old/page")).status, 302);
    assert.equal(insideHits, before);
  });

  test("nothing in a request chooses the outside system that it goes to", async () => {
    const before = insideHits;
    lie = (_req, res) => void res.writeHead(200, { "content-type": "text/plain" }).end("outside");
    for (const target of [
      `//127.0.0.1:${insidePort}/`,
      `/old/@127.0.0.1:${insidePort}/`,
      `/old//127.0.0.1:${insidePort}/`,
    ]) {
      await say(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${insidePort}\r\nConnection: close\r\n\r\n`);
    }
    await say(`GET http://127.0.0.1:${insidePort}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    await say(`CONNECT 127.0.0.1:${insidePort} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await ask("GET /old/a", undefined, undefined, { "x-forwarded-host": `127.0.0.1:${insidePort}` });
    assert.equal(insideHits, before);
  });
});

describe("API8, security misconfiguration", () => {
  test("TRACE, made-up methods and tunnels are refused", async () => {
    for (const verb of ["TRACE", "TRACK", "DEBUG", "PROPFIND", "CONNECT"]) {
      const text = await say(`${verb} /notes/a1 HTTP/1.1\r\nHost: a\r\nX-Secret: s3cret\r\nConnection: close\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 (?:40[05]|501) /, verb);
      assert.doesNotMatch(text, /s3cret/);
    }
  });

  test("a failure tells nothing of what is inside", async () => {
    const { status, text, headers } = await ask("GET /failure");
    assert.equal(status, 500);
    assert.doesNotMatch(text, /postgres|hunter2|10\.0\.0\.5|at .*\.ts|node_modules|Error:/);
    for (const name of ["server", "x-powered-by", "x-aspnet-version", "via"]) assert.equal(headers.get(name), null);
  });

  test("every answer has the headers that OWASP asks of an API, and no origin is let in", async () => {
    for (const line of ["GET /weather", "GET /nothing", "GET /failure", "POST /searches", "GET /notes/a1"]) {
      const { headers } = await ask(line, undefined, undefined, { origin: "https://evil.example" });
      assert.equal(headers.get("cache-control"), "no-store", line);
      assert.equal(headers.get("x-content-type-options"), "nosniff", line);
      assert.match(String(headers.get("content-security-policy")), /default-src 'none'; frame-ancestors 'none'/, line);
      assert.equal(headers.get("access-control-allow-origin"), null, line);
    }
  });
});

test("API9, improper inventory: what is not declared is not there, and a method without a route is not reached", async () => {
  for (const path of [
    "/admin",
    "/v0/notes/a1",
    "/.env",
    "/.git/config",
    "/metrics",
    "/health",
    "/internal",
    "/diary/internal",
  ]) {
    assert.equal((await ask(`GET ${path}`)).status, 404, path);
  }
  assert.equal((await ask("POST /diary.internal", undefined, {})).status, 404);
});

describe("API10, unsafe consumption of APIs: an outside system that lies", () => {
  const lies: readonly (readonly [string, typeof lie])[] = [
    ["a redirect", (_req, res) => void res.writeHead(302, { location: "http://127.0.0.1/" }).end()],
    ["another type", (_req, res) => void res.writeHead(200, { "content-type": "text/html" }).end("<h1>hi</h1>")],
    ["broken JSON", (_req, res) => void res.writeHead(200, { "content-type": "application/json" }).end('{"celsius":')],
    [
      "a wrong shape",
      (_req, res) => void res.writeHead(200, { "content-type": "application/json" }).end('{"celsius":"<script>"}'),
    ],
    [
      "an answer of 64 MiB",
      (_req, res) => {
        res.writeHead(200, { "content-type": "application/json" });
        res.end(`{"celsius":1,"x":"${"a".repeat(64 * 1024 * 1024)}"}`);
      },
    ],
    [
      "an answer that breaks off",
      (_req, res) => {
        res.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        res.write('{"celsius"');
        setImmediate(() => res.destroy());
      },
    ],
    ["its own error, with its insides", (_req, res) => void res.writeHead(500).end("Error at /srv/app/secret.js:1")],
  ];
  for (const [name, told] of lies) {
    test(`${name}: an error of ours, with nothing of it inside`, async () => {
      lie = told;
      const { status, text, headers } = await ask("GET /weather");
      assert.ok(status >= 500, `${status} ${text}`);
      assert.equal(headers.get("content-type"), "application/problem+json");
      assert.doesNotMatch(text, /script>|<h1>|secret\.js|aaaa/);
      assert.ok(text.length < 4000);
    });
  }
});
