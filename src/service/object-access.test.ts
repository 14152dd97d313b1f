import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Principal } from "../base/index.ts";
import { isError, servicePrincipal } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, method, resource, service, stream } from "./index.ts";
import { createTestScope, createTestUnit } from "./testing.ts";

const order = resource<{ owner: string; total: number }>()("order");
const byId = t.Object({ id: t.String() });
const owns = (who: Principal, _: unknown, found: { owner: string }) => found.owner === who.subject;

const orders = contract("orders", {
  methods: {
    show: method({
      request: byId,
      response: t.Object({ total: t.Integer() }),
      access: { scope: "orders:read", resource: order, can: owns },
    }),
    watch: stream({ request: byId, item: t.Object({ total: t.Integer() }), access: { resource: order, can: owns } }),
    spend: method({
      request: t.Object({ cents: t.Integer() }),
      access: { can: (who, { cents }) => cents <= Number(who.claims.limit) },
    }),
    later: method({
      request: byId,
      // Written without types: a promise is no yes.
      access: { can: (async () => true) as unknown as () => boolean },
    }),
    audit: method({ access: { role: ["auditor", "admin"] } }),
  },
});

const found = { ann: { owner: "ann", total: 5 }, broken: { owner: "ann", total: 5 } };
let looked = 0;
const unit = createTestUnit(
  service(orders, {
    resources: {
      order: async ({ id }) => {
        looked++;
        if (id === "broken") throw new Error("the table is gone");
        return found[id as keyof typeof found] ?? null;
      },
    },
    methods: {
      show: async (_, { resource }) => ({ total: resource.total }),
      async *watch(_, { resource }) {
        yield { total: resource.total };
      },
      async spend() {},
      async later() {},
      async audit() {},
    },
  }),
);

const user = (subject: string, claims = {}): Principal => ({ kind: "user", subject, scopes: ["orders:read"], claims });
const call = (name: string, request: unknown, principal: Principal) =>
  unit.calls.get(name)?.(request, createTestScope({ principal })) as Promise<unknown>;
const refuses = (answer: Promise<unknown>, code: string, reason: string) =>
  assert.rejects(answer, (thrown) => isError(thrown, reason) && thrown.code === code && thrown.executed === "no");

describe("a rule about an object", () => {
  test("lets its owner in, who finds it in the context", async () => {
    assert.deepEqual(await call("show", { id: "ann" }, user("ann")), { total: 5 });
  });

  test("tells the others what it tells whoever asks for nothing", async () => {
    const told = async (id: string, subject: string) => {
      const thrown = await call("show", { id }, user(subject)).catch((thrown: unknown) => thrown);
      assert.ok(isError(thrown));
      return [thrown.code, thrown.reason, thrown.message];
    };
    const foreign = await told("ann", "bob");
    assert.equal(foreign[0], "not_found");
    assert.deepEqual(await told("nobody", "bob"), foreign);
  });

  test("looks for nothing where the token itself is not enough", async () => {
    looked = 0;
    await refuses(call("show", { id: "ann" }, { ...user("ann"), scopes: [] }), "permission_denied", "SCOPE_MISSING");
    assert.equal(looked, 0);
  });

  test("is not asked of a service on its own account, which finds the object all the same", async () => {
    assert.deepEqual(await call("show", { id: "ann" }, servicePrincipal("reports")), { total: 5 });
    await refuses(call("show", { id: "nobody" }, servicePrincipal("reports")), "not_found", "NOT_FOUND");
  });

  test("lets nobody in when looking fails, and tells nothing of why", async () => {
    await assert.rejects(call("show", { id: "broken" }, user("ann")), (thrown) => {
      return isError(thrown) && thrown.code === "internal" && !thrown.message.includes("table");
    });
  });

  test("holds for streams before their first item", async () => {
    const items = (subject: string) =>
      unit.streams.get("watch")?.(
        { id: "ann" },
        createTestScope({ principal: user(subject) }),
      ) as AsyncIterable<unknown>;
    for await (const item of items("ann")) assert.deepEqual(item, { total: 5 });
    const foreign = items("bob")[Symbol.asyncIterator]();
    await refuses(foreign.next(), "not_found", "NOT_FOUND");
  });
});

describe("a rule about the request alone", () => {
  test("refuses with permission_denied", async () => {
    await call("spend", { cents: 100 }, user("ann", { limit: 100 }));
    await refuses(call("spend", { cents: 101 }, user("ann", { limit: 100 })), "permission_denied", "ACCESS_DENIED");
  });

  test("lets in for true alone: a promise of true is none", async () => {
    await refuses(call("later", { id: "1" }, user("ann")), "permission_denied", "ACCESS_DENIED");
  });
});

test("a role is one of those that the token names, in a list", async () => {
  await call("audit", {}, user("ann", { roles: ["auditor"] }));
  for (const roles of [undefined, [], ["audit"], "auditor", { 0: "auditor" }]) {
    await refuses(call("audit", {}, user("ann", { roles })), "permission_denied", "ROLE_MISSING");
  }
});
