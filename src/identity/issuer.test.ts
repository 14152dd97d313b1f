import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { JWK } from "jose";
import { createManualClock } from "../base/index.ts";
import { apiKeys } from "./api-keys.ts";
import { metadataUrlsOf } from "./discovery.ts";
import type { IdentityOptions } from "./identity.ts";
import type { IssuerOptions } from "./issuer.ts";
import { issuer } from "./issuer.ts";
import { importKeys } from "./key-set.ts";
import { startIssuer, testIdentity } from "./testing.ts";

const base: IssuerOptions = { url: "https://login.example.com", audience: "shop" };
const clock = createManualClock(1_790_000_000_000);

const wrong: readonly (readonly [string, IdentityOptions, RegExp])[] = [
  ["plain HTTP", { issuers: [issuer({ ...base, url: "http://login.example.com" })] }, /url: give its https address/],
  ["no address", { issuers: [issuer({ ...base, url: "login" })] }, /url: give its https address/],
  ["a query", { issuers: [issuer({ ...base, url: "https://a.example?x" })] }, /url: give its https address/],
  ["a password", { issuers: [issuer({ ...base, url: "https://u:p@a.example" })] }, /url: give its https address/],
  ["no audience", { issuers: [issuer({ ...base, audience: [] })] }, /audience: say who its tokens must be for/],
  ["an empty audience", { issuers: [issuer({ ...base, audience: "" })] }, /audience:/],
  [
    "a shared secret",
    { issuers: [issuer({ ...base, algorithms: ["HS256" as "ES256"] })] },
    /HS256.*whoever checks could sign/,
  ],
  ["alg none", { issuers: [issuer({ ...base, algorithms: ["none" as "ES256"] })] }, /"none" cannot be used/],
  ["no algorithm", { issuers: [issuer({ ...base, algorithms: [] })] }, /name at least one/],
  ["a type of its own", { issuers: [issuer({ ...base, typ: "JWT" as "any" })] }, /typ: write "at\+jwt" or "any"/],
  ["a leeway of an hour", { issuers: [issuer({ ...base, leeway: "1h" })] }, /leeway: write a duration/],
  ["a life of years", { issuers: [issuer({ ...base, lifetimeMax: "1000d" })] }, /lifetimeMax: write a duration/],
  ["stale keys of a month", { issuers: [issuer({ ...base, staleKeys: "30d" })] }, /staleKeys: write a duration/],
  [
    "keys in plain HTTP",
    { issuers: [issuer({ ...base, jwksUrl: "http://a.example/jwks" })] },
    /jwksUrl: give the https/,
  ],
  [
    "keys here and there",
    { issuers: [issuer({ ...base, jwksUrl: "https://a.example/jwks", keys: { keys: [] } })] },
    /jwksUrl/,
  ],
  ["one twice", { issuers: [issuer(base), issuer(base)] }, /it stands twice; keep one/],
  ["an address without https", { url: "http://api.example.com" }, /identity: url .* give the https address/],
  ["dpop with HS256", { dpop: { algorithms: ["HS256" as "ES256"] } }, /dpop: algorithms: give some of/],
  [
    "a header that is taken",
    { apiKeys: apiKeys({ header: "Authorization" }) },
    /header "Authorization": name one of its own/,
  ],
  ["a header that is none", { apiKeys: apiKeys({ header: "x y" }) }, /header "x y"/],
  ["a prefix that is none", { apiKeys: apiKeys({ prefix: "My-Key" }) }, /prefix "My-Key": use 2 to 16/],
];
for (const [name, options, says] of wrong) {
  test(`does not start with ${name}`, () => {
    assert.throws(
      () => testIdentity(undefined, clock, options, { allowsLoopback: false }),
      (thrown: Error & { reason: string }) => {
        assert.equal(thrown.reason, "IDENTITY_INVALID");
        assert.match(thrown.message, says);
        return true;
      },
    );
  });
}

test("plain HTTP to this machine is good enough in development alone", () => {
  const options = { issuers: [issuer({ ...base, url: "http://127.0.0.1:4000" })] };
  assert.ok(testIdentity(undefined, clock, options, { allowsLoopback: true }));
  assert.throws(() => testIdentity(undefined, clock, options, { allowsLoopback: false }), /https address/);
});

test("well-known addresses are appended by OpenID and put between host and path by RFC 8414", () => {
  assert.deepEqual(metadataUrlsOf("https://id.example.com/tenant/"), [
    "https://id.example.com/tenant/.well-known/openid-configuration",
    "https://id.example.com/.well-known/oauth-authorization-server/tenant",
  ]);
  assert.deepEqual(metadataUrlsOf("https://id.example.com"), [
    "https://id.example.com/.well-known/openid-configuration",
    "https://id.example.com/.well-known/oauth-authorization-server",
  ]);
});

test("claims are found where an issuer has them", async (context) => {
  const remote = await startIssuer({ now: () => clock.wallNow() });
  context.after(() => remote.stop());
  const of = (more: Partial<IssuerOptions>) =>
    testIdentity(undefined, clock, {
      issuers: [issuer({ url: remote.url, audience: "shop", keys: () => ({ keys: remote.state.keys }), ...more })],
    });
  const verify = async (claims: object, more: Partial<IssuerOptions> = {}) =>
    of(more).verify(`Bearer ${await remote.sign(claims)}`);
  assert.deepEqual((await verify({ scope: "a b" })).scopes, ["a", "b"]);
  assert.deepEqual((await verify({ scp: ["a", "b"] })).scopes, ["a", "b"]);
  assert.deepEqual((await verify({ scp: "a  b" })).scopes, ["a", "b"]);
  assert.deepEqual((await verify({ permissions: ["a"], scope: "b" }, { claims: { scopes: "permissions" } })).scopes, [
    "a",
  ]);
  const realm = { realm_access: { roles: ["admin"] } };
  assert.deepEqual((await verify(realm, { claims: { roles: "realm_access.roles" } })).claims.roles, ["admin"]);
  const named = { "https://shop/roles": ["admin"], tid: "acme" };
  const { claims } = await verify(named, { claims: { roles: "https://shop/roles", tenant: "tid" } });
  assert.deepEqual([claims.roles, claims.tenant, claims.iss, claims.client_id], [["admin"], "acme", remote.url, "c1"]);
  // What looks like roles and tenant, but is not, is nobody's.
  const { claims: odd } = await verify({ roles: [{ admin: true }], tenant: ["acme"] });
  assert.deepEqual([odd.roles, odd.tenant], [undefined, undefined]);
  assert.equal((await verify({}, { subjectPrefix: "partner:" })).subject, "partner:u1");
  const machine = await verify({ sub: undefined, client_id: undefined, azp: "robot" }, { typ: "any" });
  assert.deepEqual([machine.subject, machine.claims.client_id], ["robot", "robot"]);
  await assert.rejects(verify({ sub: undefined, client_id: undefined }, { typ: "any" }), { reason: "TOKEN_INVALID" });
});

test("keys that live here are asked for again when a token names one that is new", async (context) => {
  const remote = await startIssuer({ now: () => clock.wallNow() });
  context.after(() => remote.stop());
  const trusting = testIdentity(undefined, clock, {
    issuers: [issuer({ url: remote.url, audience: "shop", keys: async () => ({ keys: remote.state.keys }) })],
  });
  const old = `Bearer ${await remote.sign()}`;
  await trusting.verify(old);
  await remote.rotate();
  await trusting.verify(`Bearer ${await remote.sign()}`);
  assert.ok(trusting.recall(old));
  await remote.rotate(true);
  await clock.advance(30_000);
  await trusting.verify(`Bearer ${await remote.sign()}`);
  assert.equal(trusting.recall(old), undefined, "its key is gone");
  await assert.rejects(trusting.verify(old), { reason: "TOKEN_INVALID" });
  assert.deepEqual(remote.requests, []);
});

const ecJwk = (namedCurve: string): JWK =>
  generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "jwk" }) as JWK;
const rsaJwk = (modulusLength: number): JWK =>
  generateKeyPairSync("rsa", { modulusLength }).publicKey.export({ format: "jwk" }) as JWK;

test("of a set only those keys are used that are public, long enough, and for one algorithm", async () => {
  const ec = ecJwk("P-256");
  const rsa = rsaJwk(2048);
  const refusals: readonly (readonly [JWK, RegExp])[] = [
    [{ ...ec, d: "x" } as JWK, /no public key/],
    [{ kty: "oct", k: "c2VjcmV0", kid: "k" }, /"k": it is no public key/],
    [{ ...ec, use: "enc" }, /not for signatures/],
    [{ ...ec, key_ops: ["sign"] }, /not for verifying/],
    [{ ...ec, kid: 7 as unknown as string }, /kid is no text/],
    [{ ...ec, alg: "RS256" }, /none of the algorithms/],
    [{ ...ec, y: ec.x as string }, /a key without kid: /],
    [rsaJwk(1024), /none of the algorithms/],
    [ecJwk("secp256k1"), /none of the algorithms/],
    [null as unknown as JWK, /no key/],
  ];
  for (const [jwk, says] of refusals) {
    const set = await importKeys({ keys: [jwk] }, ["ES256", "RS256"]);
    assert.equal(set.size, 0, JSON.stringify(jwk));
    assert.match(set.refused[0] as string, says);
  }
  assert.equal((await importKeys({ keys: [rsa] }, ["RS256"])).size, 1);
  const both = await importKeys({ keys: [rsa] }, ["RS256", "PS256"]);
  assert.match(both.refused[0] as string, /does not say which of RS256, PS256|does not say which of PS256, RS256/);
  const said = await importKeys({ keys: [{ ...rsa, alg: "PS256", kid: "a" }] }, ["RS256", "PS256"]);
  assert.deepEqual([said.find("a", "PS256")?.alg, said.find("a", "RS256")], ["PS256", undefined]);
  const many = await importKeys({ keys: Array.from({ length: 150 }, (_, i) => ({ ...ec, kid: String(i) })) }, [
    "ES256",
  ]);
  assert.equal(many.size, 100);
  assert.equal(many.find(undefined, "ES256"), undefined, "who names no key has no choice of them");
});

test("who runs the app is told why a token was refused, on one line; its sender is not", async (context) => {
  const remote = await startIssuer({ now: () => clock.wallNow() });
  context.after(() => remote.stop());
  const said: string[] = [];
  const keys = { keys: remote.state.keys };
  const trusted = issuer({ url: remote.url, audience: "shop", algorithms: ["ES256"], keys });
  const trusting = testIdentity(undefined, clock, { issuers: [trusted] }, { onRefused: (why) => said.push(why) });
  const why = async (claims: object, header: object = {}) => {
    const token = await remote.sign(claims, header);
    await assert.rejects(trusting.verify(`Bearer ${token}`), { message: "The token is not valid." });
    return said.pop() ?? "";
  };
  assert.match(await why({ aud: ["a", "b"] }), /^its aud is \["a","b"\], and must be "shop"$/);
  assert.match(await why({}, { typ: "JWT" }), /^its typ is "jwt", and must be "at\+jwt"; .* typ: "any"$/);
  assert.match(
    await why({ iss: "https://x.example\nadmin" }),
    /^its iss is "https:\/\/x\.example\\nadmin", which no issuer/,
  );
  assert.match(await why({}, { kid: "k".repeat(200) }), /^its issuer has no key "k{119} for ES256$/);
  assert.match(await why({ aud: undefined }), /^no audience$/);
});
