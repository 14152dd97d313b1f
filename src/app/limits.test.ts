import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { newId, systemClock, systemRandom } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, method, service, tokens } from "../service/index.ts";
import { createLogger, createMetrics } from "../telemetry/index.ts";
import type { GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import { checkApp } from "./check.ts";
import { createProcessLimits, trustedProxiesOf } from "./limits-process.ts";
import { buildModel } from "./model.ts";
import { createRuntime } from "./runtime.ts";
import type { TestAppOptions } from "./testing.ts";
import { startTestApp } from "./testing.ts";

const shop = contract("shop", {
  methods: {
    search: method({
      http: "GET /search",
      response: t.Object({ hits: t.Integer() }),
      access: "public",
      limits: [{ quota: 3, window: "1m", by: "address" }],
    }),
    open: method({ http: "GET /open", response: t.Object({}), access: "public", limits: false }),
  },
});

const shopService = service(shop, { methods: { search: async () => ({ hits: 1 }), open: async () => ({}) } });

const desk = contract("desk", {
  methods: {
    orders: method({ http: "GET /orders" }),
    report: method({ http: "GET /report", limits: [{ shared: "api", cost: 5 }] }),
    signIn: method({
      http: "GET /sign-in/:plan",
      request: t.Object({ plan: t.String() }),
      response: t.Object({ token: t.String() }),
      access: "public",
      limits: false,
    }),
  },
});

const deskService = service(desk, {
  needs: { tokens: tokens() },
  methods: {
    orders: async () => {},
    report: async () => {},
    signIn: async ({ plan }, { tokens }) => ({
      token: (await tokens.issue({ subject: `${plan}-user`, claims: { plan } })).token,
    }),
  },
});

const plans: GatewayOptions = {
  plans: {
    free: [{ quota: 5, window: "day", name: "api" }],
    pro: [{ quota: 10, window: "month", name: "api" }],
  },
  planOf: { claim: "plan" },
};

/** The name keeps runs apart that count in one Redis. */
const definition = (gateway: GatewayOptions = {}) =>
  app({
    name: `limited-${newId().slice(-12).toLowerCase()}`,
    services: gateway.plans ? [shopService, deskService] : [shopService],
    gateway,
  });

async function withApp(
  gateway: GatewayOptions,
  options: TestAppOptions,
  work: (get: (path: string, headers?: Record<string, string>) => Promise<Response>) => Promise<void>,
) {
  const running = await startTestApp(definition(gateway), options);
  try {
    await work((path, headers = {}) => fetch(running.url + path, { headers }));
  } finally {
    await running.stop();
  }
}

const statuses = async (count: number, work: () => Promise<Response>): Promise<number[]> => {
  const all: number[] = [];
  for (let i = 0; i < count; i++) all.push((await work()).status);
  return all;
};

describe("limits of an app", () => {
  test("a method's limits hold through the gateway, with the draft's headers", async () => {
    await withApp({}, {}, async (get) => {
      const answers = [];
      for (let i = 0; i < 4; i++) answers.push(await get("/search"));
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
      const free = await get("/open");
      assert.deepEqual([free.status, free.headers.get("ratelimit-policy")], [200, null]);
    });
  });

  test("a plan comes from the token's claim, and a dear method takes more of it", async () => {
    await withApp(plans, {}, async (get) => {
      const as = async (plan: string) => {
        const { token } = (await (await get(`/sign-in/${plan}`)).json()) as { token: string };
        return { authorization: `Bearer ${token}` };
      };
      const [free, pro, other] = [await as("free"), await as("pro"), await as("gold")];
      assert.deepEqual(await statuses(6, () => get("/orders", free)), [204, 204, 204, 204, 204, 429]);
      assert.deepEqual(await statuses(3, () => get("/report", pro)), [204, 204, 429]);
      assert.match((await get("/orders", pro)).headers.get("ratelimit-policy") ?? "", /^"api";q=10;pk=/);
      assert.match((await get("/orders", other)).headers.get("ratelimit-policy") ?? "", /^"api";q=5;w=86400;pk=/);
    });
  });

  test("PLINTH_TRUSTED_PROXIES says who may tell the client's address", async () => {
    const spoof = { "x-forwarded-for": "9.9.9.9, 203.0.113.1" };
    await withApp({}, {}, async (get) => {
      assert.deepEqual(await statuses(3, () => get("/search", spoof)), [200, 200, 200]);
      assert.equal((await get("/search", { "x-forwarded-for": "203.0.113.2" })).status, 429);
    });
    await withApp({}, { environment: { PLINTH_TRUSTED_PROXIES: "127.0.0.1,::1" } }, async (get) => {
      assert.deepEqual(await statuses(4, () => get("/search", spoof)), [200, 200, 200, 429]);
      assert.equal((await get("/search", { "x-forwarded-for": "203.0.113.2" })).status, 200);
    });
    await assert.rejects(
      startTestApp(definition(), { environment: { PLINTH_TRUSTED_PROXIES: "everybody" } }),
      /trustedProxies: "everybody" is no address or network/,
    );
  });

  test("the setting stands above what the app says of proxies, not of their header", () => {
    const declared = (gateway: GatewayOptions, trustedProxies: string[] | undefined) =>
      trustedProxiesOf(definition(gateway), { trustedProxies });
    assert.deepEqual(declared({}, undefined), {});
    assert.deepEqual(declared({ trustedProxies: 1 }, undefined), { trustedProxies: 1 });
    assert.deepEqual(declared({ trustedProxies: 1 }, ["2"]), { trustedProxies: { proxies: 2 } });
    assert.deepEqual(declared({ trustedProxies: { proxies: 1, header: "forwarded" } }, ["10.0.0.0/8", "fd00::/8"]), {
      trustedProxies: { proxies: ["10.0.0.0/8", "fd00::/8"], header: "forwarded" },
    });
    assert.deepEqual(declared({ trustedProxies: { proxies: 1, host: true } }, ["2"]), {
      trustedProxies: { proxies: 2, host: true },
    });
  });

  test("limits stand in the Model as plain data", () => {
    const model = buildModel(
      definition({ ...plans, limits: [{ quota: 9, window: "1h", burst: 3, by: { claim: "org" } }] }),
    );
    const methods = Object.fromEntries(
      model.services.flatMap((each) => each.methods).map(({ name, limits }) => [name, limits]),
    );
    assert.deepEqual(methods.search, {
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
    assert.deepEqual(
      [methods.open, methods.orders, methods.report],
      [null, { own: [], shared: {} }, { own: [], shared: { api: 5 } }],
    );
    assert.deepEqual(
      [
        model.limits.limits.map(({ name, by, kind, window, burst }) => [name, by, kind, window, burst]),
        model.limits.plans.map(({ name, limits }) => [name, limits.map(({ window }) => window)]),
        model.limits.planOf,
        model.limits.authFailures?.quota,
      ],
      [
        [["org-1h", "claim org", "bucket", 3_600_000, 3]],
        [
          ["free", ["day"]],
          ["pro", ["month"]],
        ],
        { claim: "plan", otherwise: "free" },
        100,
      ],
    );
    assert.equal(buildModel(definition({ authFailures: false })).limits.authFailures, null);
  });

  test("wrong limits are told all at once", () => {
    const wrong = (gateway: GatewayOptions, says: RegExp) => assert.throws(() => checkApp(definition(gateway)), says);
    wrong({ limits: [{ quota: 0, window: "1m" }] }, /gateway: limits: .* a quota is a whole number/);
    wrong({ plans: { free: [] } }, /nothing says who has which; add planOf/);
    wrong({ planOf: { claim: "plan" } }, /planOf: there are no plans/);
    wrong(
      { plans: { free: [] }, planOf: { claim: "plan", otherwise: "gold" } },
      /there is no plan "gold"; there are free/,
    );
    wrong({ plans: { free: [] }, planOf: { claim: "" } }, /planOf.claim: write a claim/);
    wrong({ plans: { "a/b": [] }, planOf: { claim: "plan" } }, /plans: "a\/b" is no name/);
    wrong({ authFailures: { quota: -1, window: "1m" } }, /gateway: authFailures: .* a quota is a whole number/);
  });
});

test("a tool may have everything unlimited, whatever the app declares", async () => {
  const unlimited = await createRuntime(definition({ limits: [{ quota: 1, window: "1m" }] }), {
    limits: false,
    management: false,
    environment: { NODE_ENV: "test", PLINTH_LOG: "silent" },
    settings: { port: 0 },
  });
  const { gateway } = await unlimited.start();
  try {
    assert.deepEqual(await statuses(5, () => fetch(`${gateway}/search`)), [200, 200, 200, 200, 200]);
  } finally {
    await unlimited.stop();
  }
});

test("what came of limits can be scraped", async () => {
  const metrics = createMetrics();
  const limits = await createProcessLimits({
    checked: checkApp(definition()),
    group: undefined,
    limits: true,
    settings: { limitsUrl: undefined, cacheUrl: undefined, processes: undefined },
    clock: systemClock,
    random: systemRandom,
    log: createLogger({ level: "silent" }),
    metrics,
  });
  await limits?.component.start?.(new AbortController().signal);
  limits?.quotas.observe?.("search-address-1m", "refused");
  const { body } = await metrics.render();
  assert.match(body, /plinth_limit_decisions_total\{limit="search-address-1m",outcome="refused"\} 1/);
  assert.match(body, /plinth_limit_store_down 0/);
  assert.match(body, /plinth_limit_places_held 0/);
  await limits?.component.stop?.();
});

const redis = process.env.PLINTH_TEST_REDIS_URL;

describe("limits of several processes", { skip: redis === undefined && "PLINTH_TEST_REDIS_URL is not set" }, () => {
  for (const variable of ["LIMITS_URL", "CACHE_URL"]) {
    test(`count together on the server of ${variable}`, async () => {
      const one = definition();
      const environment = { [variable]: redis as string };
      const both = [await startTestApp(one, { environment }), await startTestApp(one, { environment })];
      try {
        const all = await Promise.all(both.flatMap(({ url }) => [1, 2, 3, 4].map(() => fetch(`${url}/search`))));
        assert.equal(all.filter(({ status }) => status === 200).length, 3);
      } finally {
        await Promise.all(both.map((each) => each.stop()));
      }
    });
  }

  test("two apps on one server know nothing of each other", async () => {
    const environment = { LIMITS_URL: redis as string };
    for (let i = 0; i < 2; i++) {
      await withApp({}, { environment }, async (get) => {
        assert.deepEqual(await statuses(4, () => get("/search")), [200, 200, 200, 429]);
      });
    }
  });

  test("an address that no engine serves as a limiter stops the start", async () => {
    const start = (LIMITS_URL: string) => startTestApp(definition(), { environment: { LIMITS_URL } });
    await assert.rejects(
      start("postgres://127.0.0.1/x"),
      /LIMITS_URL: postgres is no limiter, it offers database; there are redis:/,
    );
    await assert.rejects(start("redis://127.0.0.1:1/0"), /redis: nothing answers/);
  });
});
