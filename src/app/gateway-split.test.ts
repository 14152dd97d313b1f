import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { t as schema } from "../schema/index.ts";
import type { Access } from "../service/index.ts";
import { contract, method, service } from "../service/index.ts";
import type { GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { startTestApp } from "./testing.ts";

const answer = schema.Object({ by: schema.String() });

function greeter(name: string, { access = "public", extra = false }: { access?: Access; extra?: boolean } = {}) {
  const methods = {
    greet: method({
      http: "GET /hello/:who",
      request: schema.Object({ who: schema.String() }),
      response: answer,
      access,
    }),
    ...(extra && { only: method({ http: "GET /only", response: answer, access: "public" as const }) }),
  };
  const handlers = { greet: async () => ({ by: name }), ...(extra && { only: async () => ({ by: name }) }) };
  return service(contract(name, { methods }), { methods: handlers as never });
}

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

for (const [what, services, gateway, message] of [
  [
    "another access",
    [greeter("greeter"), greeter("greeterNext", { access: "authenticated" })],
    splits(),
    /greeterNext\.greet stands in for greeter\.greet and must have the same access/,
  ],
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
