import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, createSeededRandom } from "../base/index.ts";
import { contract, database, method, service } from "../service/index.ts";
import { createLogger } from "../telemetry/index.ts";
import { app } from "./app.ts";
import { checkApp } from "./check.ts";
import type { Databases } from "./databases.ts";
import { keySweepComponent } from "./idempotency.ts";

const keyed = contract("keyed", { methods: { pay: method({ access: "public", idempotent: "keyed" }) } });
const plain = contract("plain", { methods: { look: method({ access: "public" }) } });
const spread = contract("spread", { methods: { pay: method({ access: "public", idempotent: "keyed" }) } });

const shardBy = { payments: "account" };
const migrations = new URL("./fixtures/payments/", import.meta.url);
const services = [
  service(keyed, { needs: { db: database() }, methods: { pay: async () => {} } }),
  service(plain, { needs: { db: database() }, methods: { look: async () => {} } }),
  service(spread, { needs: { db: database({ migrations, shardBy }) }, methods: { pay: async () => {} } }),
];

function setUp(only: readonly (typeof services)[number][]) {
  const swept: string[] = [];
  const databaseNamed = (schema: string) => ({
    schema,
    async sql() {
      swept.push(schema);
      return [];
    },
  });
  const clock = createManualClock();
  const component = keySweepComponent({
    services: only,
    operations: checkApp(app({ name: "x", services: [...only] })).operations,
    databases: {
      databaseOf: databaseNamed,
      shardsOf: () => new Map(["a", "b"].map((name) => [name, databaseNamed(name)])),
    } as unknown as Databases,
    clock,
    random: createSeededRandom(1),
    log: createLogger({ level: "silent" }),
  });
  return { component, clock, swept };
}

test("keys are swept in each database of each service that takes any, and nowhere else", async () => {
  const { component, clock, swept } = setUp(services);
  assert.deepEqual(component?.needs, ["migrations"]);
  await component?.start?.(new AbortController().signal);
  await clock.advance(600_000);
  assert.deepEqual([...new Set(swept)].sort(), ["a", "b", "keyed"]);
  await component?.stop?.();
  const { length } = swept;
  await clock.advance(1_200_000);
  assert.equal(swept.length, length);
});

test("an app without keys sweeps nothing", () => {
  assert.equal(setUp(services.slice(1, 2)).component, undefined);
});
