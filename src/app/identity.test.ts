import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock, systemRandom } from "../base/index.ts";
import type { IdentityOptions } from "../identity/index.ts";
import {
  apiKeys,
  createApiKeyStore,
  createTokenIssuer,
  createTokenKeys,
  generateTokenSecret,
  identitySchema,
  issuer,
  migrateIdentity,
} from "../identity/index.ts";
import { startIssuer } from "../identity/testing.ts";
import { t } from "../schema/index.ts";
import { contract, method, service, tokens } from "../service/index.ts";
import { createLogger } from "../telemetry/index.ts";
import type { AppService, GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { readProcessSettings } from "./settings.ts";
import { createStores } from "./stores.ts";
import { startTestApp } from "./testing.ts";

const who = contract("who", {
  methods: {
    ask: method({ http: "GET /who", response: t.Object({ subject: t.String(), issuer: t.String() }) }),
    write: method({ http: "POST /who", access: { scope: "who:write" }, response: t.Object({}) }),
  },
});
const whoService = service(who, {
  methods: {
    ask: async (_, { principal }) => ({ subject: principal.subject, issuer: String(principal.claims.iss ?? "own") }),
    write: async () => ({}),
  },
});

test("an app believes itself and an issuer elsewhere, each with its own keys", async (context) => {
  const remote = await startIssuer({ now: () => systemClock.wallNow() });
  context.after(() => remote.stop());
  const secret = generateTokenSecret();
  const definition = app({
    name: "shop",
    services: [whoService],
    gateway: { identity: { issuers: [issuer({ url: remote.url, audience: "shop" })] } },
  });
  const running = await startTestApp(definition, { settings: { tokenKey: secret } });
  context.after(() => running.stop());
  assert.deepEqual(remote.requests, [], "an app starts without its issuers");
  const ask = async (token: string) => {
    const answer = await fetch(`${running.url}/who`, { headers: { authorization: `Bearer ${token}` } });
    return [answer.status, await answer.json(), answer.headers.get("www-authenticate")] as const;
  };
  const keys = await createTokenKeys({ secret });
  const own = await createTokenIssuer({ keys, issuer: "shop", audience: "shop" }).issue({ subject: "ada" });
  assert.deepEqual((await ask(own.token))[1], { subject: "ada", issuer: "own" });
  assert.deepEqual((await ask(await remote.sign()))[1], { subject: "u1", issuer: remote.url });
  const [status, , challenge] = await ask(await remote.sign({ iss: "shop" }));
  assert.deepEqual([status, challenge], [401, 'Bearer realm="shop", error="invalid_token"']);
});

const secret = generateTokenSecret();

async function startedWith(
  identity: IdentityOptions,
  environment: Record<string, string> = {},
  services: readonly AppService[] = [whoService],
  limits: Pick<GatewayOptions, "plans" | "planOf"> = {},
) {
  return startTestApp(app({ name: "shop", services, gateway: { identity, ...limits } }), {
    settings: { tokenKey: secret },
    environment,
  });
}

async function ownToken(subject: string) {
  const keys = await createTokenKeys({ secret });
  return (await createTokenIssuer({ keys, issuer: "shop", audience: "shop" }).issue({ subject })).token;
}

test("PLINTH_ISSUER is the one line that changes whom an app believes", async (context) => {
  const now = () => systemClock.wallNow();
  const [declared, other] = [await startIssuer({ now }), await startIssuer({ now })];
  context.after(() => Promise.all([declared.stop(), other.stop()]));
  const running = await startedWith(
    { issuers: [issuer({ url: declared.url, audience: "nobody" })] },
    { PLINTH_ISSUER: other.url, PLINTH_AUDIENCE: "the-api" },
  );
  context.after(() => running.stop());
  const ask = async (token: string) =>
    (await fetch(`${running.url}/who`, { headers: { authorization: `Bearer ${token}` } })).status;
  assert.equal(await ask(await other.sign({ aud: "the-api" })), 200);
  assert.equal(await ask(await other.sign({ aud: "nobody" })), 401);
  assert.equal(await ask(await declared.sign({ aud: "the-api" })), 401);
  assert.equal(await ask(await ownToken("ada")), 200);
  const named = issuer({ name: "main", url: "https://a.example", audience: "a" });
  const two = [named, issuer({ url: "https://b.example", audience: "b" })];
  await assert.rejects(startedWith({ issuers: two }, { PLINTH_ISSUER: other.url }), /PLINTH_ISSUERS="main=https/);
  await assert.rejects(startedWith({ issuers: two }, { PLINTH_ISSUERS: `mian=${other.url}` }), /there are main/);
  await assert.rejects(startedWith({}, { PLINTH_AUDIENCE: "x" }), /no issuer/);
});

test("an API key lets its owner in, with its scopes and its plan, until it is taken back", async (context) => {
  const clock = { ...systemClock };
  const folder = await mkdtemp(join(tmpdir(), "plinth-keys-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const stores = await createStores({
    settings: readProcessSettings({ PLINTH_DATA: folder }),
    needsDatabase: true,
    needsShards: false,
    needsCache: false,
    applicationName: "test",
    clock,
    random: systemRandom,
    log: createLogger({ level: "silent" }),
  });
  const database = stores.databaseOf(identitySchema);
  const keyStore = createApiKeyStore({ database, clock, random: systemRandom });
  await stores.database?.open();
  await migrateIdentity(database);
  const made = await keyStore.create({ subject: "acme", name: "nightly", scopes: ["who:write"], plan: "gold" });
  const [record] = await keyStore.list();
  assert.deepEqual(record, made.record);
  assert.ok(!JSON.stringify(record).includes(made.key));
  const next = await keyStore.rotate(made.record.id, 60_000);
  assert.equal((await keyStore.find(made.record.id))?.successor, next.record.id);
  const gone = await keyStore.create({ subject: "acme", ttlMs: -1000 });
  const revoked = await keyStore.create({ subject: "acme" });
  const plain = await keyStore.create({ subject: "bob" });
  await keyStore.revoke(revoked.record.id);
  await assert.rejects(keyStore.rotate(revoked.record.id, 0), { reason: "API_KEY_UNKNOWN" });
  await assert.rejects(keyStore.revoke("nobody"), { reason: "API_KEY_UNKNOWN" });
  await stores.database?.close();

  // The plan of a token stands in a claim of this name; that of a key does too.
  const planOf = { claim: "https://shop.example/plan" };
  const plans = { free: [{ quota: 100, window: "1m" as const }], gold: [{ quota: 1000, window: "1m" as const }] };
  const environment = { DATABASE_URL: `pglite:${folder}/database` };
  const running = await startedWith({ apiKeys: apiKeys() }, environment, [whoService], { plans, planOf });
  context.after(() => running.stop());
  const write = async (key: string) => {
    const answer = await fetch(`${running.url}/who`, { method: "POST", headers: { "x-api-key": key } });
    return [answer.status, answer.headers.get("ratelimit-policy")?.split(";", 2).join(";")] as const;
  };
  assert.deepEqual(await write(made.key), [200, '"gold-principal-1m";q=1000']);
  assert.deepEqual(await write(plain.key), [403, '"free-principal-1m";q=100']);
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetch(`${running.url}/who`, { headers });
    const body = (await answer.json()) as Record<string, unknown>;
    return [answer.status, body.subject ?? body.reason, answer.headers.get("www-authenticate")] as const;
  };
  assert.deepEqual((await ask({ "x-api-key": made.key })).slice(0, 2), [200, "acme"]);
  assert.deepEqual((await ask({ "x-api-key": made.key })).slice(0, 2), [200, "acme"]);
  assert.deepEqual((await ask({ authorization: `ApiKey ${next.key}` })).slice(0, 2), [200, "acme"]);
  const told = (error: string) => `Bearer realm="shop", ApiKey realm="shop"${error}, header="X-API-Key"`;
  for (const bad of [gone.key, revoked.key, `${made.key.slice(0, -1)}!`, "x"]) {
    assert.deepEqual(await ask({ "x-api-key": bad }), [401, "API_KEY_INVALID", told(', error="invalid_token"')]);
  }
  assert.deepEqual(await ask({}), [401, "TOKEN_MISSING", told("")]);
  const both = await ask({ "x-api-key": made.key, authorization: `Bearer ${await ownToken("ada")}` });
  assert.deepEqual(both.slice(0, 2), [400, "CREDENTIALS_AMBIGUOUS"]);
});

const door = contract("door", {
  methods: {
    enter: method({ http: "POST /door", access: "public", response: t.Object({ token: t.String(), id: t.String() }) }),
    leave: method({ http: "DELETE /door/:id", access: "public", request: t.Object({ id: t.String() }) }),
    leaveAll: method({ http: "DELETE /door", access: "public" }),
  },
});
const doorService = service(door, {
  needs: { tokens: tokens() },
  methods: {
    enter: (_, { tokens }) => tokens.issue({ subject: "ada" }),
    leave: ({ id }, { tokens }) => tokens.revoke({ id }),
    leaveAll: (_, { tokens }) => tokens.revoke({ subject: "ada" }),
  },
});

async function enter(url: string): Promise<{ token: string; id: string }> {
  return (await (await fetch(`${url}/door`, { method: "POST" })).json()) as { token: string; id: string };
}

async function statusWith(url: string, token: string): Promise<number> {
  return (await fetch(`${url}/who`, { headers: { authorization: `Bearer ${token}` } })).status;
}

test("a service signs a token and takes it back", async (context) => {
  const { url, stop } = await startedWith({}, {}, [whoService, doorService]);
  context.after(stop);
  const [first, second] = [await enter(url), await enter(url)];
  const both = async () => [await statusWith(url, first.token), await statusWith(url, second.token)];
  assert.deepEqual(await both(), [200, 200]);
  assert.equal((await fetch(`${url}/door/${first.id}`, { method: "DELETE" })).status, 204);
  assert.deepEqual(await both(), [401, 200]);
  await fetch(`${url}/door`, { method: "DELETE" });
  assert.deepEqual(await both(), [401, 401]);
});

test("what one process takes back, another refuses, over a Redis that they share", async (context) => {
  const redis = process.env.PLINTH_TEST_REDIS_URL;
  if (!redis) return context.skip("PLINTH_TEST_REDIS_URL is not set");
  const services = [whoService, doorService];
  const here = await startedWith({}, { CACHE_URL: redis }, services);
  const there = await startedWith({}, { CACHE_URL: redis }, services);
  context.after(() => Promise.all([here.stop(), there.stop()]));
  const [first, second] = [await enter(here.url), await enter(here.url)];
  assert.equal(await statusWith(there.url, second.token), 200);
  await fetch(`${here.url}/door/${first.id}`, { method: "DELETE" });
  assert.equal(await statusWith(there.url, first.token), 401);
  assert.equal(await statusWith(there.url, second.token), 200);
});

test("a token is not taken back where nobody who checks tokens would hear of it", async (context) => {
  const definition = app({
    name: "shop",
    services: [whoService, doorService],
    placement: { edge: ["gateway", "who"], back: ["door"] },
  });
  const running = await startTestApp(definition, { placement: "groups", settings: { tokenKey: secret } });
  context.after(() => running.stop());
  const { token, id } = await enter(running.url);
  const answer = await fetch(`${running.url}/door/${id}`, { method: "DELETE" });
  assert.equal(answer.status, 500, "the handler was promised what cannot be, and nobody is told that it was done");
  assert.equal(await statusWith(running.url, token), 200);
});

test("an app that knows its address says whose tokens it takes", async (context) => {
  const running = await startedWith({
    url: "https://api.example.com/v1",
    dpop: true,
    issuers: [issuer({ url: "https://login.example.com", audience: "a" })],
  });
  context.after(() => running.stop());
  const answer = await fetch(`${running.url}/.well-known/oauth-protected-resource/v1`);
  assert.equal(answer.headers.get("content-type"), "application/json");
  assert.deepEqual(await answer.json(), {
    resource: "https://api.example.com/v1",
    authorization_servers: ["https://login.example.com"],
    scopes_supported: ["who:write"],
    bearer_methods_supported: ["header"],
    dpop_signing_alg_values_supported: ["ES256", "EdDSA", "Ed25519"],
  });
  const about = 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/v1"';
  assert.equal(
    (await fetch(`${running.url}/who`)).headers.get("www-authenticate"),
    `Bearer realm="shop", ${about}, DPoP realm="shop", algs="ES256 EdDSA Ed25519", ${about}`,
  );
});

test("the Model says whom an app believes, and no secret", () => {
  const trusted = issuer({ name: "main", url: "https://login.example.com", audience: "a", typ: "any" });
  const local = issuer({ url: "here", audience: ["b", "c"], algorithms: ["ES256"], keys: { keys: [] } });
  const identity = { issuers: [trusted, local], apiKeys: apiKeys(), dpop: true, ownTokens: false };
  assert.deepEqual(buildModel(app({ name: "shop", services: [whoService], gateway: { identity } })).identity, {
    ownTokens: false,
    issuers: [
      { name: "main", url: "https://login.example.com", audiences: ["a"], algorithms: null, typ: "any", local: false },
      { name: null, url: "here", audiences: ["b", "c"], algorithms: ["ES256"], typ: "at+jwt", local: true },
    ],
    provider: false,
    apiKeys: { header: "X-API-Key" },
    dpop: true,
    url: null,
  });
  assert.deepEqual(buildModel(app({ name: "shop", services: [whoService] })).identity.issuers, []);
});
