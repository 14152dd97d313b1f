import assert from "node:assert/strict";
import { test } from "node:test";
import { t } from "../schema/index.ts";
import { contract, database, method, service } from "../service/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { createRuntime } from "./runtime.ts";

const visits = contract("visits", {
  methods: {
    note: method({ request: t.Object({ id: t.Integer() }), access: "public" }),
    slow: method({ access: "public" }),
    partitions: method({ response: t.Object({ names: t.Array(t.String()) }), access: "public" }),
  },
});
const migrations = new URL("./fixtures/visits/", import.meta.url);
const visitsService = service(visits, {
  needs: {
    db: database({ migrations, partitions: { visits: { range: "at", every: "1 day", ahead: 2, keep: "30d" } } }),
  },
  methods: {
    note: async ({ id }, { db }) => void (await db.sql`insert into visits values (${id}, now())`),
    slow: async (_request, { db }) => void (await db.sql`select pg_sleep(0.05)`),
    async partitions(_request, { db }) {
      const rows = await db.sql<{ name: string }>`
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r' order by 1`;
      return { names: rows.map(({ name }) => name) };
    },
  },
});
const definition = app({ name: "visiting", services: [visitsService] });

test("partitions are there before the first request", async () => {
  const runtime = await createRuntime(definition, {
    environment: { NODE_ENV: "test", PLINTH_LOG: "silent" },
    settings: { port: 0, databaseUrl: "pglite:memory" },
    management: false,
  });
  await runtime.start();
  try {
    const client = runtime.client(visits);
    await client.note({ id: 1 });
    assert.equal((await client.partitions()).names.length, 3, "today's and two ahead");
  } finally {
    await runtime.stop();
  }
});

test("a slow statement is told of, with its text and without its values", async () => {
  const destination = createMemoryDestination();
  const runtime = await createRuntime(definition, {
    environment: { NODE_ENV: "development", PLINTH_LOG: "warn", PLINTH_SLOW_QUERY: "20ms" },
    settings: { port: 0, databaseUrl: "pglite:memory" },
    management: false,
    destination,
  });
  await runtime.start();
  await runtime.client(visits).slow();
  await runtime.stop();
  const told = destination.records.filter(({ msg }) => msg === "a statement was slow");
  assert.ok(told.some(({ text, schema }) => text === "select pg_sleep(0.05)" && schema === "visits"));
});

test("a partitioning that cannot be is refused with everything else", () => {
  const odd = service(visits, {
    ...visitsService,
    needs: { db: database({ migrations, partitions: { visits: { range: "at", every: "soon" } } }) },
  } as never);
  assert.throws(() => buildModel(app({ name: "visiting", services: [odd] })), /visits: needs\.db: .*soon/);
});
