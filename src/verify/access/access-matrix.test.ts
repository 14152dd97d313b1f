import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Model } from "../../app/index.ts";
import { app, buildModel } from "../../app/index.ts";
import type { TestApp } from "../../app/testing.ts";
import { startTestApp } from "../../app/testing.ts";
import { generateTokenSecret } from "../../identity/index.ts";
import { t } from "../../schema/index.ts";
import { contract, method, raw, resource, service, stream } from "../../service/index.ts";
import { expectationOf } from "./access-case.ts";
import type { AccessSample } from "./access-matrix.ts";
import { verifyAccess } from "./access-matrix.ts";
import { accessRequest } from "./access-request.ts";
import { createAccessTokens } from "./access-tokens.ts";
import { sampleMessage } from "./sample-message.ts";

const note = resource<{ owner: string }>()("note");
const notes = contract("notes", {
  methods: {
    list: method({ http: "GET /notes", access: "public" }),
    signIn: method({ http: "POST /sessions", errors: { PASSWORD_WRONG: "unauthenticated" }, access: "public" }),
    mine: method({ http: "GET /mine" }),
    show: method({
      http: "GET /notes/:id",
      request: t.Object({ id: t.String() }),
      access: { resource: note, can: (who, _, { owner }) => owner === who.subject },
    }),
    write: method({ http: "POST /notes", access: { scope: "notes:write" } }),
    purge: method({ http: "DELETE /notes", access: { role: "admin" } }),
    watch: stream({ http: "GET /watch", item: t.Object({ n: t.Integer() }), access: { scope: "notes:read" } }),
    file: raw({ http: "GET /files/*", access: "authenticated" }),
    inside: method({}),
  },
});

const definition = app({
  name: "notes",
  gateway: { authFailures: false },
  services: [
    service(notes, {
      resources: { note: ({ id }) => (id === "1" ? { owner: "ann" } : undefined) },
      methods: {
        async list() {},
        async signIn(_, { fail }) {
          throw fail("PASSWORD_WRONG", "No.");
        },
        async mine() {},
        async show() {},
        async write() {},
        async purge() {},
        async *watch() {
          yield { n: 1 };
        },
        file: async () => ({ body: "x" }),
        async inside() {},
      },
    }),
  ],
});
const samples: Readonly<Record<string, AccessSample>> = {
  "notes.show": { request: { id: "1" }, as: { subject: "ann" } },
};
const secret = generateTokenSecret();
let running: TestApp;
before(async () => {
  running = await startTestApp(definition, { settings: { tokenKey: secret } });
});
after(() => running.stop());

/** The same app, held against a Model in which one method is declared in another way. */
async function judged(name: string | undefined, change: object, given = samples) {
  const model = structuredClone(buildModel(definition)) as Model;
  for (const each of model.services[0]?.methods ?? []) if (each.name === name) Object.assign(each, change);
  const tokens = await createAccessTokens({ secret, name: "notes" });
  return verifyAccess({ model, url: running.url, tokens, samples: given });
}

describe("the access matrix", () => {
  test("finds nothing in an app that is as its Model says", async () => {
    const { verdict, rows } = await judged(undefined, {});
    assert.deepEqual(verdict.findings, []);
    assert.equal(verdict.valid, true);
    // Eight methods with routes; nine credentials each, and the verbs that nobody answers.
    assert.equal(verdict.counts.methods, 8);
    assert.equal(rows.filter(({ credential }) => credential !== "no such method").length, 8 * 9);
  });

  const mutants: readonly [claim: string, method: string, change: object, kind: "open" | "shut", how: RegExp][] = [
    ["is public and should not be", "list", { access: "authenticated" }, "open", /no token: 204, not 401/],
    ["lacks its scope", "mine", { access: "scoped", scopes: ["x"] }, "open", /without scopes and roles: 204, not 403/],
    ["lacks its role", "mine", { access: "scoped", roles: ["x"] }, "open", /without scopes and roles: 204, not 403/],
    ["is shut to those whom it is for", "write", { scopes: ["notes:other"] }, "shut", /right: 403, not open/],
    ["answers a verb that no method has", "purge", { http: null }, "open", /DELETE \/notes, no such method/],
  ];
  for (const [claim, name, change, kind, how] of mutants) {
    test(`finds a method that ${claim}`, async () => {
      const { verdict } = await judged(name, change);
      assert.equal(verdict.valid, false);
      assert.ok(
        verdict.findings.some((found) => found.kind === kind && how.test(found.message)),
        JSON.stringify(verdict.findings),
      );
    });
  }

  test("finds an object that strangers get", async () => {
    const given = { "notes.mine": { request: {}, as: { subject: "ann" } }, ...samples };
    const { verdict } = await judged("mine", { object: { resource: "note" } }, given);
    assert.match(JSON.stringify(verdict.findings), /of a stranger: 204, not hidden/);
  });

  test("knows nothing of an object without a sample, and says so", async () => {
    const { verdict } = await judged(undefined, {}, {});
    assert.equal(verdict.valid, "unknown");
    assert.match(verdict.doubts.join(), /notes\.show: its rule is about an object, and there is no sample/);
  });

  test("knows nothing of an app without routes", async () => {
    const tokens = await createAccessTokens({ secret, name: "notes" });
    const model = { ...buildModel(definition), services: [] };
    assert.equal((await verifyAccess({ model, url: running.url, tokens })).verdict.valid, "unknown");
  });
});

test("an object's owner needs no scope that the rule does not name", () => {
  const [method] = buildModel(definition).services[0]?.methods.filter(({ name }) => name === "show") ?? [];
  assert.ok(method);
  assert.equal(expectationOf(method, "without scopes and roles", true), "done");
  assert.equal(expectationOf(method, "right", false), undefined);
});

test("samples follow the schema, as far as one can without knowing what it means", () => {
  const schema = t.Object({
    id: t.String({ format: "uuid" }),
    size: t.Integer({ minimum: 3 }),
    kind: t.Union([t.Literal("a"), t.Literal("b")]),
    tags: t.Array(t.String({ minLength: 9 }), { minItems: 1 }),
    on: t.Boolean(),
    nothing: t.Null(),
    ratio: t.Number({ default: 0.5 }),
    left: t.Optional(t.String()),
  });
  assert.deepEqual(sampleMessage(JSON.parse(JSON.stringify(schema))), {
    id: "00000000-0000-4000-8000-000000000000",
    size: 3,
    kind: "a",
    tags: ["sampleeee"],
    on: false,
    nothing: null,
    ratio: 0.5,
  });
  assert.deepEqual(sampleMessage(null), {});
  assert.equal(sampleMessage({ enum: ["x", "y"] }), "x");
  assert.equal(sampleMessage(JSON.parse('{"examples":["e"]}')), "e");
});

test("a message is spread over path, query and body", () => {
  const http = { verb: "GET", path: "/a/:id/*", params: ["id", "*"] };
  assert.deepEqual(accessRequest(http, { id: "x/y", n: 1, deep: {} }), {
    verb: "GET",
    target: "/a/x%2Fy/sample?n=1",
    body: undefined,
  });
  assert.deepEqual(accessRequest({ verb: "PUT", path: "/a/:id", params: ["id"] }, { id: 1, n: 2 }), {
    verb: "PUT",
    target: "/a/1",
    body: '{"n":2}',
  });
});
