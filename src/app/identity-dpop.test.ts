import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { newId, systemClock } from "../base/index.ts";
import { issuer } from "../identity/index.ts";
import { startIssuer } from "../identity/testing.ts";
import { t } from "../schema/index.ts";
import { contract, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import { startTestApp } from "./testing.ts";

const who = contract("who", {
  methods: { ask: method({ http: "GET /who", response: t.Object({ subject: t.String() }) }) },
});
const whoService = service(who, { methods: { ask: async (_, { principal }) => ({ subject: principal.subject }) } });

const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const { crv, kty, x, y } = pair.publicKey.export({ format: "jwk" });
const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");

function proofOf(token: string, url: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const ath = createHash("sha256").update(token).digest("base64url");
  const iat = Math.floor(systemClock.wallNow() / 1000);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { crv, kty, x, y } };
  const text = `${part(header)}.${part({ jti: newId(), htm: "GET", htu: url, iat, ath })}`;
  const signature = sign("sha256", Buffer.from(text), { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

async function started(url: string, environment: Record<string, string>) {
  const identity = { issuers: [issuer({ url, audience: "shop" })], dpop: true };
  const trustedProxies = { proxies: [], host: true };
  const gateway = { identity, trustedProxies };
  return startTestApp(app({ name: "shop", services: [whoService], gateway }), { environment });
}

async function show(url: string, token: string, proof: string) {
  const headers = { authorization: `DPoP ${token}`, dpop: proof };
  const answer = await fetch(`${url}/who`, { headers });
  return [answer.status, ((await answer.json()) as { reason?: string }).reason] as const;
}

test("an app takes a bound token with the proof of its key, once", async (context) => {
  const remote = await startIssuer({ now: () => systemClock.wallNow() });
  const running = await started(remote.url, {});
  context.after(() => Promise.all([remote.stop(), running.stop()]));
  const token = await remote.sign({ cnf: { jkt: thumbprint } });
  const proof = proofOf(token, `${running.url}/who`);
  assert.deepEqual(await show(running.url, token, proof), [200, undefined]);
  assert.deepEqual(await show(running.url, token, proof), [401, "PROOF_INVALID"]);
  assert.deepEqual(await show(running.url, token, proofOf(token, `${running.url}/who`)), [200, undefined]);
});

test("a proof that one process has seen is used for all that share a Redis", async (context) => {
  const redis = process.env.PLINTH_TEST_REDIS_URL;
  if (!redis) return context.skip("PLINTH_TEST_REDIS_URL is not set");
  const remote = await startIssuer({ now: () => systemClock.wallNow() });
  const [here, there] = [
    await started(remote.url, { CACHE_URL: redis, PLINTH_TRUSTED_PROXIES: "127.0.0.1" }),
    await started(remote.url, { CACHE_URL: redis, PLINTH_TRUSTED_PROXIES: "127.0.0.1" }),
  ];
  context.after(() => Promise.all([remote.stop(), here.stop(), there.stop()]));
  const token = await remote.sign({ cnf: { jkt: thumbprint } });
  const behind = async (url: string, proof: string) => {
    const headers = {
      authorization: `DPoP ${token}`,
      dpop: proof,
      "x-forwarded-for": "192.0.2.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "api.example.com",
    };
    return (await fetch(`${url}/who`, { headers })).status;
  };
  const [first, second] = [0, 1].map(() => proofOf(token, "https://api.example.com/who")) as [string, string];
  assert.equal(await behind(here.url, first), 200);
  assert.equal(await behind(there.url, first), 401);
  assert.equal(await behind(there.url, second), 200);
  assert.equal(await behind(here.url, second), 401);
});
