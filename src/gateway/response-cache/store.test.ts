import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../../base/index.ts";
import { createPolicies } from "./policy.ts";
import type { CachedAnswer } from "./store.ts";
import { createCacheStore } from "./store.ts";

const makePolicy = createPolicies(createManualClock());

function answer(asked: Record<string, string>, told: Record<string, string>, tags: string[] = []): CachedAnswer {
  const headers = { "cache-control": "public, max-age=60", ...told };
  const policy = makePolicy({ url: "a", method: "GET", headers: asked }, { status: 200, headers });
  return { policy, status: 200, body: Buffer.from("k"), upstream: "a", tags };
}

test("of a request only what Vary names is kept, and whether somebody in particular asked", () => {
  const large = "x".repeat(14_000);
  const asked = {
    accept: large,
    authorization: large,
    "accept-language": "de",
    "cache-control": `max-stale, ${large}`,
  };
  const { policy } = answer(asked, { vary: "Accept-Language" });
  const { a, reqh } = policy.toObject();
  assert.deepEqual([a, reqh], [false, { authorization: "given", "accept-language": "de" }]);
  assert.ok(JSON.stringify(policy.toObject()).length < 500);
  assert.equal(
    policy.satisfiesWithoutRevalidation({ url: "a", method: "GET", headers: { "accept-language": "de" } }),
    true,
  );
  assert.equal(
    policy.satisfiesWithoutRevalidation({ url: "a", method: "GET", headers: { "accept-language": "fr" } }),
    false,
  );
  const refused = makePolicy(
    { url: "a", method: "GET", headers: { "cache-control": "no-store" } },
    { status: 200, headers: { "cache-control": "max-age=60" } },
  );
  assert.equal(refused.storable(), false);
});

test("headers and tags count as memory, and what is removed gives all of it back", () => {
  const store = createCacheStore(100_000);
  store.put("plain", answer({}, {}), undefined);
  const plain = store.bytes;
  store.put("headers", answer({}, { link: "x".repeat(10_000) }), undefined);
  assert.ok(store.bytes - plain > 10_000);
  const before = store.bytes;
  const tags = Array.from({ length: 100 }, (_, i) => `t${i}`);
  store.put("tags", answer({}, {}, tags), undefined);
  assert.ok(store.bytes - before > 10_000);
  for (const address of ["plain", "headers", "tags"]) store.remove(address);
  assert.deepEqual([store.bytes, store.count], [0, 0]);
  store.put("huge", answer({ accept: "x" }, { vary: "accept", link: "x".repeat(100_000) }), undefined);
  assert.equal(store.count, 0);
});

test("one answer of an address can be forgotten, and the others stay with their tags", () => {
  const store = createCacheStore(100_000);
  const [german, french] = [answer({}, {}, ["a", "de"]), answer({}, {}, ["a", "fr"])];
  store.put("x", german, undefined);
  const alone = store.bytes;
  store.put("x", french, undefined);
  store.forget("x", french);
  assert.deepEqual([store.of("x"), store.bytes], [[german], alone]);
  store.forget("x", french);
  store.forget("y", german);
  assert.deepEqual([store.purge(["fr"]), store.purge(["a"]), store.bytes], [0, 1, 0]);
  store.put("x", german, undefined);
  store.forget("x", german);
  assert.deepEqual([store.count, store.bytes], [0, 0]);
});
