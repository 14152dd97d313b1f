import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, database, method, service } from "../service/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { App } from "./app.ts";
import { app } from "./app.ts";
import { createRuntime } from "./runtime.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL ?? "";
const migrations = new URL("./fixtures/visits/", import.meta.url);
const serviceOf = (name: string, shardBy?: { readonly visits: string }) =>
  service(contract(name, { methods: { note: method({ request: t.Object({ id: t.Integer() }), access: "public" }) } }), {
    needs: { db: shardBy ? database({ migrations, shardBy }) : database({ migrations }) },
    methods: { note: async () => {} },
  } as never);

/** The same server, with pools of `size`. */
const addressOf = (size: number): string => {
  const address = new URL(url);
  address.searchParams.set("pool_size", String(size));
  return address.href;
};

async function start(
  definition: App,
  environment: Readonly<Record<string, string>>,
  group?: string,
): Promise<readonly string[]> {
  const destination = createMemoryDestination();
  const runtime = await createRuntime(definition, {
    environment: {
      NODE_ENV: "test",
      PLINTH_LOG: "warn",
      PLINTH_MIGRATE: "false",
      PLINTH_RPC_SECRET: "hunter2-hunter2-hunter2",
      ...environment,
    },
    settings: { port: 0 },
    management: false,
    destination,
    ...(group !== undefined && { group }),
  });
  try {
    await runtime.start();
  } finally {
    await runtime.stop();
  }
  return destination.records.map(({ msg }) => String(msg));
}

const refusal = (text: RegExp) => (thrown: unknown) => {
  assert.ok(thrown instanceof StartError);
  assert.equal(thrown.reason, "CONNECTION_BUDGET");
  assert.match(thrown.message, text);
  return true;
};

describe("the budget of connections", { skip: url ? false : "PLINTH_TEST_POSTGRES_URL is not set" }, () => {
  test("stops the start with the sum when the server has not enough", () =>
    assert.rejects(
      start(app({ name: "visiting", services: [serviceOf("visits")] }), {
        DATABASE_URL: addressOf(50),
        PLINTH_PROCESSES: "visiting=100",
      }),
      refusal(/visiting 100 × 50 = 5000 connections; the server takes \d+/),
    ));

  test("adds up what is on one server: the database, a replica, a further shard", () =>
    assert.rejects(
      start(app({ name: "visiting", services: [serviceOf("visits", { visits: "id" })] }), {
        DATABASE_URL: addressOf(1),
        DATABASE_REPLICA_URLS: addressOf(2),
        DATABASE_SHARDS: `eu=${addressOf(3)}`,
        PLINTH_PROCESSES: "visiting=1000",
      }),
      refusal(/visiting 1000 × 1 \+ visiting \(replica 1\) 1000 × 2 \+ visiting \(shard eu\) 1000 × 3 = 6000/),
    ));

  test("counts a group on the servers that it uses, a gateway that keeps keys of its own among them", () =>
    assert.rejects(
      start(
        app({
          name: "visiting",
          services: [
            serviceOf("visits", { visits: "id" }),
            serviceOf("notes"),
            service(contract("plain", { methods: {} }), { methods: {} }),
          ],
          gateway: { identity: { apiKeys: {} } },
          placement: { edge: ["gateway"], sharded: ["visits"], whole: ["notes"], none: ["plain"] },
        } as never),
        {
          DATABASE_URL: addressOf(1),
          DATABASE_SHARDS: `eu=${addressOf(2)}`,
          PLINTH_PROCESSES: "edge=1000;sharded=1001;whole=1002;none=1003",
        },
        "sharded",
      ),
      refusal(/ edge 1000 × 1 \+ sharded 1001 × 1 \+ whole 1002 × 1 \+ sharded \(shard eu\) 1001 × 2 = 5005 /),
    ));

  test("leaves out a replica that is away, and says so", async () => {
    const away = new URL(url);
    away.port = "1";
    const told = await start(app({ name: "visiting", services: [serviceOf("visits")] }), {
      DATABASE_URL: addressOf(2),
      DATABASE_REPLICA_URLS: away.href,
    });
    assert.ok(told.includes("the connections to replica 1 could not be counted"), told.join("\n"));
  });
});
