import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { method } from "../service/index.ts";
import { HttpError } from "../wire/index.ts";
import type { Endpoint } from "./exchange.ts";
import { createRouteTable, hostName } from "./route-table.ts";
import { ask, request, testGateway } from "./testing.ts";

const endpoint = (route: string): Endpoint => ({ route, spanName: route, observe: () => {}, serve: () => {} });

function tableOf(
  routes: readonly (readonly [host: string | undefined, path: string, name: string])[],
  hosts?: string[],
) {
  const table = createRouteTable(8192, hosts);
  for (const [host, path, name] of routes) table.at(host).add("GET", path, endpoint(name), name);
  table.compile();
  return (host: string, path: string) => (table.only ?? table.of(host)).find("GET", path)?.store?.route;
}

test("a host of its own comes before wildcards, the longest wildcard before others, and no host comes last", () => {
  const find = tableOf([
    [undefined, "/a", "any"],
    [undefined, "/only-any", "rest"],
    ["*.shop.example", "/a", "wide"],
    ["*.eu.shop.example", "/a", "narrow"],
    ["api.eu.shop.example", "/a", "exact"],
  ]);
  assert.equal(find("api.eu.shop.example", "/a"), "exact");
  assert.equal(find("API.eu.Shop.Example.:8443", "/a"), "exact");
  assert.equal(find("x.eu.shop.example", "/a"), "narrow");
  assert.equal(find("x.y.shop.example", "/a"), "wide");
  assert.equal(find("shop.example", "/a"), "any");
  assert.equal(find("api.eu.shop.example", "/only-any"), "rest");
});

test("a wildcard does not match a name that only ends alike", () => {
  const find = tableOf([
    ["*.shop.example", "/a", "wide"],
    [undefined, "/a", "any"],
  ]);
  assert.equal(find("evilshop.example", "/a"), "any");
});

test("without hosts there is one router, and no host is looked at", () => {
  const table = createRouteTable(8192, undefined);
  table.compile();
  assert.equal(table.only, table.at(undefined));
});

test("with hosts another one is 421, also where a route has it for itself", () => {
  const find = tableOf(
    [
      [undefined, "/a", "own"],
      ["admin.example", "/b", "admin"],
    ],
    ["api.example", "*.shop.example"],
  );
  assert.equal(find("api.example", "/a"), "own");
  assert.equal(find("x.shop.example", "/a"), "own");
  assert.equal(find("admin.example", "/b"), "admin");
  assert.equal(find("admin.example", "/a"), undefined);
  assert.throws(
    () => find("evil.example", "/a"),
    (thrown) => thrown instanceof HttpError && thrown.status === 421 && thrown.reason === "HOST_UNKNOWN",
  );
});

for (const host of [undefined, "", "a b", "a@b", "a/b", "a:port", "a:123456", "[zz]", "a..b", "-a", "a,b", "a\\b"]) {
  test(`the Host header ${JSON.stringify(host)} is 400`, () => {
    assert.throws(
      () => hostName(host),
      (thrown) => thrown instanceof HttpError && thrown.status === 400,
    );
  });
}

test("a name with a port, an address, and the root's dot are hosts", () => {
  assert.deepEqual(["A.b:80", "[::1]:80", "127.0.0.1", "a.b."].map(hostName), ["a.b", "[::1]", "127.0.0.1", "a.b"]);
});

for (const host of ["API.example", "api.example:80", "http://api.example", "*", "a.*.example", ""]) {
  test(`refuses at start the host ${JSON.stringify(host)}`, () => {
    assert.throws(
      () => createRouteTable(8192, [host]),
      (thrown) =>
        thrown instanceof StartError && thrown.reason === "ROUTE_INVALID" && thrown.message.includes("is no host"),
    );
  });
}

test("over HTTP: a made-up host is 421, and an absolute target counts before the Host header", async (t) => {
  const gateway = testGateway(
    { ping: { method: method({ http: "GET /ping", access: "public" }), handle: () => undefined } },
    { hosts: ["api.example"] },
  );
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  assert.equal((await ask(port, request("GET /ping", { Host: "api.example:1234" }))).status, 204);
  assert.equal((await ask(port, request("GET /ping", { Host: "evil.example" }))).status, 421);
  assert.equal((await ask(port, request("GET http://evil.example/ping", { Host: "api.example" }))).status, 421);
  assert.equal((await ask(port, request("GET http://api.example/ping", { Host: "evil.example" }))).status, 204);
});
