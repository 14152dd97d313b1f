import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import type { Answer, Parts } from "./testing.ts";
import { request, talk, testGateway } from "./testing.ts";

const item = t.Object({ id: t.Integer({ minimum: 1 }) });
let gateway: Gateway;
let port = 0;

before(async () => {
  gateway = testGateway(
    {
      get: {
        method: method({ http: "GET /items/:id", access: "public", request: item, response: item }),
        handle: (q) => q,
      },
      remove: {
        method: method({ http: "DELETE /items/:id", access: "public", request: item }),
        handle: () => undefined,
      },
      post: {
        method: method({
          http: "POST /items",
          access: "public",
          request: t.Object({ name: t.String() }),
          response: t.Object({ name: t.String() }),
          bodyLimit: 100,
        }),
        handle: (q) => q,
      },
    },
    { limits: { urlLength: 1000, headerBytes: "4kb" } },
  );
  port = (await gateway.start()).port;
});
after(() => gateway.stop());

/** What every refusal is, whoever says it. */
function assertProblem(answer: Answer, status: number): void {
  assert.equal(answer.status, status, JSON.stringify(answer));
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.equal(Number(answer.headers["content-length"]), answer.body.length);
  const problem = JSON.parse(answer.body);
  assert.equal(problem.status, status);
  assert.equal(problem.executed, "no");
  assert.ok(problem.detail.length > 0 && problem.reason.length > 0);
}

interface Case {
  readonly name: string;
  readonly send: Parts;
  readonly status: number;
  readonly reason?: string;
  readonly header?: Readonly<Record<string, string | RegExp>>;
  /** Whether the connection ends after the answer. Default: it does not. */
  readonly closes?: boolean;
}

const host = "Host: test\r\n";
const long = "a".repeat(5000);

const refusals: readonly Case[] = [
  { name: "a path without a route", send: request("GET /nothing"), status: 404, reason: "ROUTE_NOT_FOUND" },
  { name: "a trailing slash", send: request("GET /items/1/"), status: 404 },
  { name: "a doubled slash", send: request("GET //items/1"), status: 404 },
  { name: "another case", send: request("GET /Items/1"), status: 404 },
  {
    name: "a known method where it is not offered",
    send: request("PATCH /items/1", {}, "{}"),
    status: 405,
    reason: "METHOD_NOT_ALLOWED",
    header: { allow: "GET, HEAD, DELETE, OPTIONS" },
  },
  { name: "GET where only POST is", send: request("GET /items"), status: 405, header: { allow: "POST, OPTIONS" } },
  {
    name: "a method that Node knows and nobody has",
    send: request("PROPFIND /items/1"),
    status: 501,
    reason: "METHOD_NOT_IMPLEMENTED",
  },
  { name: "TRACE", send: request("TRACE /items/1"), status: 501 },
  { name: "a method that nobody knows", send: request("BREW /pot"), status: 501, closes: true },
  { name: "a method that begins like another", send: request("GETX /items/1"), status: 501, closes: true },
  { name: "CONNECT", send: `CONNECT a:1 HTTP/1.1\r\n${host}\r\n`, status: 501, closes: true },
  { name: "a method in small letters", send: `get /items/1 HTTP/1.1\r\n${host}\r\n`, status: 400, closes: true },
  {
    name: "broken percent-encoding in the path",
    send: request("GET /items/%zz"),
    status: 400,
    reason: "URL_MALFORMED",
  },
  { name: "half a UTF-8 character in the path", send: request("GET /items/%c3"), status: 400, reason: "URL_MALFORMED" },
  { name: "broken percent-encoding beside any route", send: request("GET /%"), status: 400, reason: "URL_MALFORMED" },
  {
    name: "broken percent-encoding in the query",
    send: request("GET /items/1?a=%e0%a4"),
    status: 400,
    reason: "URL_MALFORMED",
  },
  { name: "a fragment", send: request("GET /items/1#top"), status: 400, reason: "URL_MALFORMED" },
  { name: "an asterisk for GET", send: request("GET *"), status: 400, reason: "URL_MALFORMED" },
  { name: "a relative target", send: request("GET items"), status: 400, closes: true },
  { name: "raw UTF-8 in the target", send: request("GET /\xc3\xa4"), status: 400, closes: true },
  { name: "a URL above its limit", send: request(`GET /${"a".repeat(1000)}`), status: 414, reason: "URL_TOO_LONG" },
  {
    name: "a URL above all headers' limit",
    send: request(`GET /${long}`),
    status: 414,
    reason: "URL_TOO_LONG",
    closes: true,
  },
  {
    name: "one header above the limit",
    send: request("GET /items/1", { X: long }),
    status: 431,
    reason: "HEADERS_TOO_LARGE",
    closes: true,
  },
  {
    name: "many headers above the limit",
    send: request("GET /items/1", Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`X-${i}`, "some value"]))),
    status: 431,
    closes: true,
  },
  {
    name: "an Accept that leaves JSON out",
    send: request("GET /items/1", { Accept: "text/html" }),
    status: 406,
    reason: "NOT_ACCEPTABLE",
  },
  {
    name: "an Accept that gives JSON no weight",
    send: request("GET /items/1", { Accept: "application/json;q=0, */*" }),
    status: 406,
  },
  {
    name: "an expectation other than 100-continue",
    send: request("POST /items", { Expect: "200-ok" }, "{}"),
    status: 417,
    closes: true,
  },
  {
    name: "no Host in HTTP/1.1",
    send: "GET /items/1 HTTP/1.1\r\n\r\n",
    status: 400,
    reason: "REQUEST_MALFORMED",
    closes: true,
  },
  { name: "two Hosts", send: `GET /items/1 HTTP/1.1\r\n${host}host: other\r\n\r\n`, status: 400, closes: true },
  {
    name: "two Authorizations",
    send: `GET /items/1 HTTP/1.1\r\n${host}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n`,
    status: 400,
    closes: true,
  },
  { name: "noise", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", status: 400, closes: true },
  { name: "HTTP/2 without asking", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505, closes: true },
  { name: "another version", send: `GET /items/1 HTTP/1.2\r\n${host}\r\n`, status: 505, closes: true },
  {
    name: "a bare line feed after the request line",
    send: `GET /items/1 HTTP/1.1\n${host}\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "bare line feeds after a header",
    send: "GET /items/1 HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    status: 400,
    closes: true,
  },
  { name: "bare carriage returns", send: "GET /items/1 HTTP/1.1\rHost: a\r\r", status: 400, closes: true },
  { name: "a folded header", send: `GET /items/1 HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`, status: 400, closes: true },
  { name: "a space before the colon", send: "GET /items/1 HTTP/1.1\r\nHost : a\r\n\r\n", status: 400, closes: true },
  { name: "a header without a name", send: `GET /items/1 HTTP/1.1\r\n${host}: a\r\n\r\n`, status: 400, closes: true },
  {
    name: "a zero byte in a header",
    send: `GET /items/1 HTTP/1.1\r\n${host}X: a\x00b\r\n\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "Content-Length with Transfer-Encoding",
    send: `POST /items HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "Transfer-Encoding with Content-Length",
    send: `POST /items HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "Content-Length twice",
    send: `POST /items HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
    status: 400,
    closes: true,
  },
  {
    name: "a list of lengths",
    send: `POST /items HTTP/1.1\r\n${host}Content-Length: 2, 2\r\n\r\n{}`,
    status: 400,
    closes: true,
  },
  {
    name: "a signed length",
    send: `POST /items HTTP/1.1\r\n${host}Content-Length: +2\r\n\r\n{}`,
    status: 400,
    closes: true,
  },
  {
    name: "a negative length",
    send: `POST /items HTTP/1.1\r\n${host}Content-Length: -2\r\n\r\n{}`,
    status: 400,
    closes: true,
  },
  {
    name: "an endless length",
    send: `POST /items HTTP/1.1\r\n${host}Content-Length: 99999999999999999999\r\n\r\n{}`,
    status: 400,
    closes: true,
  },
  {
    name: "a transfer coding other than chunked",
    send: `POST /items HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    status: 501,
    reason: "TRANSFER_CODING_UNKNOWN",
    closes: true,
  },
  {
    name: "a transfer coding that is no coding",
    send: `POST /items HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    status: 501,
    closes: true,
  },
  {
    name: "chunked twice",
    send: `POST /items HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "Transfer-Encoding in HTTP/1.0",
    send: `POST /items HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "a chunk without a size",
    send: `POST /items HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    status: 400,
    reason: "REQUEST_MALFORMED",
    closes: true,
  },
  {
    name: "a chunk longer than it says",
    send: `POST /items HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`,
    status: 400,
    closes: true,
  },
  {
    name: "a chunk that ends with a bare line feed",
    send: `POST /items HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n`,
    status: 400,
    closes: true,
  },
  {
    name: "endless chunk extensions",
    send: `POST /items HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;${"a".repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
    status: 400,
    closes: true,
  },
];

for (const { name, send, status, reason, header, closes } of refusals) {
  test(`refuses ${name} with ${status}`, async () => {
    const { answers, closed, text } = await talk(port, send, closes ? {} : { answers: 1 });
    assert.equal(answers.length, 1, JSON.stringify(text));
    const answer = answers[0] as Answer;
    assertProblem(answer, status);
    if (reason) assert.equal(JSON.parse(answer.body).reason, reason);
    for (const [key, value] of Object.entries(header ?? {})) assert.equal(answer.headers[key], value);
    assert.equal(closed, closes === true);
    assert.equal(answer.headers.connection, closes ? "close" : "keep-alive");
  });
}

test("HEAD has the headers of GET and no body, for answers and refusals alike", async () => {
  for (const path of ["/items/1", "/items/0", "/nothing", "/items"]) {
    const [get, head] = await Promise.all([
      talk(port, request(`GET ${path}`, { Connection: "close" })),
      talk(port, request(`HEAD ${path}`, { Connection: "close" })),
    ]);
    const [wanted, got] = [get.answers[0], head.answers[0]];
    assert.ok(wanted && got);
    assert.equal(got.status, wanted.status);
    assert.ok(head.text.endsWith("\r\n\r\n"), "no body");
    const { date: _date, ...headers } = got.headers;
    const { date: _other, ...wantedHeaders } = wanted.headers;
    if (path !== "/items") assert.deepEqual(headers, wantedHeaders);
  }
});

test("OPTIONS tells the methods of a path, and of the server", async () => {
  const cases = {
    "/items/7": "GET, HEAD, DELETE, OPTIONS",
    "/items": "POST, OPTIONS",
    "*": "GET, DELETE, POST, HEAD, OPTIONS",
  };
  for (const [path, allow] of Object.entries(cases)) {
    const { answers } = await talk(port, request(`OPTIONS ${path}`), { answers: 1 });
    assert.equal(answers[0]?.status, 204);
    assert.equal(answers[0]?.headers.allow, allow);
    assert.equal(answers[0]?.headers["content-length"], undefined);
  }
  const { answers } = await talk(port, request("OPTIONS /nothing"), { answers: 1 });
  assertProblem(answers[0] as Answer, 404);
});

test("an absolute target is served like its path", async () => {
  for (const target of ["http://test/items/5", "HTTPS://user@test:99/items/5?x=1"]) {
    const { answers } = await talk(port, request(`GET ${target}`), { answers: 1 });
    assert.equal(answers[0]?.body, '{"id":5}');
  }
});

test("serves HTTP/1.0, without Host, and closes", async () => {
  const { answers, closed } = await talk(port, "GET /items/5 HTTP/1.0\r\n\r\n");
  assert.equal(answers[0]?.body, '{"id":5}');
  assert.equal(closed, true);
});

test("an empty line before a request is skipped, and an upgrade that is not offered ignored", async () => {
  const upgrade = {
    Connection: "Upgrade, HTTP2-Settings",
    Upgrade: "h2c",
    "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
  };
  const { answers } = await talk(port, `\r\n${request("GET /items/5", upgrade)}`, { answers: 1 });
  assert.equal(answers[0]?.status, 200);
});
