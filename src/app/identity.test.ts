import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/index.ts";
import { createTokenIssuer, createTokenKeys, generateTokenSecret, issuer } from "../identity/index.ts";
import { startIssuer } from "../identity/testing.ts";
import { t } from "../schema/index.ts";
import { contract, method, service } from "../service/index.ts";
import { app } from "./app.ts";
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
