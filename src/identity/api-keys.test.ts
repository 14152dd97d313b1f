import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, createSeededRandom, systemRandom } from "../base/index.ts";
import { hashOfApiKey, isSameHash, newApiKey, parseApiKey } from "./api-key.ts";
import { createApiKeyCheck } from "./api-keys.ts";
import { memoryApiKeys } from "./testing.ts";

test("a key says which it is, and that it is one, without a lookup", () => {
  for (let i = 0; i < 200; i++) {
    const { id, text } = newApiKey(systemRandom);
    assert.match(text, /^plk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/);
    assert.deepEqual(parseApiKey(text), { id, text });
    const at = 4 + (i % (text.length - 4));
    const typo = `${text.slice(0, at)}${text[at] === "7" ? "8" : "7"}${text.slice(at + 1)}`;
    assert.equal(parseApiKey(typo), undefined, typo);
  }
  const shop = newApiKey(systemRandom, "shop").text;
  assert.ok(parseApiKey(shop, "shop"));
  assert.equal(parseApiKey(shop), undefined);
});

test("keys do not repeat, and the same randomness makes the same key", () => {
  const seen = new Set(Array.from({ length: 2000 }, () => newApiKey(systemRandom).id));
  assert.equal(seen.size, 2000);
  assert.equal(newApiKey(createSeededRandom(1)).text, newApiKey(createSeededRandom(1)).text);
});

test("hashes are compared whole", () => {
  const hash = hashOfApiKey("a");
  assert.equal(isSameHash(hash, hashOfApiKey("a")), true);
  assert.equal(isSameHash(hash, hashOfApiKey("b")), false);
  assert.equal(isSameHash(hash, hash.slice(1)), false);
});

test("a key is looked up once in five seconds, and a revocation is heard of by then", async () => {
  const clock = createManualClock();
  const keys = memoryApiKeys();
  let lookups = 0;
  const store = {
    find: (id: string) => {
      lookups++;
      return keys.find(id);
    },
  };
  const check = createApiKeyCheck({ store, clock });
  const text = keys.make({ plan: "gold", tenant: "acme", roles: ["reader"], scopes: ["a"] });
  assert.equal(check.recall(text), undefined);
  const [first, second] = await Promise.all([check.authenticate(text), check.authenticate(text)]);
  assert.equal(first, second);
  assert.equal(lookups, 1);
  assert.deepEqual([first.subject, first.scopes], ["acme", ["a"]]);
  const { client_id, ...claims } = first.claims;
  assert.match(String(client_id), /^key:/);
  assert.deepEqual(claims, { plan: "gold", tenant: "acme", roles: ["reader"] });
  assert.equal(check.recall(text), first);
  const { id } = parseApiKey(text) as { id: string };
  Object.assign((await keys.find(id)) as object, { revokedAt: clock.wallNow() });
  await clock.advance(4999);
  assert.equal(check.recall(text), first);
  await clock.advance(1);
  assert.equal(check.recall(text), undefined);
  await assert.rejects(check.authenticate(text), { reason: "API_KEY_INVALID" });
  const before = lookups;
  await assert.rejects(check.authenticate(text), { reason: "API_KEY_INVALID" });
  await assert.rejects(check.authenticate("plk_x"), { reason: "API_KEY_INVALID" });
  assert.equal(lookups, before, "what was refused is remembered too, and what is no key is not looked up");
});

test("a key ends at its time, also while it is remembered", async () => {
  const clock = createManualClock();
  const keys = memoryApiKeys();
  const check = createApiKeyCheck({ store: keys, clock });
  const text = keys.make({ expiresAt: clock.wallNow() + 1000 });
  await check.authenticate(text);
  await clock.advance(999);
  assert.ok(check.recall(text));
  await clock.advance(1);
  assert.equal(check.recall(text), undefined);
  await assert.rejects(check.authenticate(text), { reason: "API_KEY_INVALID" });
});

test("lookups are bounded in number and time, and a database that fails refuses nobody for good", async () => {
  const clock = createManualClock();
  const keys = memoryApiKeys();
  const never = createApiKeyCheck({ store: { find: () => new Promise(() => {}) }, clock });
  const waiting = Array.from({ length: 64 }, () => never.authenticate(keys.make()));
  await assert.rejects(never.authenticate(keys.make()), { code: "unavailable", reason: "API_KEYS_BUSY" });
  const all = Promise.allSettled(waiting);
  await clock.advance(6000);
  assert.ok((await all).every((each) => each.status === "rejected" && each.reason.code === "unavailable"));
  let fails = true;
  const text = keys.make();
  const flaky = createApiKeyCheck({
    clock,
    store: {
      find: async (id) => {
        if (fails) throw new Error("away");
        return keys.find(id);
      },
    },
  });
  await assert.rejects(flaky.authenticate(text), /away/);
  fails = false;
  assert.ok(await flaky.authenticate(text));
});

test("a key's plan stands where tokens have theirs", async () => {
  const keys = memoryApiKeys();
  const check = createApiKeyCheck({ store: keys, clock: createManualClock(), planClaim: "https://shop.example/plan" });
  const { claims } = await check.authenticate(keys.make({ plan: "gold" }));
  assert.deepEqual([claims["https://shop.example/plan"], claims.plan], ["gold", "gold"]);
  const { claims: none } = await check.authenticate(keys.make({}));
  assert.equal("https://shop.example/plan" in none, false);
});
