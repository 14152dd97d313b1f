import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Principal } from "../base/index.ts";
import { createManualClock } from "../base/index.ts";
import { createCache, createMemoryCache } from "../cache/index.ts";
import { t } from "../schema/index.ts";
import { contract, method, service } from "./index.ts";
import { compileOperations } from "./operation.ts";
import { createTestScope, createTestUnit } from "./testing.ts";

const Thing = t.Object({ id: t.String(), made: t.Integer() });
const things = contract("things", {
  methods: {
    get: method({
      request: t.Object({ id: t.String(), note: t.Optional(t.String()) }),
      response: Thing,
      errors: { THING_UNKNOWN: "not_found", THING_BROKEN: "failed_precondition" },
      access: "public",
      cache: { ttl: "1m", tags: ({ id }) => [`thing:${id}`] },
    }),
    mine: method({ response: Thing, cache: { ttl: "1m" } }),
    fresh: method({ response: Thing, access: "public" }),
    asked: method({ response: t.Object({ by: t.String() }), access: "public", cache: { ttl: "1m" } }),
    tenant: method({ response: t.Object({ of: t.String() }), cache: { ttl: "1m" } }),
  },
});

async function createUnit() {
  let made = 0;
  const definition = service(things, {
    methods: {
      async get({ id }, { fail }) {
        made++;
        if (id === "absent") throw fail("THING_UNKNOWN", `There is no ${id}.`, { details: { id } });
        if (id === "broken") throw fail("THING_BROKEN", "It broke.");
        return { id, made };
      },
      mine: async (_request, { principal }) => ({ id: principal.subject, made: ++made }),
      fresh: async () => ({ id: "fresh", made: ++made }),
      asked: async (_request, { principal }) => ({ by: principal.subject }),
      tenant: async (_request, { principal }) => ({ of: String(principal.claims.tenant) }),
    },
  });
  const clock = createManualClock();
  const driver = createMemoryCache({ clock });
  await driver.open();
  const cache = createCache({ driver, namespace: "things", clock });
  const unit = createTestUnit(definition, { responses: cache });
  const call = (name: string, request: unknown = {}, principal?: Principal) =>
    (unit.calls.get(name) as NonNullable<ReturnType<typeof unit.calls.get>>)(
      request,
      createTestScope(principal ? { principal } : {}),
    );
  return { cache, call, clock, made: () => made };
}

const user = (subject: string, scopes: readonly string[] = []): Principal => ({
  kind: "user",
  subject,
  scopes,
  claims: {},
});

describe("a method with `cache:`", () => {
  test("answers again without its handler, and each request apart", async () => {
    const { call, made } = await createUnit();
    assert.deepEqual(await call("get", { id: "a" }), { id: "a", made: 1 });
    assert.deepEqual(await call("get", { id: "a" }), { id: "a", made: 1 });
    assert.deepEqual(await call("get", { id: "a", note: "x".repeat(400) }), { id: "a", made: 2 });
    assert.deepEqual(await call("get", { id: "a", note: "x".repeat(400) }), { id: "a", made: 2 });
    assert.deepEqual(await call("get", { id: "b" }), { id: "b", made: 3 });
    assert.equal(made(), 3);
  });

  test("runs its handler once for all who ask at the same time", async () => {
    const { call, made } = await createUnit();
    await Promise.all(Array.from({ length: 50 }, () => call("get", { id: "a" })));
    assert.equal(made(), 1);
  });

  test("answers anew once one of its tags is invalidated", async () => {
    const { call, cache } = await createUnit();
    await call("get", { id: "a" });
    await call("get", { id: "b" });
    await cache.invalidate("thing:a");
    assert.deepEqual(await call("get", { id: "a" }), { id: "a", made: 3 });
    assert.deepEqual(await call("get", { id: "b" }), { id: "b", made: 2 });
  });

  test("gives nobody the answer of another, nor one made under other scopes", async () => {
    const { call } = await createUnit();
    assert.deepEqual(await call("mine", {}, user("ada")), { id: "ada", made: 1 });
    assert.deepEqual(await call("mine", {}, user("bob")), { id: "bob", made: 2 });
    assert.deepEqual(await call("mine", {}, user("ada", ["admin"])), { id: "ada", made: 3 });
    assert.deepEqual(await call("mine", {}, user("ada")), { id: "ada", made: 1 });
    await assert.rejects(call("mine"), { code: "unauthenticated" });
  });

  test("makes what all will get as if nobody were signed in", async () => {
    const { call } = await createUnit();
    assert.deepEqual(await call("asked", {}, user("admin")), { by: "" });
    assert.deepEqual(await call("asked"), { by: "" });
  });

  test("tells callers apart by their claims, and not by their tokens", async () => {
    const { call } = await createUnit();
    const ada = (tenant: string, jti: string) => ({ ...user("ada"), claims: { tenant, jti } });
    assert.deepEqual(await call("tenant", {}, ada("acme", "1")), { of: "acme" });
    assert.deepEqual(await call("tenant", {}, ada("globex", "1")), { of: "globex" });
    assert.deepEqual(await call("tenant", {}, ada("acme", "2")), { of: "acme" });
  });

  test("keeps a declared not_found with all that it said, and no other error", async () => {
    const { call, made } = await createUnit();
    const absent = { code: "not_found", reason: "THING_UNKNOWN", message: "There is no absent.", executed: "yes" };
    for (let i = 0; i < 2; i++) {
      await assert.rejects(call("get", { id: "absent" }), (thrown: any) => {
        for (const [field, value] of Object.entries(absent)) assert.equal(thrown[field], value);
        assert.deepEqual(thrown.details, { id: "absent" });
        return true;
      });
    }
    assert.equal(made(), 1);
    for (let i = 0; i < 2; i++) await assert.rejects(call("get", { id: "broken" }), { reason: "THING_BROKEN" });
    assert.equal(made(), 3);
  });

  test("keeps a not_found for ten seconds at most, which is less than an answer", async () => {
    const { call, made, clock } = await createUnit();
    await assert.rejects(call("get", { id: "absent" }));
    await call("get", { id: "a" });
    await clock.advance(12_000);
    await assert.rejects(call("get", { id: "absent" }));
    await call("get", { id: "a" });
    assert.equal(made(), 3);
  });

  test("changes nothing for its neighbours", async () => {
    const { call } = await createUnit();
    await call("fresh");
    assert.deepEqual(await call("fresh"), { id: "fresh", made: 2 });
  });
});

test("an answer kept by another version is not served", async () => {
  const driver = createMemoryCache();
  await driver.open();
  const cache = createCache({ driver, namespace: "things" });
  const versions = [t.Object({ a: t.Integer() }), t.Object({ a: t.Integer(), b: t.Integer() })].map((response) => {
    const definition = contract("things", {
      methods: { get: method({ response, access: "public", cache: { ttl: "1m" } }) },
    });
    const unit = createTestUnit(service(definition, { methods: { get: async () => ({ a: 1, b: 2 }) } }), {
      responses: cache,
    });
    return () => unit.calls.get("get")?.({}, createTestScope());
  });
  assert.deepEqual(await versions[0]?.(), { a: 1 });
  assert.deepEqual(await versions[1]?.(), { a: 1, b: 2 });
  assert.deepEqual(await versions[0]?.(), { a: 1 });
});

test("refuses a cache that cannot be, with the remedy", () => {
  const problems: string[] = [];
  compileOperations(
    contract("odd", {
      methods: {
        posted: method({ http: "POST /a", response: Thing, cache: { ttl: "1s" } }),
        empty: method({ cache: { ttl: "1s" } }),
        long: method({ response: Thing, cache: { ttl: "31d", stale: "0s" as never } }),
        bytes: method({ response: t.Object({ file: t.Bytes() }), cache: { ttl: "1s" } }),
      },
    }),
    problems,
  );
  assert.deepEqual(problems, [
    'odd.posted: cache: only a method with a GET route, or with none, can be cached; remove "cache" or change "http".',
    'odd.empty: cache: there is no answer to keep; declare "response" or remove "cache".',
    'odd.long: cache.ttl: "31d" cannot be; give "1ms" to "30d", such as "30s".',
    'odd.long: cache.stale: "0s" cannot be; give "1ms" to "30d", such as "30s".',
    'odd.bytes: cache: an answer with t.Bytes() cannot be kept; answer with text or remove "cache".',
  ]);
});
