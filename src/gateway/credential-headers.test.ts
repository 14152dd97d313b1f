import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { systemClock } from "../base/index.ts";
import { apiKeys, createTokenIssuer, createTokenKeys, generateTokenSecret } from "../identity/index.ts";
import { memoryApiKeys, testIdentity } from "../identity/testing.ts";
import { outsideSystem, plainUpstream, tellAll } from "./proxy/proxy.fixture.ts";
import type { OutsideRoute } from "./proxy/route.ts";
import { ask, request, testGateway } from "./testing.ts";

async function fronting(context: TestContext, route: Partial<OutsideRoute>) {
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const store = memoryApiKeys();
  const identity = { apiKeys: apiKeys({ header: "X-Shop-Key" }) };
  const authenticator = testIdentity({ name: "shop", keys }, systemClock, identity, { keyStore: store });
  const target = await outsideSystem(context, tellAll);
  const upstreams = new Map([["legacy", plainUpstream("legacy", target)]]);
  const routes = [{ path: "/legacy/*", upstream: "legacy", ...route }];
  const gateway = testGateway({}, { outside: { upstreams, routes }, authenticator });
  const { port } = await gateway.start();
  context.after(() => gateway.stop());
  const seen = async (headers: Record<string, string>) => {
    const answer = await ask(port, request("GET /legacy/a", headers));
    assert.equal(answer.status, 200, answer.body);
    return (JSON.parse(answer.body) as { headers: Record<string, string> }).headers;
  };
  const issuer = createTokenIssuer({ keys, issuer: "shop", audience: "shop" });
  return { seen, store, token: (await issuer.issue({ subject: "ada" })).token };
}

test("a credential that the gateway has read goes no further; who calls is told instead", async (context) => {
  const { seen, store, token } = await fronting(context, {});
  const byKey = await seen({ "X-Shop-Key": store.make({ subject: "acme", tenant: "t1" }), DPoP: "x", X_Shop_Key: "y" });
  assert.deepEqual([byKey["x-plinth-subject"], byKey["x-plinth-tenant"]], ["acme", "t1"]);
  const byToken = await seen({ Authorization: `Bearer ${token}`, Accept: "text/plain" });
  assert.deepEqual([byToken["x-plinth-subject"], byToken.accept], ["ada", "text/plain"]);
  for (const headers of [byKey, byToken])
    for (const name of ["authorization", "dpop", "x-shop-key", "x_shop_key"]) assert.equal(headers[name], undefined);
});

test("an outside system that verifies itself gets them as they came, and nobody's word for who calls", async (context) => {
  const { seen, token } = await fronting(context, { authorization: "pass", access: "public" });
  const headers = await seen({ Authorization: `DPoP ${token}`, DPoP: "proof", "X-Shop-Key": "key" });
  assert.deepEqual(
    [headers.authorization, headers.dpop, headers["x-shop-key"], headers["x-plinth-subject"]],
    [`DPoP ${token}`, "proof", "key", undefined],
  );
});
