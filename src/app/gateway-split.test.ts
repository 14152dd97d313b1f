import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { t as schema } from "../schema/index.ts";
import type { Access, MethodLimit } from "../service/index.ts";
import { contract, method, service } from "../service/index.ts";
import type { GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { startTestApp } from "./testing.ts";

const answer = schema.Object({ by: schema.String() });

function greeter(
  name: string,
  {
    access = "public",
    extra = false,
    limits,
  }: { access?: Access; extra?: boolean; limits?: readonly MethodLimit[] | false } = {},
) {
  const methods = {
    greet: method({
      http: "GET /hello/:who",
      request: schema.Object({ who: schema.String() }),
      response: answer,
      access,
      ...(limits !== undefined && { limits }),
    }),
    ...(extra && { only: method({ http: "GET /only", response: answer, access: "public" as const }) }),
  };
  const handlers = { greet: async () => ({ by: name }), ...(extra && { only: async () => ({ by: name }) }) };
  return service(contract(name, { methods }), { methods: handlers as never });
}

const differentLimits: readonly (readonly [readonly MethodLimit[] | false, readonly MethodLimit[] | false])[] = [
  [[{ quota: 3, window: "1h" }], [{ quota: 30, window: "1h" }]],
  [[{ quota: 3, window: "1h" }], false],
  [[{ quota: 3, window: "1h" }], []],
  [[{ quota: 3, window: "1h", by: "address" }], [{ quota: 3, window: "1h" }]],
  [[{ quota: 3, window: "1h", cost: () => 1 }], [{ quota: 3, window: "1h", cost: () => 2 }]],
  [[{ shared: "api", cost: 3 }], [{ shared: "api", cost: 1 }]],
];

const splits = (more: object = {}): GatewayOptions => ({
  splits: {
    hello: {
      between: ["greeter", "greeterNext"],
      weights: { greeter: 1 },
      match: [{ header: "x-canary", to: "greeterNext" }],
      ...more,
    },
  },
});

test("two services share the routes of the first, also with each in a process of its own", async (t) => {
  const definition = app({
    name: "shop",
    services: [greeter("greeter", { extra: true }), greeter("greeterNext")],
    gateway: splits(),
    placement: { edge: ["greeter", "gateway"], next: ["greeterNext"] },
  });
  for (const placement of ["process", "groups"] as const) {
    const running = await startTestApp(definition, { placement });
    t.after(() => running.stop());
    const by = async (path: string, headers = {}) =>
      ((await (await fetch(`${running.url}${path}`, { headers })).json()) as { by: string }).by;
    assert.equal(await by("/hello/ada"), "greeter");
    assert.equal(await by("/hello/ada", { "x-canary": "1" }), "greeterNext");
    assert.equal(await by("/only", { "x-canary": "1" }), "greeter");
  }
});

test("the Model tells the routes once, at the first of them", () => {
  const { services } = buildModel(
    app({ name: "shop", services: [greeter("greeter"), greeter("greeterNext")], gateway: splits() }),
  );
  assert.deepEqual(
    services.map(({ methods }) => methods.map(({ paths }) => paths)),
    [[["/hello/:who"]], [[]]],
  );
});

test("the limits of a split count for all of its services together", async (t) => {
  const limits = [{ quota: 3, window: "1h" }] as const;
  const definition = app({
    name: "shop",
    services: [greeter("greeter", { limits }), greeter("greeterNext", { limits })],
    gateway: splits(),
  });
  const running = await startTestApp(definition);
  t.after(() => running.stop());
  const status = async (headers = {}) => (await fetch(`${running.url}/hello/ada`, { headers })).status;
  const canary = { "x-canary": "1" };
  assert.deepEqual(
    [await status(), await status(canary), await status(), await status(), await status(canary)],
    [200, 200, 200, 429, 429],
  );
});

for (const [what, services, gateway, message] of [
  [
    "another access",
    [greeter("greeter"), greeter("greeterNext", { access: "authenticated" })],
    splits(),
    /greeterNext\.greet stands in for greeter\.greet and must have the same access/,
  ],
  ...differentLimits.map(
    ([own, other]) =>
      [
        `other limits (${JSON.stringify(own)}, ${JSON.stringify(other)})`,
        [greeter("greeter", { limits: own }), greeter("greeterNext", { limits: other })],
        splits(),
        /greeterNext\.greet stands in for greeter\.greet and must have the same limits/,
      ] as const,
  ),
  ["a name that is no service", [greeter("greeter")], splits(), /greeterNext: no service with routes has this name/],
  [
    "a key that is not known yet",
    [greeter("greeter"), greeter("greeterNext")],
    splits({ sticky: "principal" }),
    /who calls is not known before/,
  ],
  [
    "weights of others",
    [greeter("greeter"), greeter("greeterNext")],
    splits({ weights: { other: 1 } }),
    /weights\.other: there is no such variant/,
  ],
  ["no split at all", [greeter("greeter"), greeter("greeterNext")], {}, /is also the route of greeter\.greet/],
] as const) {
  test(`refuses at start ${what}`, () => {
    assert.throws(
      () => buildModel(app({ name: "shop", services, gateway })),
      (thrown) => thrown instanceof StartError && message.test(thrown.message),
    );
  });
}
