import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { parseList } from "structured-headers";
import { createManualClock, systemClock } from "../../base/index.ts";
import { createMemoryLimits } from "../../limits/index.ts";
import { createFaultyLimits } from "../../limits/testing.ts";
import { t } from "../../schema/index.ts";
import { method, raw, stream } from "../../service/index.ts";
import type { Gateway } from "../gateway.ts";
import type { Answer, TestMethod } from "../testing.ts";
import { ask, request, silent, talk, testGateway } from "../testing.ts";
import type { QuotaFixture } from "./rate-limit.fixture.ts";
import { fakeAuthenticator, get, quotasOf } from "./rate-limit.fixture.ts";

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

async function open(methods: Readonly<Record<string, TestMethod>>, given: QuotaFixture = {}, more = {}) {
  const gateway = testGateway(methods, { ...quotasOf(given), ...more });
  running.push(gateway);
  const { port } = await gateway.start();
  return (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    ask(port, request(`GET ${path}`, headers));
}

const as = (who: string) => ({ authorization: `Bearer ${who}` });
const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status);

/** Asks so many times, one after the other. */
async function repeat(count: number, work: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let i = 0; i < count; i++) answers.push(await work());
  return answers;
}

/** Each item of a structured list with its parameters. */
const itemsOf = (text: string | undefined) =>
  parseList(text ?? "").map(([name, parameters]) => [name, Object.fromEntries(parameters)] as const);

describe("what clients are told", () => {
  test("RateLimit-Policy and RateLimit are structured lists, an item for each limit, on every answer", async () => {
    const clock = createManualClock();
    const limits: QuotaFixture["limits"] = [
      { quota: 100, window: "1m", by: "principal" },
      { quota: 60, window: "1m", burst: 5, by: "address", name: "burst" },
      { quota: 1000, window: "day", by: "tenant", name: "daily" },
      { quota: 9, window: "month", by: "route", name: "monthly" },
    ];
    const ask = await open({ a: get("/a") }, { limits, clock });
    const { status, headers } = await ask("/a", as("ann tenant=t1"));
    assert.equal(status, 200);
    const policies = itemsOf(headers["ratelimit-policy"]);
    assert.deepEqual(
      policies.map(([name, { pk, ...rest }]) => [name, rest, (pk as ArrayBuffer).byteLength]),
      [
        ["principal-1m", { q: 100, w: 60 }, 9],
        ["burst", { q: 60, w: 60, "plinth-burst": 5 }, 9],
        ["daily", { q: 1000, w: 86_400 }, 9],
        ["monthly", { q: 9 }, 9],
      ],
    );
    const states = itemsOf(headers.ratelimit);
    assert.deepEqual(
      states.map(([name, { r, pk }]) => [name, r, (pk as ArrayBuffer).byteLength]),
      [
        ["principal-1m", 99, 9],
        ["burst", 4, 9],
        ["daily", 999, 9],
        ["monthly", 8, 9],
      ],
    );
    const seconds = states.map(([, { t: reset }]) => reset as number);
    assert.ok(seconds.every((each) => Number.isInteger(each) && each > 0));
    assert.ok((seconds[0] as number) <= 66 && seconds[1] === 1 && (seconds[2] as number) <= 86_400, `${seconds}`);
  });

  test("a refusal is 429 problem+json that names the exceeded policies, and Retry-After is never before t", async () => {
    const clock = createManualClock();
    const limits: QuotaFixture["limits"] = [
      { quota: 2, window: "1m", name: "two" },
      { quota: 2, window: "day", name: "also-two" },
      { quota: 100, window: "month", name: "many" },
    ];
    const ask = await open({ a: get("/a") }, { limits, clock });
    await repeat(2, () => ask("/a"));
    const { status, headers, body } = await ask("/a");
    assert.equal(status, 429);
    assert.equal(headers["content-type"], "application/problem+json");
    const { detail, ...problem } = JSON.parse(body);
    assert.match(detail, /two, also-two/);
    assert.deepEqual(problem, {
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Request cannot be satisfied as assigned quota has been exceeded",
      status: 429,
      reason: "QUOTA_EXCEEDED",
      code: "resource_exhausted",
      executed: "no",
      "violated-policies": ["two", "also-two"],
    });
    assert.deepEqual(
      itemsOf(headers["ratelimit-policy"]).map(([name]) => name),
      ["two", "also-two", "many"],
    );
    const states = itemsOf(headers.ratelimit);
    assert.deepEqual(
      states.map(([name, { r }]) => [name, r]),
      [
        ["two", 0],
        ["also-two", 0],
      ],
    );
    for (const [, { t: reset }] of states) assert.ok(Number(headers["retry-after"]) >= (reset as number));
  });

  test("errors, 304 and raw answers carry them too; a route without limits carries nothing", async () => {
    const limited = [{ quota: 9, window: "1m" }] as const;
    const failing: TestMethod = {
      method: method({ http: "GET /fails", access: "public", limits: limited }),
      handle: () => {
        throw new Error("no");
      },
    };
    const bytes: TestMethod = {
      method: raw({ http: "GET /raw", access: "public", limits: limited }),
      handle: () => ({ body: "x" }),
    };
    const items: TestMethod = {
      method: stream({ http: "GET /items", access: "public", item: t.Object({}), limits: limited }),
      handle: async function* () {
        yield {};
      },
    };
    const ask = await open({ failing, bytes, items, a: get("/a") }, {}, { log: silent() });
    for (const [path, status] of [
      ["/fails", 500],
      ["/raw", 200],
      ["/items", 200],
    ] as const) {
      const answer = await ask(path);
      assert.deepEqual([answer.status, itemsOf(answer.headers.ratelimit)[0]?.[1].r], [status, 8], path);
    }
    const free = await ask("/a");
    assert.deepEqual([free.headers.ratelimit, free.headers["ratelimit-policy"]], [undefined, undefined]);
  });

  test("a partition is told by the same bytes to the same caller, and by others to others", async () => {
    const ask = await open({ a: get("/a") }, { limits: [{ quota: 9, window: "1m" }] });
    const pkOf = async (who: string) =>
      Buffer.from(itemsOf((await ask("/a", as(who))).headers.ratelimit)[0]?.[1].pk as ArrayBuffer).toString("hex");
    const [ann, again, bob] = [await pkOf("ann"), await pkOf("ann"), await pkOf("bob")];
    assert.equal(ann, again);
    assert.notEqual(ann, bob);
    assert.ok(!Buffer.from(ann, "hex").toString().includes("ann"));
  });
});

describe("who is counted", () => {
  test("principals, clients, keys, tenants, claims, addresses and routes each by their own", async () => {
    const cases: readonly [NonNullable<QuotaFixture["limits"]>[number]["by"], string, string, string][] = [
      ["principal", "ann", "ann x=1", "bob"],
      ["client", "ann client_id=app", "bob client_id=app", "ann client_id=other"],
      ["client", "ann azp=app", "bob azp=app", "ann azp=other"],
      ["key", "ann client_id=key:1", "bob client_id=key:1", "ann client_id=key:2"],
      ["tenant", "ann tenant=t", "bob tenant=t", "ann tenant=u"],
      [{ claim: "region" }, "ann region=eu", "bob region=eu", "ann region=us"],
      ["principal", "ann iss=one", "ann iss=one y=2", "ann iss=two"],
    ];
    for (const [by = "principal", first, same, other] of cases) {
      const ask = await open({ a: get("/a") }, { limits: [{ quota: 1, window: "1m", by }] });
      const answers = [await ask("/a", as(first)), await ask("/a", as(same)), await ask("/a", as(other))];
      assert.deepEqual(statuses(answers), [200, 429, 200], JSON.stringify([by, first, same, other]));
    }
  });

  test("a token cannot pass for an API key, nor a claim for another, nor a name for an address", async () => {
    const ask = await open({ a: get("/a") }, { limits: [{ quota: 1, window: "1m", by: "key" }] });
    assert.equal((await ask("/a", as("svc client_id=key:1"))).status, 200);
    assert.equal((await ask("/a", as("eve iss=evil client_id=key:1"))).status, 200);
    assert.equal((await ask("/a", as("svc client_id=key:1"))).status, 429);
    const byAddress = await open({ a: get("/a") }, { limits: [{ quota: 1, window: "1m" }] });
    assert.equal((await byAddress("/a", as("127.0.0.1"))).status, 200);
    assert.equal((await byAddress("/a")).status, 200);
    assert.equal((await byAddress("/a")).status, 429);
  });

  test("what a token says never becomes part of a header or of a key as it stands", async () => {
    const names: string[] = [];
    const memory = createMemoryLimits();
    const driver = {
      ...memory,
      name: memory.name,
      flags: memory.flags,
      take(slot: string, demands: readonly { readonly key: string }[] & Parameters<typeof memory.take>[1]) {
        names.push(slot, ...demands.map(({ key }) => key));
        return memory.take(slot, demands);
      },
    };
    const hostile = [
      'x";r=999;evil=1, "y";r=1',
      "a\r\nset-cookie: evil=1",
      "}{a}",
      "\u0000\u{1f600}日本語",
      "__proto__",
      "x".repeat(8000),
      "",
    ];
    let subject = "";
    const authenticator = {
      ...fakeAuthenticator(),
      recall: () => ({ kind: "user" as const, subject, scopes: [], claims: { tenant: subject } }),
    };
    const limits = [
      { quota: 1, window: "1m", by: "tenant" },
      { quota: 2, window: "1m" },
    ] as const;
    const gateway = testGateway({ a: get("/a") }, { ...quotasOf({ limits, driver }), authenticator });
    running.push(gateway);
    const { port } = await gateway.start();
    for (const each of hostile) {
      subject = each;
      const { status, headers } = await ask(port, request("GET /a", as("x")));
      assert.equal(status, 200, each.slice(0, 20));
      assert.deepEqual([itemsOf(headers.ratelimit).length, headers["set-cookie"]], [2, undefined]);
      assert.match(headers.ratelimit ?? "", /^[\x20-\x7e]{1,200}$/);
    }
    for (const name of names) assert.match(name, /^[\w/:@.-]{1,100}$/);
  });

  test("whoever is not signed in is counted by address, whatever the limit counts by", async () => {
    for (const by of ["principal", "client", "tenant", { claim: "plan" }] as const) {
      const ask = await open({ a: get("/a") }, { limits: [{ quota: 2, window: "1m", by }] });
      assert.deepEqual(statuses(await repeat(3, () => ask("/a"))), [200, 200, 429]);
    }
  });

  test("what is refused for lack of a token or a scope counts as well", async () => {
    const locked: TestMethod = {
      method: method({ http: "GET /locked", access: { scope: "a" }, limits: [{ quota: 2, window: "1m" }] }),
      handle: () => undefined,
    };
    const ask = await open({ locked });
    assert.deepEqual(statuses(await repeat(3, () => ask("/locked"))), [401, 401, 429]);
    assert.deepEqual(statuses(await repeat(3, () => ask("/locked", as("ann")))), [403, 403, 429]);
  });
});

describe("what the app declares", () => {
  test("shared limits count over all routes; perRoute and by route each for itself; false for none", async () => {
    const routes = { a: get("/a"), b: get("/b"), free: get("/free", false) };
    const shared = await open(routes, { limits: [{ quota: 2, window: "1m" }] });
    assert.deepEqual(statuses([await shared("/a"), await shared("/b"), await shared("/a")]), [200, 200, 429]);
    assert.deepEqual(statuses(await repeat(4, () => shared("/free"))), [200, 200, 200, 200]);
    for (const limit of [{ perRoute: true }, { by: "route" }] as const) {
      const own = await open(routes, { limits: [{ quota: 1, window: "1m", ...limit }] });
      assert.deepEqual(statuses([await own("/a"), await own("/b"), await own("/a")]), [200, 200, 429]);
    }
  });

  test("a method's own limits hold beside the shared ones, and it may cost more or nothing of those", async () => {
    const routes = {
      dear: get("/dear", [{ shared: "api", cost: 5 }]),
      free: get("/free", [{ shared: "api", cost: 0 }]),
      own: get("/own", [{ quota: 1, window: "1m" }]),
    };
    const ask = await open(routes, { limits: [{ quota: 10, window: "1m", name: "api" }] });
    assert.equal(itemsOf((await ask("/dear")).headers.ratelimit)[0]?.[1].r, 5);
    assert.equal((await ask("/free")).headers.ratelimit, undefined);
    const own = await ask("/own");
    assert.deepEqual(
      itemsOf(own.headers.ratelimit).map(([name, { r }]) => [name, r]),
      [
        ["api", 4],
        ["own-principal-1m", 0],
      ],
    );
    // Refused by one, so nothing is taken of the other.
    assert.equal((await ask("/own")).status, 429);
    assert.equal((await ask("/dear")).status, 429);
    assert.deepEqual(itemsOf((await ask("/dear")).headers.ratelimit), itemsOf((await ask("/dear")).headers.ratelimit));
  });

  test("a plan is taken from the claim; without it, or with one that there is not, the declared one holds", async () => {
    const given: QuotaFixture = {
      plans: { free: [{ quota: 1, window: "1m" }], pro: [{ quota: 3, window: "1m" }], open: [] },
      planOf: { claim: "plan", otherwise: "free" },
    };
    const ask = await open({ a: get("/a") }, given);
    const allowed = async (who: string) =>
      (await repeat(5, () => ask("/a", as(who)))).filter(({ status }) => status === 200).length;
    assert.equal(await allowed("ann plan=free"), 1);
    assert.equal(await allowed("bob plan=pro"), 3);
    assert.equal(await allowed("cy"), 1);
    assert.equal(await allowed("dan plan=unlimited"), 1);
    assert.equal(await allowed("eve plan=__proto__"), 1);
    assert.equal(await allowed("fay plan=open"), 5);
    assert.deepEqual(statuses(await repeat(2, () => ask("/a"))), [200, 429]);
    assert.match((await ask("/a", as("gus plan=pro"))).headers["ratelimit-policy"] ?? "", /q=3/);
  });

  test("a cost may depend on the request, before its body is read", async () => {
    const costly = get("/a", [
      {
        quota: 100,
        window: "1m",
        cost: ({ query, principal }) => Number(query.get("n") ?? 1) + principal.scopes.length,
      },
    ]);
    const ask = await open({ costly });
    assert.equal(itemsOf((await ask("/a?n=60")).headers.ratelimit)[0]?.[1].r, 40);
    assert.equal((await ask("/a?n=41")).status, 429);
    assert.equal(itemsOf((await ask("/a?n=39.5")).headers.ratelimit)[0]?.[1].r, 0);
  });

  test("a huge cost is refused without a time to come back, a senseless one is our fault; neither takes anything", async () => {
    const costly = get("/a", [{ quota: 10, window: "1m", cost: ({ query }) => Number(query.get("n")) }]);
    const ask = await open({ costly });
    for (const n of ["11", "1e300", "Infinity", "9007199254740993"]) {
      const { status, headers } = await ask(`/a?n=${n}`);
      assert.deepEqual([status, headers["retry-after"]], [429, undefined], n);
    }
    for (const n of ["-1", "x", "-1e300"]) {
      const { status, body } = await ask(`/a?n=${n}`);
      assert.deepEqual([status, JSON.parse(body).reason], [500, "LIMIT_COST_INVALID"], n);
    }
    assert.equal(itemsOf((await ask("/a?n=10")).headers.ratelimit)[0]?.[1].r, 0);
  });

  test("wrong limits stop the start with the remedy", async () => {
    const refuses = (given: QuotaFixture, methods: Readonly<Record<string, TestMethod>>, says: RegExp) =>
      assert.rejects(open(methods, given), says);
    const api: QuotaFixture["limits"] = [{ quota: 1, window: "1m" }];
    await refuses({}, { a: get("/a", [{ shared: "api", cost: 1 }]) }, /no shared limit "api"; there are none/);
    await refuses(
      { limits: api },
      { a: get("/a", [{ quota: 2, window: "1m", name: "principal-1m" }]) },
      /has a limit "principal-1m" for all/,
    );
    await refuses(
      { limits: api, plans: { free: api } },
      { a: get("/a") },
      /"principal-1m" is a limit of all plans too/,
    );
    const many = Array.from({ length: 7 }, (_, i) => ({ quota: 1, window: "1m" as const, name: `n${i}` }));
    const more = many.map((each) => ({ ...each, name: `m${each.name}` }));
    await refuses({ limits: many }, { a: get("/a", more) }, /14 limits hold for one request, at most 12/);
    assert.throws(
      () => testGateway({ a: get("/a", [{ quota: 1, window: "1m" }]) }),
      /test.a: it has limits, but the gateway has nothing to count with/,
    );
  });
});

describe("races and leases", () => {
  test("of 100 at once for the last token, one gets it", async () => {
    const ask = await open({ a: get("/a", [{ quota: 1, window: "1m" }]) });
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask("/a")));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ status }) => status === 429).length, 99);
  });

  test("at most so many run at once; a place is free when its request ends, in whatever way", async () => {
    const ends: (() => void)[] = [];
    const slow: TestMethod = {
      method: method({ http: "GET /slow", access: "public", limits: [{ concurrent: 2, by: "route" }] }),
      handle: () =>
        new Promise<void>((resolve, reject) =>
          ends.push(ends.length % 2 === 0 ? resolve : () => reject(new Error("x"))),
        ),
    };
    const ask = await open({ slow });
    const held = [ask("/slow"), ask("/slow")];
    while (ends.length < 2) await systemClock.sleep(5);
    const refused = await ask("/slow");
    assert.equal(refused.status, 429);
    assert.equal(refused.headers["retry-after"], "1");
    assert.deepEqual(
      itemsOf(refused.headers["ratelimit-policy"]).map(([name, { pk, ...rest }]) => [name, rest, pk !== undefined]),
      [["slow-route-concurrent", { q: 2, qu: "concurrent-requests" }, true]],
    );
    const [state] = itemsOf(refused.headers.ratelimit);
    assert.deepEqual([state?.[1].r, state?.[1].t], [0, undefined]);
    for (const end of ends) end();
    assert.deepEqual(statuses(await Promise.all(held)).sort(), [204, 500]);
    const next = ask("/slow");
    while (ends.length < 3) await systemClock.sleep(5);
    (ends[2] as () => void)();
    assert.equal((await next).status, 204);
  });

  test("a client that goes away gives its place back", async () => {
    let runs = 0;
    const slow: TestMethod = {
      method: method({ http: "GET /slow", access: "public", limits: [{ concurrent: 1, by: "route" }] }),
      handle: () => {
        runs++;
        return runs === 1 ? new Promise<void>(() => {}) : undefined;
      },
    };
    const gateway = testGateway({ slow }, quotasOf({}));
    running.push(gateway);
    const { port } = await gateway.start();
    await talk(port, request("GET /slow"), { quietMs: 50 });
    while (gateway.stats.inFlight > 0) await systemClock.sleep(5);
    assert.equal((await ask(port, request("GET /slow"))).status, 204);
  });
});

describe("a store that does not answer", () => {
  const limits: QuotaFixture["limits"] = [{ quota: 4, window: "1m" }];

  test("local: each process counts with its part; allow: all pass; refuse: 503. No other 5xx, and nobody waits long", async () => {
    for (const [whenDown, wanted] of [
      ["local", [200, 200, 429, 429, 429, 429]],
      ["allow", [200, 200, 200, 200, 200, 200]],
      ["refuse", [503, 503, 503, 503, 503, 503]],
    ] as const) {
      const driver = createFaultyLimits(createMemoryLimits(), { faults: { hang: true } });
      const ask = await open({ a: get("/a") }, { limits, driver, whenDown, processes: 2 });
      const startedAt = systemClock.now();
      const answers = await repeat(6, () => ask("/a"));
      const passedMs = systemClock.now() - startedAt;
      assert.deepEqual(statuses(answers), wanted, whenDown);
      assert.ok(driver.operationCount <= 5, `${driver.operationCount} times the store was asked`);
      assert.ok(passedMs < 1000, `${passedMs} ms`);
      if (whenDown === "refuse") assert.equal(JSON.parse(answers[0]?.body ?? "").reason, "LIMITS_UNAVAILABLE");
      if (whenDown === "allow") assert.equal(answers[0]?.headers.ratelimit, undefined);
    }
  });

  test("when it is there again it counts again, where it left off", async () => {
    const driver = createFaultyLimits(createMemoryLimits());
    const ask = await open({ a: get("/a") }, { limits, driver, whenDown: "allow" });
    assert.equal((await ask("/a")).status, 200);
    driver.faults.errorRate = 1;
    assert.deepEqual(statuses(await repeat(5, () => ask("/a"))), [200, 200, 200, 200, 200]);
    driver.faults.errorRate = 0;
    await systemClock.sleep(520);
    assert.deepEqual(statuses(await repeat(4, () => ask("/a"))), [200, 200, 200, 429]);
  });
});
