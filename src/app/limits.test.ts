import assert from "node:assert/strict";
import { test } from "node:test";
import { t } from "../schema/index.ts";
import { contract, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { startTestApp } from "./testing.ts";

const shop = contract("shop", {
  methods: {
    search: method({
      http: "GET /search",
      response: t.Object({ hits: t.Integer() }),
      access: "public",
      limits: [{ quota: 3, window: "1m", by: "address" }],
    }),
    open: method({ http: "GET /open", response: t.Object({}), access: "public" }),
  },
});

const shopService = service(shop, {
  methods: { search: async () => ({ hits: 1 }), open: async () => ({}) },
});

const definition = app({ name: "limited", services: [shopService] });

test("a method's limits hold through the gateway, with the draft's headers", async () => {
  const running = await startTestApp(definition);
  try {
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await fetch(`${running.url}/search`));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 429],
    );
    const [first, , , last] = answers as [Response, Response, Response, Response];
    assert.match(first.headers.get("ratelimit-policy") ?? "", /^"search-address-1m";q=3;w=60;pk=:[A-Za-z0-9+/=]+:$/);
    assert.match(first.headers.get("ratelimit") ?? "", /^"search-address-1m";r=2;t=\d+;pk=:[A-Za-z0-9+/=]+:$/);
    assert.match(last.headers.get("ratelimit") ?? "", /^"search-address-1m";r=0;t=\d+;pk=/);
    assert.ok(Number(last.headers.get("retry-after")) >= 50);
    assert.equal(last.headers.get("content-type"), "application/problem+json");
    const problem = (await last.json()) as Record<string, unknown>;
    assert.equal(problem.type, "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert.deepEqual(problem["violated-policies"], ["search-address-1m"]);
    const free = await fetch(`${running.url}/open`);
    assert.deepEqual([free.status, free.headers.get("ratelimit-policy")], [200, null]);
  } finally {
    await running.stop();
  }
});

test("limits stand in the Model", () => {
  const model = buildModel(definition);
  const [search, open] = model.services[0]?.methods ?? [];
  assert.deepEqual(search?.limits, {
    own: [
      {
        name: "search-address-1m",
        by: "address",
        kind: "window",
        quota: 3,
        window: 60_000,
        burst: null,
        cost: 1,
        perRoute: false,
      },
    ],
    shared: {},
  });
  assert.deepEqual(open?.limits, { own: [], shared: {} });
  assert.equal(model.limits.authFailures?.quota, 100);
});
