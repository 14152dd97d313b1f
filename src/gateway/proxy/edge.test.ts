import assert from "node:assert/strict";
import type { IncomingHttpHeaders, RequestListener } from "node:http";
import type { TestContext } from "node:test";
import { test } from "node:test";
import type { GatewayOptions } from "../gateway.ts";
import { ask, request, testGateway } from "../testing.ts";
import { outsideSystem, plainUpstream, tellAll } from "./proxy.fixture.ts";
import type { OutsideRoute } from "./route.ts";

const open: OutsideRoute = { path: "/open/*", upstream: "legacy", access: "public" };

/** Whoever shows a token is its text, of one issuer. */
const authenticator = {
  recall: () => undefined,
  recallKey: () => undefined,
  apiKeyHeader: undefined,
  authenticate: async ({ authorization }: { readonly authorization: string }) => ({
    kind: "user",
    subject: authorization.slice(7),
    scopes: [],
    claims: { iss: "https://id.example" },
  }),
  challenge: () => undefined,
  forget() {},
} as unknown as NonNullable<GatewayOptions["authenticator"]>;

async function fronting(
  t: TestContext,
  routes: readonly OutsideRoute[],
  options: Partial<GatewayOptions> = {},
  handle: RequestListener = tellAll,
): Promise<number> {
  const upstreams = new Map([["legacy", plainUpstream("legacy", await outsideSystem(t, handle))]]);
  const gateway = testGateway({}, { outside: { upstreams, routes }, authenticator, ...options });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  return port;
}

const seen = (body: string) => (JSON.parse(body) as { headers: IncomingHttpHeaders }).headers;

test("no address that a client made up reaches an outside system, however it is spelled", async (t) => {
  const port = await fronting(t, [open]);
  const names = [
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X-Envoy-External-Address",
    "X-Original-Forwarded-For",
    "True_Client_IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Original-Host",
  ];
  const headers = Object.fromEntries(names.map((name) => [name, "1.2.3.4"]));
  assert.doesNotMatch((await ask(port, request("GET /open/a", headers))).body, /1\.2\.3\.4/);
});

test("what frames a message does not pass inwards under another spelling", async (t) => {
  const port = await fronting(t, [open]);
  const headers = { transfer_encoding: "chunked", content_length: "5", Proxy_Authorization: "Basic eA==", X_Own: "1" };
  const got = seen((await ask(port, request("GET /open/a", headers))).body);
  assert.deepEqual(
    Object.keys(got).filter((name) => name.includes("_")),
    ["x_own"],
  );
});

test("an outside system hears whose word it is who calls, from the gateway alone", async (t) => {
  const port = await fronting(t, [open, { path: "/mine", upstream: "legacy" }]);
  const forged = { "X-Plinth-Issuer": "https://evil.example" };
  assert.equal(seen((await ask(port, request("GET /open/a", forged))).body)["x-plinth-issuer"], undefined);
  const got = seen((await ask(port, request("GET /mine", { ...forged, Authorization: "Bearer ada" }))).body);
  assert.deepEqual(
    [got["x-plinth-subject"], got["x-plinth-issuer"]],
    ["ada", encodeURIComponent("https://id.example")],
  );
});

test("Strict-Transport-Security is on every answer, in the gateway's words, and none names the software inside", async (t) => {
  const hsts = "max-age=31536000";
  const mounts: GatewayOptions["mounts"] = [{ path: "/m", access: "public", handler: (_req, res) => res.end("m") }];
  const handle: RequestListener = (_req, res) => {
    res
      .writeHead(200, { "strict-transport-security": "max-age=0", server: "legacy/1.0", "x-powered-by": "PHP/4" })
      .end();
  };
  const routes: OutsideRoute[] = [open, { path: "/r/*", redirect: { to: "/open/*" }, access: "public" }];
  const port = await fronting(t, routes, { headers: { "strict-transport-security": hsts }, mounts }, handle);
  for (const path of ["/open/a", "/r/a", "/m/a", "/nothing"]) {
    const { headers } = await ask(port, request(`GET ${path}`));
    assert.equal(headers["strict-transport-security"], hsts, path);
    assert.deepEqual([headers.server, headers["x-powered-by"]], [undefined, undefined], path);
  }
  const plain = await fronting(t, routes, {}, handle);
  assert.equal((await ask(plain, request("GET /open/a"))).headers["strict-transport-security"], "max-age=0");
});

test("a slash at the end does not get around an exact route, and a route below it keeps its own", async (t) => {
  const shut: OutsideRoute = { path: "/admin", upstream: "legacy", methods: ["GET"] };
  const wide: OutsideRoute = { path: "/*", upstream: "legacy", access: "public" };
  const port = await fronting(t, [shut, wide]);
  const statuses = [];
  for (const line of ["GET /admin", "GET /admin/", "GET /%61dmin/", "POST /admin/", "GET /admin/x"]) {
    statuses.push((await ask(port, request(line))).status);
  }
  assert.deepEqual(statuses, [401, 401, 401, 405, 200]);
  const below = await fronting(t, [shut, wide, { path: "/admin/*", redirect: { to: "/x" }, access: "public" }]);
  assert.equal((await ask(below, request("GET /admin"))).status, 401);
  assert.equal((await ask(below, request("GET /admin/"))).status, 308);
});

test("an Idempotency-Key that we would not take is the outside system's to judge", async (t) => {
  const port = await fronting(t, [open]);
  const answer = await ask(port, request("POST /open/a", { "Idempotency-Key": "a b" }, "x"));
  assert.deepEqual([answer.status, seen(answer.body)["idempotency-key"]], [200, "a b"]);
});

test("a path that others take for a stricter route's is 400, spelt in capitals or with what loose segments let pass", async (t) => {
  const wide: OutsideRoute = { path: "/legacy/*", upstream: "legacy", access: "public", looseSegments: true };
  const admin: OutsideRoute = { path: "/legacy/admin/*", upstream: "legacy" };
  const exact: OutsideRoute = { path: "/legacy/keys", upstream: "legacy" };
  const elsewhere: OutsideRoute = { path: "/legacy/b/*", upstream: "legacy", host: "b.example" };
  const port = await fronting(t, [wide, admin, exact, elsewhere]);
  const statusOf = async (path: string) => (await ask(port, request(`GET ${path}`))).status;
  for (const path of [
    "/legacy/Admin",
    "/legacy/ADMIN/x",
    "/legacy/%41dmin/x",
    "/legacy/admin;a=b/x",
    "/legacy/admin%3Ba/x",
    "/legacy//admin/x",
    "/legacy/;/admin/x",
    "/legacy%2Fadmin%2Fx",
    "/legacy/admin%2Fx",
    "/legacy/Keys",
    "/legacy/keys;x",
    "/legacy/B/x",
  ]) {
    assert.ok([400, 401, 404].includes(await statusOf(path)), path);
  }
  assert.equal(await statusOf("/legacy/admin/x"), 401);
  for (const path of ["/legacy/administration", "/legacy/a;b//c", "/legacy/keys/x", "/legacy/b/x", "/legacy/x/Admin"]) {
    assert.equal(await statusOf(path), 200, path);
  }
});
