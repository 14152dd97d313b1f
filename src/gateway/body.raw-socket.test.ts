import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

const person = t.Object({ name: t.String({ minLength: 1 }), age: t.Optional(t.Integer({ minimum: 0 })) });
let gateway: Gateway;
let port = 0;
let calls = 0;

before(async () => {
  const count = (q: unknown) => {
    calls++;
    return q;
  };
  gateway = testGateway({
    create: {
      method: method({ http: "POST /people", access: "public", request: person, response: person, bodyLimit: 1000 }),
      handle: count,
    },
    replace: {
      method: method({
        http: "PUT /people/:id",
        access: "public",
        request: t.Object({ id: t.Integer(), name: t.Optional(t.String()), friends: t.Optional(t.Array(t.Integer())) }),
        response: t.Object({ id: t.Integer(), name: t.Optional(t.String()) }),
      }),
      handle: count,
    },
    patch: {
      method: method({ http: "PATCH /people", access: "public", request: person, response: person }),
      handle: count,
    },
    ping: { method: method({ http: "POST /ping", access: "public" }), handle: count },
    echo: {
      method: method({ http: "POST /echo", access: "public", request: t.Unknown(), response: t.Unknown() }),
      handle: count,
    },
    search: {
      method: method({
        http: "GET /search/:kind",
        access: "public",
        request: t.Object({
          kind: t.String(),
          q: t.Optional(t.String()),
          page: t.Optional(t.Integer()),
          exact: t.Optional(t.Boolean()),
          tags: t.Optional(t.Array(t.String())),
          ratios: t.Optional(t.Array(t.Number())),
        }),
        response: t.Unknown(),
      }),
      handle: count,
    },
    remove: {
      method: method({ http: "DELETE /people", access: "public", request: t.Object({ id: t.Integer() }) }),
      handle: count,
    },
  });
  port = (await gateway.start()).port;
});
after(() => gateway.stop());

interface Refusal {
  readonly name: string;
  readonly send: string;
  readonly status: number;
  readonly reason: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, string>>;
}

const chunked = (line: string, chunks: readonly string[], headers: Readonly<Record<string, string>> = {}) =>
  request(line, { "Content-Type": "application/json", "Transfer-Encoding": "chunked", ...headers }) +
  [...chunks, ""].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");

const refusals: readonly Refusal[] = [
  {
    name: "text that is no JSON, with its place",
    send: request("POST /people", {}, '{\n  "name": x\n}'),
    status: 400,
    reason: "JSON_MALFORMED",
    details: { position: 12, line: 2, column: 11, expected: "a value" },
  },
  {
    name: "JSON with something after it",
    send: request("POST /people", {}, '{"name":"a"} x'),
    status: 400,
    reason: "JSON_MALFORMED",
  },
  {
    name: "an empty body that says it is JSON",
    send: request("POST /people", {}, ""),
    status: 400,
    reason: "JSON_MALFORMED",
  },
  {
    name: "a byte-order mark",
    send: request("POST /people", {}, '\ufeff{"name":"a"}'),
    status: 400,
    reason: "JSON_MALFORMED",
  },
  {
    name: "bytes that are no UTF-8",
    send: `POST /people HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"name":"\xff"}`,
    status: 400,
    reason: "BODY_NOT_UTF8",
  },
  {
    name: "nesting above the limit",
    send: request("POST /echo", {}, "[".repeat(65) + "]".repeat(65)),
    status: 400,
    reason: "JSON_TOO_DEEP",
    details: { limit: 64 },
  },
  {
    name: "nesting of objects far above the limit",
    send: request("POST /echo", {}, '{"a":'.repeat(50_000)),
    status: 400,
    reason: "JSON_TOO_DEEP",
  },
  {
    name: "a body that is announced too large",
    send: request("POST /people", { "Content-Length": "1001", "Content-Type": "application/json" }),
    status: 413,
    reason: "BODY_TOO_LARGE",
    details: { limitBytes: 1000 },
  },
  {
    name: "a chunked body that becomes too large",
    send: chunked("POST /people", ["a".repeat(600), "a".repeat(600)]),
    status: 413,
    reason: "BODY_TOO_LARGE",
    details: { limitBytes: 1000 },
  },
  {
    name: "no length where a body is needed",
    send: request("POST /people"),
    status: 411,
    reason: "LENGTH_REQUIRED",
  },
  {
    name: "a body without a type",
    send: `POST /people HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`,
    status: 415,
    reason: "MEDIA_TYPE_UNSUPPORTED",
    header: { accept: "application/json" },
  },
  {
    name: "a form",
    send: request("POST /people", { "Content-Type": "application/x-www-form-urlencoded" }, "a=b"),
    status: 415,
    reason: "MEDIA_TYPE_UNSUPPORTED",
  },
  {
    name: "text",
    send: request("POST /people", { "Content-Type": "text/plain" }, "{}"),
    status: 415,
    reason: "MEDIA_TYPE_UNSUPPORTED",
  },
  {
    name: "another charset",
    send: request("POST /people", { "Content-Type": "application/json; charset=latin1" }, "{}"),
    status: 415,
    reason: "MEDIA_TYPE_UNSUPPORTED",
  },
  {
    name: "a coded body",
    send: request("POST /people", { "Content-Encoding": "gzip" }, "{}"),
    status: 415,
    reason: "MEDIA_TYPE_UNSUPPORTED",
    header: { "accept-encoding": "identity" },
  },
  {
    name: "a patch of another type",
    send: request("PATCH /people", { "Content-Type": "text/plain" }, "{}"),
    status: 415,
    reason: "MEDIA_TYPE_UNSUPPORTED",
    header: { "accept-patch": "application/json" },
  },
  {
    name: "a body for GET",
    send: request("GET /search/a", {}, "{}"),
    status: 400,
    reason: "BODY_UNEXPECTED",
  },
  { name: "a body for DELETE", send: request("DELETE /people?id=1", {}, "{}"), status: 400, reason: "BODY_UNEXPECTED" },
  {
    name: "a field of the message in the query of a request with a body",
    send: request("POST /people?age=3", {}, '{"name":"a"}'),
    status: 400,
    reason: "QUERY_UNEXPECTED",
  },
  {
    name: "every violation, by JSON Pointer",
    send: request("POST /people", {}, '{"name":"","age":-1}'),
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "an array where an object belongs",
    send: request("PUT /people/1", {}, "[]"),
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "null where an object belongs",
    send: request("PUT /people/1", {}, "null"),
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "a length of 0 where fields are needed",
    send: `POST /people HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`,
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "a path parameter that does not fit",
    send: request("PUT /people/x", {}, "{}"),
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "a query that does not fit",
    send: request("GET /search/a?page=1.5&exact=maybe&ratios=1&ratios=x"),
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "a list where one value belongs",
    send: request("GET /search/a?q=1&q=2"),
    status: 422,
    reason: "VALIDATION_FAILED",
  },
  {
    name: "an empty idempotency key",
    send: request("POST /ping", { "Idempotency-Key": '""' }),
    status: 400,
    reason: "IDEMPOTENCY_KEY_INVALID",
  },
];

for (const { name, send, status, reason, details, header } of refusals) {
  test(`refuses ${name} with ${status}, and nothing runs`, async () => {
    const before = calls;
    const answer = await ask(port, send);
    assert.equal(answer.status, status, answer.body);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    const problem = JSON.parse(answer.body);
    assert.equal(problem.status, status);
    assert.equal(problem.reason, reason);
    for (const [key, value] of Object.entries(details ?? {})) assert.deepEqual(problem[key], value);
    for (const [key, value] of Object.entries(header ?? {})) assert.equal(answer.headers[key], value);
    assert.equal(calls, before);
  });
}

test("names every violation at once", async () => {
  const { body } = await ask(port, request("POST /people", {}, '{"name":"","age":-1}'));
  const pointers = JSON.parse(body).violations.map((violation: { pointer: string }) => violation.pointer);
  assert.deepEqual(pointers.sort(), ["/age", "/name"]);
  const query = await ask(port, request("GET /search/a?page=1.5&exact=maybe&ratios=1&ratios=x"));
  const places = JSON.parse(query.body).violations.map((violation: { pointer: string }) => violation.pointer);
  assert.deepEqual(places.sort(), ["/exact", "/page", "/ratios/1"]);
});

const accepted: readonly { readonly name: string; readonly send: string; readonly body: unknown }[] = [
  { name: "JSON", send: request("POST /people", {}, '{"name":"a","age":3}'), body: { name: "a", age: 3 } },
  {
    name: "a query that names no field, beside a body",
    send: request("POST /people?utm_source=mail&ages=3", {}, '{"name":"a"}'),
    body: { name: "a" },
  },
  {
    name: "a path's own name in the query, which the path overrules",
    send: request("PUT /people/1?id=2", {}, '{"name":"a"}'),
    body: { id: 1, name: "a" },
  },
  {
    name: "JSON in another structured type",
    send: request("PATCH /people", { "Content-Type": "application/merge-patch+json" }, '{"name":"a"}'),
    body: { name: "a" },
  },
  {
    name: "a type with a charset",
    send: request("POST /people", { "Content-Type": 'Application/JSON ; Charset="UTF-8"; v=1' }, '{"name":"a"}'),
    body: { name: "a" },
  },
  { name: "UTF-8", send: request("POST /people", {}, '{"name":"žluť 🐎 \\u00e9"}'), body: { name: "žluť 🐎 é" } },
  { name: "a chunked body", send: chunked("POST /people", ['{"na', 'me":', '"a"}']), body: { name: "a" } },
  {
    name: "a chunked body with a trailer",
    send: `${chunked("POST /people", ['{"name":"a"}']).slice(0, -2)}X-Sum: 1\r\n\r\n`,
    body: { name: "a" },
  },
  {
    name: "the last of two equal keys",
    send: request("POST /people", {}, '{"name":"a","name":"b"}'),
    body: { name: "b" },
  },
  {
    name: "__proto__ and constructor, without harm and without trace",
    send: request(
      "POST /people",
      {},
      '{"__proto__":{"age":7,"polluted":true},"constructor":{"prototype":{"polluted":true}},"name":"a"}',
    ),
    body: { name: "a" },
  },
  {
    name: "a path parameter before a field of the same name",
    send: request("PUT /people/7", {}, '{"id":1,"name":"n"}'),
    body: { id: 7, name: "n" },
  },
  { name: "no body where none is needed", send: request("PUT /people/7"), body: { id: 7 } },
  {
    name: "no type with a length of 0",
    send: "PUT /people/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    body: { id: 7 },
  },
  {
    name: "the deepest nesting",
    send: request("POST /echo", {}, "[".repeat(64) + "]".repeat(64)),
    body: JSON.parse("[".repeat(64) + "]".repeat(64)),
  },
  {
    name: "many brackets side by side and inside strings",
    send: request("POST /echo", {}, `[${'"[[[[",[],'.repeat(100)}0]`),
    body: JSON.parse(`[${'"[[[[",[],'.repeat(100)}0]`),
  },
  {
    name: "numbers, booleans and arrays in a query",
    send: request("GET /search/books?page=2&exact=true&tags=a&tags=b%20c&ratios=0.5&q=1"),
    body: { kind: "books", page: 2, exact: true, tags: ["a", "b c"], ratios: [0.5], q: "1" },
  },
  {
    name: "one value where a list may be",
    send: request("GET /search/books?tags=a,b"),
    body: { kind: "books", tags: ["a,b"] },
  },
  {
    name: "percent-encoding and plus in a query",
    send: request("GET /search/a?q=%C5%BElu%C5%A5+%2B&&=&unknown"),
    body: { kind: "a", q: "žluť +" },
  },
  {
    name: "percent-encoding in a path",
    send: request("GET /search/a%2Fb%20%F0%9F%90%8E%25"),
    body: { kind: "a/b 🐎%" },
  },
  { name: "a query field named like a path parameter", send: request("GET /search/a?kind=b"), body: { kind: "a" } },
  {
    name: "__proto__ in a query",
    send: request("GET /search/a?__proto__=x&constructor=y&q=z"),
    body: { kind: "a", q: "z" },
  },
];

for (const { name, send, body } of accepted) {
  test(`takes ${name}`, async () => {
    const answer = await ask(port, send);
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual(JSON.parse(Buffer.from(answer.body, "latin1").toString()), body);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
}

test("a method without an answer says 204", async () => {
  const answer = await ask(port, request("POST /ping"));
  assert.equal(answer.status, 204);
  assert.equal(answer.headers["content-type"], undefined);
  assert.equal(answer.headers["content-length"], undefined);
  assert.equal(answer.headers["x-content-type-options"], "nosniff");
});

test("100 Continue is said when the body is wanted", async () => {
  const head = request("POST /people", {
    Expect: "100-continue",
    "Content-Length": "12",
    "Content-Type": "application/json",
  });
  const { text, answers } = await talk(port, [head, 50, '{"name":"a"}'], { answers: 1 });
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  assert.equal(answers[0]?.body, '{"name":"a"}');
});

test("a body that is refused by its head is never asked for", async () => {
  for (const [headers, status] of [
    [{ "Content-Length": "1001", "Content-Type": "application/json" }, 413],
    [{ "Content-Length": "12", "Content-Type": "text/plain" }, 415],
  ] as const) {
    const { text, answers, closed } = await talk(port, request("POST /people", { Expect: "100-continue", ...headers }));
    assert.doesNotMatch(text, /100 Continue/);
    assert.equal(answers[0]?.status, status);
    assert.equal(closed, true);
  }
});

test("a refused upload gets its answer although it is still sending", async () => {
  const megabyte = "a".repeat(1024 * 1024);
  const head = request("POST /people", {
    "Content-Length": String(20 * 1024 * 1024),
    "Content-Type": "application/json",
  });
  const { answers } = await talk(port, [head, megabyte, 20, megabyte, megabyte]);
  assert.equal(answers[0]?.status, 413);
  assert.equal(answers[0]?.headers.connection, "close");
});

test("a small body that nobody wanted does not cost the connection", async () => {
  const wrong = request("POST /people", { "Content-Type": "text/plain" }, "a".repeat(900));
  const { answers } = await talk(port, [wrong, request("POST /people", {}, '{"name":"a"}')], { answers: 2 });
  assert.deepEqual(
    answers.map(({ status }) => status),
    [415, 200],
  );
});
