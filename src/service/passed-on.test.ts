import assert from "node:assert/strict";
import { test } from "node:test";
import type { PlinthError } from "../base/index.ts";
import { error, PlinthError as Failure, systemClock } from "../base/index.ts";
import type { CircuitBreaker } from "../resilience/index.ts";
import { createCircuitBreaker } from "../resilience/index.ts";
import { t } from "../schema/index.ts";
import type { Client, ClientFactory, ServiceUnit } from "./index.ts";
import { compileClient, contract, createLocalLink, method, service, stream } from "./index.ts";
import { createTestScope, createTestUnit } from "./testing.ts";

const item = t.Object({ n: t.Integer() });
const deep = contract("deep", {
  methods: { dig: method({ access: "public" }), each: stream({ item, access: "public" }) },
});
const middle = contract("middle", {
  methods: {
    dig: method({ access: "public" }),
    declared: method({ access: "public", errors: ["unavailable"] }),
    each: stream({ item, access: "public" }),
    own: method({ access: "public" }),
  },
});

function clientOf(unit: ServiceUnit, breaker: CircuitBreaker): ClientFactory {
  return compileClient({
    caller: "test",
    operations: unit.operations,
    link: (operation) => {
      const serve = { call: unit.calls.get(operation.name), stream: unit.streams.get(operation.name) };
      return createLocalLink(operation, serve, { checkRequests: true, fresh: false });
    },
    policy: () => breaker.policy,
    streamPolicy: () => breaker.stream,
    clock: systemClock,
  });
}

/** Somebody calls `middle`, which calls `deep`, which fails; a breaker before each. */
function createChain(fail: () => PlinthError) {
  const breakers = { deep: createCircuitBreaker({ name: "deep" }), middle: createCircuitBreaker({ name: "middle" }) };
  const bottom = service(deep, {
    methods: {
      async dig() {
        throw fail();
      },
      async *each() {
        yield { n: 1 };
        throw fail();
      },
    },
  });
  const between = service(middle, {
    needs: { deep },
    methods: {
      dig: (_request, { deep }) => deep.dig(),
      declared: (_request, { deep }) => deep.dig(),
      each: (_request, { deep }) => deep.each(),
      async own() {
        throw fail();
      },
    },
  });
  const unit = createTestUnit(between, { bound: { deep: clientOf(createTestUnit(bottom), breakers.deep) } });
  const client = clientOf(unit, breakers.middle)(createTestScope()) as unknown as Client<typeof middle>;
  const ask = async (name: "dig" | "declared" | "own" | "each"): Promise<PlinthError> => {
    try {
      if (name !== "each") await client[name]();
      else for await (const _item of client.each());
    } catch (thrown) {
      assert.ok(thrown instanceof Failure);
      return thrown;
    }
    return assert.fail("it did not fail");
  };
  return { breakers, ask };
}

const away = () => error("unavailable", "away", { executed: "maybe" });

for (const name of ["dig", "declared", "each"] as const) {
  test(`a sick service does not open the breaker of the service that calls it (${name})`, async () => {
    const { breakers, ask } = createChain(away);
    for (let i = 0; i < 40; i++) await ask(name);
    assert.equal(breakers.deep.state, "open");
    assert.equal(breakers.middle.state, "closed");
  });
}

test("a service that is sick itself opens its breaker", async () => {
  const { breakers, ask } = createChain(away);
  for (let i = 0; i < 40; i++) await ask("own");
  assert.equal(breakers.middle.state, "open");
});

test("what is passed on keeps its name, says that the handler ran, and keeps the time that a breaker names", async () => {
  const { ask } = createChain(away);
  const first = await ask("dig");
  assert.deepEqual(
    [first.code, first.reason, first.retry, first.executed],
    ["unavailable", "UNAVAILABLE", "never", "yes"],
  );
  for (let i = 0; i < 20; i++) await ask("dig");
  const refused = await ask("dig");
  assert.deepEqual([refused.reason, typeof refused.retry, refused.executed], ["CIRCUIT_OPEN", "number", "yes"]);
});
