import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { t as schema } from "../schema/index.ts";
import type { Versions } from "../service/index.ts";
import { contract, method, service } from "../service/index.ts";
import type { GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { startTestApp } from "./testing.ts";

const answer = schema.Object({ version: schema.Integer() });
const deprecated = { since: "2026-11-01", sunset: "2027-06-30", successor: "/v2/things" };

function things(version: Versions = 2, old: Versions = 1) {
  const methods = {
    now: method({ http: "GET /things", response: answer, access: "public" }),
    old: method({ http: "GET /things", response: answer, access: "public", version: old, deprecated }),
  };
  return service(contract("things", { version, methods }), {
    methods: { now: async () => ({ version: 2 }), old: async () => ({ version: 1 }) },
  });
}

const shop = (gateway: GatewayOptions = {}, services = [things()]) => app({ name: "shop", services, gateway });

test("versions stand side by side by path, behind the app's prefix, and what goes away says so", async (t) => {
  const running = await startTestApp(shop({ prefix: "/api" }));
  t.after(() => running.stop());
  const get = async (path: string) => {
    const found = await fetch(running.url + path);
    return {
      status: found.status,
      version: ((await found.json()) as { version?: number }).version,
      headers: found.headers,
    };
  };
  const old = await get("/api/v1/things");
  assert.deepEqual([old.version, old.headers.get("deprecation")], [1, "@1793491200"]);
  assert.equal(old.headers.get("link"), '</v2/things>; rel="successor-version"');
  const now = await get("/api/v2/things");
  assert.deepEqual([now.version, now.headers.get("deprecation")], [2, null]);
  assert.deepEqual([(await get("/things")).status, (await get("/v1/things")).status], [404, 404]);
});

test("versions stand side by side by media type, under the app's name", async (t) => {
  const running = await startTestApp(shop({ versions: { by: "media-type" } }));
  t.after(() => running.stop());
  const get = async (accept: string) =>
    (await (await fetch(`${running.url}/things`, { headers: { accept } })).json()) as object;
  assert.deepEqual(await get("application/vnd.shop.v2+json"), { version: 2 });
  assert.deepEqual(await get("*/*"), { version: 1 });
});

test("a gateway with hosts answers for no other", async (t) => {
  const running = await startTestApp(shop({ hosts: ["api.shop.example"] }));
  t.after(() => running.stop());
  const status = (host: string) =>
    new Promise((resolve, reject) => {
      const asked = request(`${running.url}/v2/things`, { headers: { host } }, (found) => {
        found.resume();
        resolve(found.statusCode);
      });
      asked.on("error", reject);
      asked.end();
    });
  assert.deepEqual([await status("api.shop.example:8080"), await status("evil.example")], [200, 421]);
});

test("the Model and OpenAPI tell where each version is, and what goes away", () => {
  const model = buildModel(shop({ prefix: "/api" }, [things([2, 3])]));
  const [now, old] = model.services[0]?.methods ?? [];
  assert.deepEqual(
    [now?.paths, now?.versions],
    [
      ["/api/v2/things", "/api/v3/things"],
      [2, 3],
    ],
  );
  assert.deepEqual([old?.http?.path, old?.deprecated?.sunset], ["/api/v1/things", "2027-06-30T00:00:00.000Z"]);
});

for (const [what, gateway, services, message] of [
  ["a prefix that is none", { prefix: "api/" }, [things()], /gateway: prefix: "api\/"/],
  ["two methods at one place", {}, [things(1, 1)], /"GET \/v1\/things" is also the route of things\.now/],
  [
    "two methods of one version",
    { versions: { by: "media-type" } },
    [things([1, 2], 2)],
    /is also the route of things\.now/,
  ],
  ["a default without media types", { versions: { default: 1 } }, [things()], /a path names its version itself/],
  [
    "a default that nothing is of",
    { versions: { by: "media-type", default: 7 } },
    [things()],
    /no method is of version 7/,
  ],
  ["a vendor that is none", { versions: { by: "media-type", vendor: "A B" } }, [things()], /versions\.vendor/],
] as const) {
  test(`refuses at start ${what}`, () => {
    assert.throws(
      () => buildModel(shop(gateway, [...services])),
      (thrown) => thrown instanceof StartError && message.test(thrown.message),
    );
  });
}
