import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { compileOperations, contract, event, external, method, raw, stream } from "./index.ts";

function problemsOf(declared: Parameters<typeof method>[0] | ReturnType<typeof raw>): string[] {
  const problems: string[] = [];
  const definition = "kind" in declared ? declared : method(declared);
  compileOperations(contract("shop", { methods: { buy: definition } }), problems);
  return problems;
}

const refusals: readonly [claim: string, options: Parameters<typeof problemsOf>[0], message: RegExp][] = [
  [
    "a route that is none",
    { http: "GET products" as never },
    /shop\.buy: http: .* write a method and a path, such as "GET \/products\/:id"/,
  ],
  ["a query in a route", { http: "GET /a?b=1" }, /leave the query out/],
  [
    "a parameter in braces",
    { http: "GET /a/{id}" },
    /shop\.buy: http: "\{id\}" is no part of a path; .* write ":id", not/,
  ],
  ["a part that is half a parameter", { http: "GET /a/x:id" }, /"x:id" is no part of a path/],
  ["a nameless parameter", { http: "GET /a/:" }, /":" is no part of a path/],
  ["an empty part in the middle", { http: "GET /a//b" }, /"" is no part of a path/],
  [
    "an access rule that is none",
    { access: { scopes: "a" } as never },
    /shop\.buy: access: \{"scopes":"a"\} is no access rule; write "public"/,
  ],
  ["an access rule of no scopes", { access: { scope: [] } }, /is no access rule/],
  ["an access rule whose scope is two words", { access: { scope: "a b" } }, /is no access rule/],
  ["an access rule with a word of its own", { access: "private" as never }, /"private" is no access rule/],
  ["no access rule at all", { access: null as never }, /null is no access rule/],
  [
    "a parameter that the request lacks",
    { http: "GET /a/:id", request: t.Object({}) },
    /":id" but the request has no field "id"; add it/,
  ],
  ["a parameter named twice", { http: "GET /:a/:a", request: t.Object({ a: t.String() }) }, /named twice/],
  ["a wildcard where no raw method is", { http: "GET /a/*" }, /only a raw method can take a wildcard/],
  ["an unknown error code", { errors: ["gone" as never] }, /"gone" is no error code; use one of the sixteen/],
  ["a reason in small letters", { errors: { tooLate: "aborted" } }, /"tooLate" is no reason; write it in capitals/],
  ["a deadline that is none", { deadline: "soon" as never }, /shop\.buy: deadline: "soon" is no duration/],
  ["a deadline of nothing", { deadline: 0 }, /leaves no time/],
  ["a body limit that is none", { bodyLimit: "big" as never }, /shop\.buy: bodyLimit: "big" is no size/],
  [
    "a cache on what is no GET",
    { http: "POST /a", response: t.Object({}), cache: { ttl: "1s" } },
    /only a method with a GET route, or with none, can be cached/,
  ],
];

for (const [claim, options, message] of refusals) {
  test(`refuses ${claim}`, () => assert.match(problemsOf(options).join("\n"), message));
}

test("refuses a schema that cannot be compiled, and names the method and the field", () => {
  const schema = { "~standard": { version: 1, vendor: "odd", validate: () => ({ value: 1 }) } };
  assert.match(problemsOf({ request: schema as never }).join("\n"), /shop\.buy: request: /);
});

test("a method's facts follow from its route unless it says otherwise", () => {
  const problems: string[] = [];
  const operations = compileOperations(
    contract("shop", {
      methods: {
        get: method({
          http: "GET /a/:id",
          request: t.Object({ id: t.String() }),
          response: t.Object({}),
          cache: { ttl: "2s" },
          access: "public",
        }),
        put: method({ http: "PUT /a/:id", request: t.Object({ id: t.String() }) }),
        post: method({
          http: "POST /a",
          response: t.Object({}),
          status: 201,
          deadline: "2s",
          bodyLimit: "2kb",
          errors: ["not_found"],
        }),
        safe: method({ idempotent: true }),
        keyed: method({ http: "PUT /b", idempotent: "keyed" }),
        root: raw({ http: "GET /" }),
        slash: method({ http: "GET /a.b/c_d~e-f/", access: { scope: ["orders:read", "b"] } }),
        list: stream({ http: "GET /list", item: t.Object({}) }),
        file: raw({ http: "GET /files/*" }),
        upload: raw({ http: "POST /files/*", idempotent: true }),
      },
    }),
    problems,
  );
  assert.deepEqual(problems, []);
  const get = operations.get("get");
  assert.deepEqual(get?.route, { verb: "GET", path: "/a/:id", params: ["id"] });
  const kept = { ttlMs: 2000, private: false, tagsOf: undefined, staleMs: undefined, staleIfErrorMs: undefined };
  assert.deepEqual(get?.cache, kept);
  assert.equal(get?.idempotent, true);
  assert.equal(operations.get("put")?.status, 204);
  assert.equal(operations.get("put")?.access, "authenticated");
  const post = operations.get("post");
  assert.deepEqual([post?.status, post?.deadlineMs, post?.bodyLimitBytes, post?.idempotent], [201, 2000, 2048, false]);
  assert.deepEqual([...(post?.errors ?? [])], [["NOT_FOUND", "not_found"]]);
  const repeats = (name: string) => [operations.get(name)?.idempotent, operations.get(name)?.keyed];
  assert.deepEqual(
    [repeats("safe"), repeats("keyed")],
    [
      [true, false],
      [false, true],
    ],
  );
  assert.deepEqual([operations.get("file")?.idempotent, operations.get("upload")?.idempotent], [false, true]);
  assert.equal(operations.get("list")?.kind, "stream");
  assert.deepEqual(operations.get("file")?.route?.params, ["*"]);
});

test("a contract refuses names that would not read well in routes, metrics and tables", () => {
  assert.throws(
    () => contract("Cat-alog", { methods: {} }),
    (thrown) => thrown instanceof StartError && /such as "catalog"/.test(thrown.message),
  );
  for (const name of ["then", "constructor"]) {
    assert.throws(() => contract("catalog", { methods: { [name]: method({}) } }), /choose another name/);
  }
  assert.throws(() => contract("catalog", { methods: { GetIt: method({}) } }), /catalog\.GetIt: a method's name/);
  assert.throws(
    () =>
      contract("catalog", {
        methods: {},
        events: { priceChanged: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
      }),
    /catalog\.priceChanged: an event's name begins with a capital/,
  );
});

test("a contract's events are its members and know whose they are", () => {
  const catalog = contract("catalog", {
    methods: {},
    events: { PriceChanged: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
  });
  assert.equal(catalog.PriceChanged.id, "catalog.PriceChanged");
  assert.equal(catalog.PriceChanged, catalog.events.PriceChanged);
});

test("external refuses what cannot be called over HTTP, all at once", () => {
  const odd = contract("odd", {
    methods: { hidden: method({}), hook: raw({ http: "POST /x" }) },
    events: { Happened: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
  });
  assert.throws(
    () => external(odd, "ftp://x"),
    (thrown) =>
      thrown instanceof StartError && thrown.problems.length === 4 && /hidden has no "http" route/.test(thrown.message),
  );
  const fine = contract("fine", { methods: { get: method({ http: "GET /a" }) } });
  assert.equal(external(fine, "https://a.example/").url, "https://a.example");
});
