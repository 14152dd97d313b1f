import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { StartError } from "../base/index.ts";
import { raw } from "../service/index.ts";
import type { CorsOptions } from "./cors.ts";
import type { Gateway } from "./gateway.ts";
import { ask, request, testGateway } from "./testing.ts";

const methods = {
  read: { method: raw({ http: "GET /a", access: "public" }), handle: () => ({ body: "x" }) },
  write: { method: raw({ http: "POST /a", access: "public" }), handle: () => ({ body: "x" }) },
};
let gateway: Gateway;
let port = 0;
before(async () => {
  gateway = testGateway(methods, { cors: { origins: ["https://shop.example"], credentials: true, maxAge: "1h" } });
  port = (await gateway.start()).port;
});
after(() => gateway.stop());

const preflight = (origin: string, more: Record<string, string> = {}) =>
  ask(port, request("OPTIONS /a", { origin, "access-control-request-method": "POST", ...more }));

test("one origin is let in, with credentials, and every answer says that it depends on who asks", async () => {
  const answer = await ask(port, request("GET /a", { origin: "https://shop.example" }));
  assert.equal(answer.headers["access-control-allow-origin"], "https://shop.example");
  assert.equal(answer.headers["access-control-allow-credentials"], "true");
  for (const headers of [{}, { origin: "https://evil.example" }, { origin: "https://shop.example" }] as const) {
    for (const line of ["GET /a", "GET /nothing"]) {
      const { headers: told } = await ask(port, request(line, headers as Record<string, string>));
      assert.match(String(told.vary), /\borigin\b/i, line);
    }
  }
});

test("origins that only look like it are not let in, in answers or preflights", async () => {
  for (const origin of [
    "null",
    "*",
    "",
    "http://shop.example",
    "https://shop.example:8443",
    "https://shop.example.evil.example",
    "https://evilshop.example",
    "https://SHOP.example",
    "https://shop.example/",
    "https://shop.example, https://evil.example",
    "file://",
  ]) {
    for (const answer of [await ask(port, request("GET /a", { origin })), await preflight(origin)]) {
      assert.equal(answer.headers["access-control-allow-origin"], undefined, origin);
      assert.equal(answer.headers["access-control-allow-credentials"], undefined, origin);
    }
  }
});

test("a preflight is kept as long as declared, names the path's methods, and lets nobody into a private network", async () => {
  const { status, headers } = await preflight("https://shop.example", {
    "access-control-request-private-network": "true",
    "access-control-request-headers": "x-made-up",
  });
  assert.equal(status, 204);
  assert.equal(headers["access-control-max-age"], "3600");
  assert.match(String(headers["access-control-allow-methods"]), /GET/);
  assert.doesNotMatch(String(headers["access-control-allow-methods"]), /DELETE/);
  assert.doesNotMatch(String(headers["access-control-allow-headers"]), /x-made-up|\*/);
  assert.equal(headers["access-control-allow-private-network"], undefined);
  assert.match(String(headers.vary), /origin, access-control-request-method/);
});

test("what would let everybody in with the user's cookies is refused at start", () => {
  const refused = (cors: CorsOptions, words: RegExp) =>
    assert.throws(
      () => testGateway({}, { cors }),
      (thrown) => thrown instanceof StartError && thrown.reason === "CORS_INVALID" && words.test(thrown.message),
    );
  refused({ origins: "*", credentials: true }, /exclude each other/);
  refused({ origins: ["null"] }, /is no exact origin/);
  refused({ origins: ["https://*.example"] }, /is no exact origin/);
  refused({ origins: ["https://shop.example/"] }, /is no exact origin/);
});
