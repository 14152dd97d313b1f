import assert from "node:assert/strict";
import { test } from "node:test";
import { anonymous } from "../base/index.ts";
import { method } from "../service/index.ts";
import { createMetrics } from "../telemetry/index.ts";
import { createDeprecations } from "./deprecation.ts";
import type { Exchange } from "./exchange.ts";
import { ask, request, testGateway } from "./testing.ts";

const deprecated = { since: "2026-01-01", sunset: "2027-01-01", link: "https://shop.example/v2", successor: "/v2/old" };

test("every answer of a deprecated method says so, refusals too, and others do not", async (t) => {
  const metrics = createMetrics();
  const gateway = testGateway(
    {
      old: { method: method({ http: "GET /old", access: "public", deprecated }), handle: () => undefined },
      now: { method: method({ http: "GET /now", access: "public" }), handle: () => undefined },
    },
    { metrics },
  );
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  for (const line of ["GET /old", "GET /old?x=%zz"]) {
    const { headers } = await ask(port, request(line));
    assert.equal(headers.deprecation, "@1767225600");
    assert.equal(headers.sunset, "Fri, 01 Jan 2027 00:00:00 GMT");
    assert.match(headers.link ?? "", /rel="deprecation".*rel="sunset".*<\/v2\/old>; rel="successor-version"/);
  }
  assert.equal((await ask(port, request("GET /now"))).headers.deprecation, undefined);
  const text = (await metrics.render()).body;
  assert.match(text, /plinth_gateway_deprecated_requests_total\{operation="test\.old",client="_anonymous"\} 2/);
});

test("callers are counted by client, at most a hundred of them, and no person by name", async () => {
  const metrics = createMetrics();
  const step = createDeprecations(metrics).stepOf("a.b", {
    sinceMs: 0,
    sunsetMs: undefined,
    link: undefined,
    successor: undefined,
  });
  const call = (principal: object): void => {
    const fake = { addHeader: () => {}, atEnd: (end: (exchange: unknown) => void) => end({ principal }) };
    step?.(fake as unknown as Exchange, () => {});
  };
  call({ ...anonymous, kind: "user", subject: "ada@example.org" });
  call({ ...anonymous, kind: "user", subject: "ada", claims: { client_id: "app-1" } });
  call({ ...anonymous, kind: "user", subject: "ada", claims: { azp: "app-2" } });
  call({ ...anonymous, kind: "user", subject: "ada", claims: { client_id: "line\nbreak" } });
  call({ ...anonymous, kind: "service", subject: "cart" });
  for (let i = 0; i < 300; i++) call({ ...anonymous, kind: "user", claims: { client_id: `made-up-${i}` } });
  const text = (await metrics.render()).body;
  const lines = text.split("\n").filter((line) => line.startsWith("plinth_gateway_deprecated_requests_total{"));
  assert.equal(lines.length, 101);
  assert.doesNotMatch(text, /ada/);
  assert.match(text, /client="_other"\} 20/);
  assert.match(text, /client="_user"\} 2\n/);
  assert.match(text, /client="cart"\} 1\n/);
});
