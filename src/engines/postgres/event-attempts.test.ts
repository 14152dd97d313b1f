import assert from "node:assert/strict";
import { test } from "node:test";
import { newId, systemClock } from "../../base/index.ts";
import { createDatabase } from "../../database/index.ts";
import { createDatabaseBroker } from "../../events/index.ts";
import postgres from "./index.ts";
import { skipWithoutPostgresBinaries, startPostgres } from "./server.fixture.ts";

test("the attempts of an event that takes the server down are counted", {
  skip: skipWithoutPostgresBinaries,
}, async () => {
  const server = await startPostgres();
  const driver = postgres.ports.database?.(server.url);
  assert.ok(driver);
  await driver.open();
  const database = createDatabase({ driver, schema: "plinth_broker" });
  const broker = createDatabaseBroker({ database, lease: "1s" });
  try {
    await broker.open();
    const attempts: number[] = [];
    const subscriber = { subscription: "books.enter", types: ["shop.Sold"], concurrency: 1 };
    await broker.subscribe(subscriber, async ({ attempt }) => {
      attempts.push(attempt);
      if (attempts.length > 3) return;
      // As the kernel does when memory runs out: the server starts over, and forgets what is not on the disk.
      const [backend] = await database.sql<{ pid: number }>`select pg_backend_pid() as pid`;
      if (backend) process.kill(backend.pid, "SIGKILL");
      await systemClock.sleep(200);
      throw new Error("it is down");
    });
    const at = "2026-01-01T00:00:00.000Z";
    await broker.publish([{ id: newId(), type: "shop.Sold", key: "a", source: "shop", payload: "{}", at }]);
    for (let i = 0; i < 600 && attempts.length < 4; i++) await systemClock.sleep(100);
    assert.deepEqual(attempts, [1, 2, 3, 4]);
  } finally {
    await broker.close();
    await driver.close();
    await server.dispose();
  }
});
