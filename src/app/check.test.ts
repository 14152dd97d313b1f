import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { cache, contract, database, event, external, method, resource, service } from "../service/index.ts";
import { app, groupsOf, membersOf } from "./app.ts";
import { checkApp } from "./check.ts";
import { createRuntime } from "./runtime.ts";

const orders = contract("orders", {
  methods: { place: method({ http: "POST /orders", request: t.Object({ id: t.String() }) }) },
  events: { OrderPlaced: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
});
const stock = contract("stock", { methods: { reserve: method({}) } });
const ordersService = service(orders, {
  needs: { db: database(), stock },
  methods: { async place() {} },
});
const stockService = service(stock, { methods: { async reserve() {} } });

function problemsOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof StartError, String(thrown));
    return thrown.problems.join("\n");
  }
  return assert.fail("it was accepted");
}

const wrong: readonly [claim: string, build: () => Parameters<typeof app>[0], message: RegExp][] = [
  [
    "a name that is none",
    () => ({ name: "My Shop", services: [] }),
    /app: name: "My Shop" is no name; use small letters/,
  ],
  [
    "two services of one name",
    () => ({ name: "shop", services: [stockService, stockService] }),
    /stock: services: two services have this name; rename one/,
  ],
  [
    "a dependency that nothing provides",
    () => ({ name: "shop", services: [ordersService] }),
    /orders: needs\.stock: nothing in the app provides "stock"; add its service to app\(\{ services \}\)/,
  ],
  [
    "routes that collide, whatever their parameters are called",
    () => {
      const a = contract("a", {
        methods: { get: method({ http: "GET /x/:id", request: t.Object({ id: t.String() }) }) },
      });
      const b = contract("b", {
        methods: { get: method({ http: "GET /x/:name", request: t.Object({ name: t.String() }) }) },
      });
      const handlers = { methods: { async get() {} } };
      return { name: "shop", services: [service(a, handlers), service(b, handlers)] };
    },
    /b\.get: http: "GET \/x\/:name" is also the route of a\.get; change one/,
  ],
  [
    "a handler that is missing, and one that is too many",
    () => ({ name: "shop", services: [service(stock, { methods: { release() {} } as never })] }),
    /stock\.reserve: methods: .* no handler; add "async reserve[\s\S]*stock\.release: methods: .* no such method/,
  ],
  [
    "a rule about an object that nobody finds, and one that is found for nothing",
    () => {
      const access = { resource: resource<{}>()("note"), can: () => true };
      const notes = contract("notes", { methods: { show: method({ access }) } });
      const resources = { other: () => ({}) } as never;
      return { name: "shop", services: [service(notes, { resources, methods: { async show() {} } })] };
    },
    /notes\.show: access\.resource: nothing says how "note" is found; add "note: [\s\S]*notes: resources\.other: no access rule/,
  ],
  [
    "a rule about an object of an outside service",
    () => {
      const outside = contract("stock", {
        methods: { reserve: method({ http: "POST /reserve", access: { can: () => true } }) },
      });
      return { name: "shop", services: [external(outside, "http://127.0.0.1:1")] };
    },
    /stock\.reserve: access\.can: an outside service answers it, so nobody would ask this rule/,
  ],
  [
    "access rules that are none",
    () => {
      const rules = [
        {},
        { scope: "" },
        { role: [] },
        { can: true },
        { resource: resource<{}>()("x") },
        { scopes: "a" },
      ];
      const methods = Object.fromEntries(rules.map((access, i) => [`m${i}`, method({ access: access as never })]));
      return { name: "shop", services: [service(contract("odd", { methods }), { methods: {} as never })] };
    },
    /m0: access: \{\} is no access rule[\s\S]*m1: access[\s\S]*m2: access[\s\S]*m3: access[\s\S]*m4: access[\s\S]*m5: access/,
  ],
  [
    "events without a database to write them in",
    () => ({ name: "shop", services: [service(orders, { methods: { async place() {} } })] }),
    /orders: events: .* add a database\(\) to "needs"/,
  ],
  [
    "a subscription to an event that nobody publishes",
    () => ({
      name: "shop",
      services: [
        service(stock, {
          needs: { db: database() },
          methods: { async reserve() {} },
          subscriptions: { onOrder: { event: orders.OrderPlaced, async handle() {} } },
        }),
      ],
    }),
    /stock: subscriptions\.onOrder\.event: nothing in the app publishes "orders\.OrderPlaced"; add the service "orders"/,
  ],
  [
    "a subscription of a service without a database",
    () => ({
      name: "shop",
      services: [
        ordersService,
        service(stock, {
          methods: { async reserve() {} },
          subscriptions: { onOrder: { event: orders.OrderPlaced, async handle() {} } },
        }),
      ],
    }),
    /stock: subscriptions\.onOrder: .* add a database\(\)/,
  ],
  [
    "a subscription to what is no event",
    () => ({
      name: "shop",
      services: [
        service(stock, {
          needs: { db: database() },
          methods: { async reserve() {} },
          subscriptions: { odd: { event: {} as never, async handle() {} } },
        }),
      ],
    }),
    /stock: subscriptions\.odd\.event: this is no event/,
  ],
  [
    "a need under a name that the context has already",
    () => ({ name: "shop", services: [service(stock, { needs: { log: cache() }, methods: { async reserve() {} } })] }),
    /stock: needs\.log: the context already has "log"; choose another name/,
  ],
  [
    "a need that is none, and two databases",
    () => ({
      name: "shop",
      services: [
        service(stock, { needs: { a: {} as never, b: database(), c: database() }, methods: { async reserve() {} } }),
      ],
    }),
    /a service has one database[\s\S]*needs\.a: this is no need/,
  ],
  [
    "a placement of services that do not exist, twice or nowhere, without a gateway",
    () => ({
      name: "shop",
      services: [ordersService, stockService],
      placement: { Edge: ["stock"], back: ["stock", "basket" as never] },
    }),
    /"Edge" is no group name[\s\S]*"stock" is already in "Edge"[\s\S]*no service "basket"[\s\S]*"orders" is in no group[\s\S]*no group has "gateway"/,
  ],
  ...["postpone", "then", "toString", "valueOf", "hasOwnProperty", "__proto__", "tx", "signal"].map(
    (field): (typeof wrong)[number] => [
      `a need named "${field}"`,
      () => ({
        name: "shop",
        services: [service(stock, { needs: { [field]: cache() }, methods: { async reserve() {} } })],
      }),
      new RegExp(`stock: needs\\.${field}: the context already has "${field}"; choose another name`),
    ],
  ),
  ...(
    [
      ["gateway", /gateway: contract: placements call the HTTP edge by this name; choose another/],
      ["plinthBroker", /plinthBroker: contract: its database schema would be "plinth_broker", which is not its own/],
      ["pgThings", /pgThings: contract: its database schema would be "pg_things"/],
      ["informationSchema", /its database schema would be "information_schema"/],
      [`a${"B".repeat(40)}`, /its database schema would be "a(_b){40}", longer than 63 characters; choose a shorter/],
    ] as const
  ).map(([name, message]): (typeof wrong)[number] => [
    `a contract named "${name}"`,
    () => ({ name: "shop", services: [service(contract(name, { methods: {} }), { methods: {} })] }),
    message,
  ]),
  [
    "an event whose payload cannot be used, and one whose key is no field of it",
    () => {
      const odd = contract("odd", {
        methods: {},
        events: {
          Broken: event({ key: "id" as never, payload: { unusable: true } as never }),
          Lost: event({ key: "number" as never, payload: t.Object({ id: t.String() }) }),
        },
      });
      return { name: "shop", services: [service(odd, { needs: { db: database() }, methods: {} })] };
    },
    /odd\.Broken: payload: [\s\S]*odd\.Lost: key: the payload has no field "number"; name one of id/,
  ],
  [
    "options of a subscription that cannot be, all at once",
    () => ({
      name: "shop",
      services: [
        ordersService,
        service(stock, {
          needs: { db: database() },
          methods: { async reserve() {} },
          subscriptions: {
            onOrder: {
              event: orders.OrderPlaced,
              concurrency: 0,
              deadline: "16m",
              retries: ["soon" as never, "25h"],
              async handle() {},
            },
          },
        }),
      ],
    }),
    /stock: subscriptions\.onOrder\.concurrency: 0 cannot be; give[\s\S]*onOrder\.deadline: "16m" cannot be[\s\S]*onOrder\.retries: "soon" is no wait[\s\S]*retries: "25h" is no wait/,
  ],
];

for (const [claim, build, message] of wrong) {
  test(`refuses ${claim}`, () =>
    assert.match(
      problemsOf(() => checkApp(app(build()))),
      message,
    ));
}

test("a right app passes, and everything wrong is told at once", () => {
  const checked = checkApp(app({ name: "shop", services: [ordersService, stockService] }));
  assert.deepEqual([...checked.operations.keys()], ["orders", "stock"]);
  assert.ok(checked.events.has("orders.OrderPlaced"));
  const problems = problemsOf(() => checkApp(app({ name: "S", services: [ordersService, ordersService] })));
  assert.equal(problems.split("\n").length, 4, problems);
});

test("an external service provides its contract", () => {
  const outside = contract("stock", { methods: { reserve: method({ http: "POST /reserve" }) } });
  checkApp(app({ name: "shop", services: [ordersService, external(outside, "http://127.0.0.1:1")] }));
});

test("groups follow the placement; without one there is a single group; an unknown group is refused with those there are", () => {
  const placed = app({
    name: "shop",
    services: [ordersService, stockService],
    placement: { edge: ["gateway", "orders"], back: ["stock"] },
  });
  assert.deepEqual([...membersOf(placed, "edge")], ["gateway", "orders"]);
  assert.deepEqual([...membersOf(placed, undefined)].sort(), ["gateway", "orders", "stock"]);
  assert.match(
    problemsOf(() => membersOf(placed, "front")),
    /no group "front" in "shop"; its placement has "edge", "back"/,
  );
  assert.deepEqual([...groupsOf(app({ name: "shop", services: [stockService] }))], [["all", ["stock", "gateway"]]]);
});

test("starting a process checks its app once", async () => {
  let reads = 0;
  const methods = new Proxy(
    { reserve: method({ access: "public" }) },
    {
      ownKeys(target) {
        reads++;
        return Reflect.ownKeys(target);
      },
    },
  );
  const counted = app({
    name: "counted",
    services: [service(contract("counted", { methods }), { methods: { async reserve() {} } })],
  });
  const readsOf = async (work: () => unknown): Promise<number> => {
    const before = reads;
    await work();
    return reads - before;
  };
  const once = await readsOf(() => checkApp(counted));
  const environment = { NODE_ENV: "test", PLINTH_LOG: "silent" };
  assert.equal(await readsOf(() => createRuntime(counted, { environment })), once);
});
