import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { t as schema } from "../schema/index.ts";
import { method, stream } from "../service/index.ts";
import type { GatewayOptions } from "./gateway.ts";
import type { GatewayRoute } from "./gateway-route.ts";
import { ask, request, routesOf, testGateway } from "./testing.ts";

const answer = schema.Object({ version: schema.Integer() });

function routes(): GatewayRoute[] {
  const made = routesOf({
    one: {
      method: method({ http: "GET /things", response: answer, access: "public", version: 1 }),
      handle: () => ({ version: 1 }),
    },
    two: {
      method: method({ http: "GET /thingz", response: answer, access: "public", version: [2, 3] }),
      handle: () => ({ version: 2 }),
    },
    putOne: {
      method: method({
        http: "POST /things",
        request: schema.Object({ a: schema.Integer() }),
        response: answer,
        access: "public",
        version: 1,
      }),
      handle: () => ({ version: 1 }),
    },
    putTwo: {
      method: method({
        http: "POST /thingz",
        request: schema.Object({ a: schema.Integer() }),
        response: answer,
        access: "public",
        version: 2,
      }),
      handle: () => ({ version: 2 }),
    },
    events: {
      method: stream({ http: "GET /events", item: answer, access: "public", version: 2 }),
      handle: async function* () {
        yield { version: 2 };
      },
    },
  });
  return made.map((route) => ({
    ...route,
    at: [{ path: (route.operation.route?.path ?? "").replace("thingz", "things"), versions: route.operation.versions }],
  }));
}

async function versioned(t: TestContext, versions: GatewayOptions["versions"] = { by: "media-type", vendor: "shop" }) {
  const gateway = testGateway({}, { routes: routes(), ...(versions && { versions }) });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  return {
    port,
    async get(accept?: string) {
      const { status, headers, body } = await ask(
        port,
        request("GET /things", accept === undefined ? {} : { Accept: accept }),
      );
      return [status, status === 200 ? JSON.parse(body).version : JSON.parse(body).reason, headers["content-type"]];
    },
  };
}

test("Accept names the version, in either way, and the answer says what it is", async (t) => {
  const { get } = await versioned(t);
  assert.deepEqual(await get("application/vnd.shop.v2+json"), [200, 2, "application/vnd.shop.v2+json"]);
  assert.deepEqual(await get("application/json;version=2"), [200, 2, "application/json"]);
  assert.deepEqual(await get("application/vnd.shop.v3+json"), [200, 2, "application/vnd.shop.v3+json"]);
});

test("who names none gets the oldest, or the one that is declared", async (t) => {
  const { get } = await versioned(t);
  for (const accept of [undefined, "*/*", "application/json", "text/html, */*;q=0.1"])
    assert.equal((await get(accept))[1], 1, accept);
  const declared = await versioned(t, { by: "media-type", vendor: "shop", default: 2 });
  assert.equal((await declared.get())[1], 2);
});

test("a version that is not served is 406 and says what is, unless anything is taken as well", async (t) => {
  const { get, port } = await versioned(t);
  assert.deepEqual((await get("application/vnd.shop.v9+json")).slice(0, 2), [406, "NOT_ACCEPTABLE"]);
  const { body } = await ask(port, request("GET /things", { Accept: "application/vnd.shop.v9+json" }));
  assert.match(body, /application\/vnd\.shop\.v1\+json, application\/vnd\.shop\.v2\+json/);
  assert.deepEqual((await get("application/vnd.shop.v9+json, */*;q=0.1")).slice(0, 2), [200, 1]);
  assert.deepEqual(
    (await get("application/vnd.shop.v9+json;q=1, application/vnd.shop.v2+json;q=0.5")).slice(0, 2),
    [200, 2],
  );
  assert.deepEqual((await get("application/vnd.other.v2+json, application/json")).slice(0, 2), [200, 1]);
});

test("a weight of 0 is no wish", async (t) => {
  const { get } = await versioned(t);
  assert.deepEqual((await get("application/vnd.shop.v2+json;q=0, application/json")).slice(0, 2), [200, 1]);
});

test("the body's type names the version too, and both must agree", async (t) => {
  const { port } = await versioned(t);
  const post = async (type: string, accept?: string) => {
    const { status, body } = await ask(
      port,
      request("POST /things", { "Content-Type": type, ...(accept && { Accept: accept }) }, '{"a":1}'),
    );
    return [status, JSON.parse(body).version];
  };
  assert.deepEqual(await post("application/vnd.shop.v2+json"), [200, 2]);
  assert.deepEqual(await post("application/json"), [200, 1]);
  assert.deepEqual(await post("application/vnd.shop.v2+json", "application/vnd.shop.v1+json"), [415, undefined]);
  assert.deepEqual(await post("application/vnd.shop.v7+json"), [415, undefined]);
});

test("caches are told that Accept decides", async (t) => {
  const { port } = await versioned(t);
  assert.match((await ask(port, request("GET /things"))).headers.vary ?? "", /accept/);
});

test("streams have versions too", async (t) => {
  const { port } = await versioned(t);
  assert.equal((await ask(port, request("GET /events", { Accept: "text/event-stream" }))).status, 200);
});
