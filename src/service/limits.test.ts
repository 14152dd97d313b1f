import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contract } from "./contract.ts";
import type { Limit, MethodLimit } from "./limits.ts";
import { compileLimits } from "./limits.ts";
import { method } from "./method.ts";
import { compileOperations } from "./operation.ts";

function compiled(limits: readonly MethodLimit[] | false) {
  const problems: string[] = [];
  const definition = contract("shop", { methods: { search: method({ http: "GET /search", limits }) } });
  const operation = compileOperations(definition, problems).get("search");
  return { problems, limits: operation?.limits };
}

const plansOf = (...list: Limit[]) => {
  const problems: string[] = [];
  return { plans: compileLimits("here", list, problems), problems };
};

describe("limits as they are declared", () => {
  test("a window slides, a burst makes it a bucket, a day or month is the calendar's, concurrency is places", () => {
    const { plans, problems } = plansOf(
      { quota: 100, window: "1m" },
      { quota: 100, window: 90_000, burst: 20, by: "tenant" },
      { quota: 100, window: "day", by: "key" },
      { quota: 100, window: "month", by: { claim: "org" } },
      { concurrent: 5 },
      { quota: 1, window: "100ms", name: "tiny" },
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      plans.map(({ name, rule, windowSeconds, by, cost }) => [name, rule, windowSeconds, by, cost]),
      [
        ["principal-1m", { kind: "window", quota: 100, windowMs: 60_000 }, 60, "principal", 1],
        ["tenant-90000", { kind: "bucket", quota: 100, windowMs: 90_000, burst: 20 }, 90, "tenant", 1],
        ["key-day", { kind: "calendar", quota: 100, period: "day" }, 86_400, "key", 1],
        ["org-month", { kind: "calendar", quota: 100, period: "month" }, undefined, { claim: "org" }, 1],
        ["principal-concurrent", { kind: "places", quota: 5, holdMs: 30_000 }, undefined, "principal", 1],
        ["tiny", { kind: "window", quota: 1, windowMs: 100 }, undefined, "principal", 1],
      ],
    );
  });

  test("a method's are named after it; those of the app are named, with what they cost here", () => {
    const { limits, problems } = compiled([
      { quota: 1, window: "1s" },
      { shared: "api", cost: 3 },
    ]);
    assert.deepEqual(problems, []);
    assert.ok(limits);
    assert.deepEqual([limits.own[0]?.name, [...limits.sharedCosts]], ["search-principal-1s", [["api", 3]]]);
    assert.deepEqual(compiled(false), { problems: [], limits: false });
  });

  test("what cannot be is told with the remedy", () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [[{ quota: 0, window: "1m" }], /a quota is a whole number from 1 to 1000000000/],
      [[{ quota: 1.5, window: "1m" }], /a quota is a whole number/],
      [[{ quota: 2e9, window: "1m" }], /a quota is a whole number/],
      [[{ quota: 5, window: "1m", burst: 0 }], /a burst is a whole number/],
      [[{ quota: 5, window: "soon" }], /a window is a duration such as "1m", or "day" or "month"/],
      [[{ quota: 5, window: "99ms" }], /a window is "100ms" to "366d"/],
      [[{ quota: 5, window: "367d" }], /a window is "100ms" to "366d"/],
      [[{ quota: 5, window: "day", burst: 5 }], /a quota of the calendar has no burst/],
      [[{ quota: 5, window: "1m", cost: 6 }], /one request costs 6, and there are never more than 5/],
      [[{ quota: 50, burst: 5, window: "1m", cost: 6 }], /never more than 5/],
      [[{ quota: 5, window: "1m", cost: -1 }], /a cost is a whole number from 0/],
      [[{ quota: 5, window: "1m", cost: 1.5 }], /a cost is a whole number from 0/],
      [[{ quota: 5, window: "1m", by: "ip" }], /by is "principal", "client"/],
      [[{ quota: 5, window: "1m", by: { claim: "a b" } }], /by is "principal", "client"/],
      [[{ quota: 5, window: "1m", name: 'a"b' }], /a name is 1 to 128 letters/],
      [[{ quota: 5, window: "1m", name: "a\r\nset-cookie: x" }], /a name is 1 to 128 letters/],
      [[{ quota: 5, window: "1m", per: "user" }], /"per" has no meaning here; there are quota, window/],
      [[{ concurrent: 5, window: "1m" }], /"window" has no meaning here; there are concurrent/],
      [[{ concurrent: 0 }], /a quota is a whole number/],
      [[{ concurrent: 100_001 }], /of places there are at most 100000/],
      [
        [
          { quota: 5, window: "1m" },
          { quota: 6, window: "1m" },
        ],
        /two limits are called "search-principal-1m"/,
      ],
      [[{ shared: "api" }], /a shared limit is \{ shared: "its name", cost: 5 \}/],
      [[{ shared: "api", cost: 1, quota: 5 }], /a shared limit is/],
      [[null], /null: write \{ quota: 100, window: "1m" \}/],
      [{ quota: 5, window: "1m" }, /write a list, such as/],
      [Array.from({ length: 13 }, (_, i) => ({ quota: 1, window: "1m", name: `n${i}` })), /13 limits; there may be 12/],
    ];
    for (const [limits, says] of wrong) {
      const { problems } = compiled(limits as readonly MethodLimit[]);
      assert.match(problems.join("\n"), says, JSON.stringify(limits));
      assert.match(problems.join("\n"), /^shop\.search: limits: /, JSON.stringify(limits));
    }
  });

  test("only what has a route can have them", () => {
    const problems: string[] = [];
    const inner = contract("shop", { methods: { inner: method({ limits: [{ quota: 1, window: "1m" }] }) } });
    compileOperations(inner, problems);
    assert.match(problems.join(), /shop.inner: limits: only what has a route is limited/);
  });
});
