import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { t } from "../schema/index.ts";
import { cache, contract, database, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import { createRuntime } from "./runtime.ts";

const shelf = contract("shelf", {
  methods: {
    put: method({ request: t.Object({ text: t.String() }), access: "public" }),
    get: method({ response: t.Object({ text: t.Union([t.String(), t.Null()]) }), access: "public" }),
    forget: method({ request: t.Object({ fails: t.Boolean() }), access: "public" }),
  },
});

const shelfService = service(shelf, {
  needs: { db: database(), kept: cache() },
  methods: {
    put: ({ text }, { kept }) => kept.set("thing", text, { ttl: "1h", tags: ["thing"] }),
    get: async (_request, { kept }) => ({ text: (await kept.get<string>("thing")) ?? null }),
    async forget({ fails }, { db, kept }) {
      await db.transaction(async (tx) => {
        await kept.invalidate("thing", { in: tx });
        if (fails) throw new Error("rolled back");
      });
    },
  },
});

async function startShelf() {
  const runtime = await createRuntime(app({ name: "shelves", services: [shelfService] }), {
    environment: { NODE_ENV: "test", PLINTH_LOG: "silent" },
    settings: { port: 0, databaseUrl: "pglite:memory" },
    management: false,
  });
  await runtime.start();
  return { runtime, client: runtime.client(shelf) };
}

test("an invalidation in a transaction happens with its commit, and not without", async () => {
  const { runtime, client } = await startShelf();
  try {
    await client.put({ text: "a" });
    await assert.rejects(client.forget({ fails: true }));
    assert.equal((await client.get()).text, "a");
    await client.forget({ fails: false });
    assert.equal((await client.get()).text, null);
  } finally {
    await runtime.stop();
  }
});

test("an invalidation in a transaction happens once more through the outbox", async () => {
  const { runtime, client } = await startShelf();
  try {
    await client.forget({ fails: false });
    // As if the process had died between the commit and the first invalidation.
    await client.put({ text: "old" });
    for (let i = 0; i < 100 && (await client.get()).text !== null; i++) await sleep(20);
    assert.equal((await client.get()).text, null);
    await client.put({ text: "new" });
    await sleep(100);
    assert.equal((await client.get()).text, "new", "what is filled later stays");
  } finally {
    await runtime.stop();
  }
});
