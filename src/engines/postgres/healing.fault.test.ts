import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PlinthError, systemClock } from "../../base/index.ts";
import type { Database, DatabaseDriver } from "../../database/index.ts";
import { createDatabase } from "../../database/index.ts";
import { createPostgresDriver } from "./database.ts";
import type { TestPostgres } from "./server.fixture.ts";
import { skipWithoutPostgresBinaries, startPostgres } from "./server.fixture.ts";

const skip = skipWithoutPostgresBinaries;
const healMs = 5_000;

interface Load {
  readonly acknowledged: Set<number>;
  /** May or may not be there. */
  readonly unknown: Set<number>;
  readonly failures: PlinthError[];
  /** When the last write was acknowledged. */
  lastAt: number;
  stop(): Promise<void>;
}

/** Eight writers: half by statements of their own, half by transactions. Whatever they catch is one of ours. */
function startLoad(db: Database): Load {
  let next = 0;
  let running = true;
  const load: Load = { acknowledged: new Set(), unknown: new Set(), failures: [], lastAt: 0, stop };
  const write = async (id: number, inTransaction: boolean): Promise<void> => {
    try {
      if (inTransaction) await db.transaction((tx) => tx.sql`insert into written values (${id})`);
      else await db.sql`insert into written values (${id})`;
      load.acknowledged.add(id);
      load.lastAt = systemClock.now();
    } catch (thrown) {
      assert.ok(thrown instanceof PlinthError, String(thrown));
      load.failures.push(thrown);
      if (thrown.executed === "maybe") load.unknown.add(id);
      await systemClock.sleep(20);
    }
  };
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    while (running) await write(next++, writer % 2 === 0);
  });
  async function stop(): Promise<void> {
    running = false;
    await Promise.all(writers);
  }
  return load;
}

/** Whatever ends here ends within its limits: a second for a statement. */
describe("a pool of connections to Postgres", { skip }, () => {
  let server: TestPostgres;
  let driver: DatabaseDriver;
  let db: Database;
  const unheard: unknown[] = [];
  const hear = (thrown: unknown): void => void unheard.push(thrown);
  before(async () => {
    if (skip) return;
    process.on("unhandledRejection", hear);
    server = await startPostgres();
    await server.adminQuery("create table written (id int)");
    driver = createPostgresDriver(server.url, { poolSize: 6, connectTimeoutMs: 1_000 });
    await driver.open();
    db = createDatabase({ driver, schema: "public", statementTimeoutMs: 1_000, acquireTimeoutMs: 2_000 });
  });
  after(async () => {
    process.off("unhandledRejection", hear);
    await driver?.close();
    await server?.dispose();
  });

  /** Runs the fault under load, and then everything that must hold. `fault` resolves when the server is well again. */
  const survive = async (fault: () => Promise<void>): Promise<Load> => {
    await server.adminQuery("truncate written");
    const load = startLoad(db);
    try {
      await systemClock.sleep(200);
      // A machine that is busy may take its time to begin.
      for (let i = 0; i < 500 && load.acknowledged.size === 0; i++) await systemClock.sleep(20);
      assert.ok(load.acknowledged.size > 0, "the load runs");
      await fault();
      const wellAt = systemClock.now();
      const before = load.acknowledged.size;
      while (load.acknowledged.size < before + 50) {
        assert.ok(
          systemClock.now() - wellAt < healMs,
          `not healed after ${healMs} ms: ${load.failures.at(-1)?.reason}`,
        );
        await systemClock.sleep(20);
      }
    } finally {
      await load.stop();
    }
    const rows = await server.adminQuery<{ id: number }>("select id from written");
    const found = rows.map(({ id }) => id);
    assert.equal(new Set(found).size, found.length, "nothing is doubled");
    const lost = [...load.acknowledged].filter((id) => !found.includes(id));
    assert.deepEqual(lost, [], "nothing acknowledged is lost");
    const invented = found.filter((id) => !load.acknowledged.has(id) && !load.unknown.has(id));
    assert.deepEqual(invented, [], "what said executed no was not done");
    await assertWhole();
    assert.deepEqual(unheard, []);
    return load;
  };

  /** No slot of the pool is lost: as many sessions as it has can be held at once. */
  const assertWhole = async (): Promise<void> => {
    const { size } = driver.stats;
    let held = 0;
    await Promise.all(
      Array.from({ length: size }, () =>
        db.session(async (session) => {
          await session.sql`select 1`;
          held++;
          while (held < size) await systemClock.sleep(5);
        }),
      ),
    );
    assert.deepEqual([driver.stats.open, driver.stats.idle, driver.stats.waiting], [size, size, 0]);
  };

  test("heals when the server is stopped at once and started again", { timeout: 60_000 }, async () => {
    const load = await survive(async () => {
      await server.stop("immediate");
      await systemClock.sleep(700);
      await server.start();
    });
    assert.ok(load.failures.some(({ reason }) => reason === "DATABASE_UNAVAILABLE"));
  });

  test("heals when all its connections are terminated, again and again", { timeout: 60_000 }, async () => {
    const load = await survive(async () => {
      for (let i = 0; i < 5; i++) {
        assert.ok((await server.terminateConnections()) > 0);
        await systemClock.sleep(60);
      }
    });
    assert.ok(load.failures.length > 0, "the fault bit");
  });

  test("throws away sessions of a server that takes no writes, and writes when it does again", {
    timeout: 60_000,
  }, async () => {
    const load = await survive(async () => {
      await server.set({ default_transaction_read_only: "on" });
      await systemClock.sleep(1_500);
      await server.set({ default_transaction_read_only: "off" });
    });
    const readOnly = load.failures.filter(({ reason }) => reason === "DATABASE_READ_ONLY");
    assert.ok(readOnly.length > 0);
    assert.ok(readOnly.every(({ executed, retry }) => executed === "no" && retry === "safe"));
  });

  test("cuts connections to a server that hangs with its sockets open, and heals when it goes on", {
    timeout: 60_000,
  }, async () => {
    const load = await survive(async () => {
      await server.pause();
      await systemClock.sleep(4_000);
      await server.resume();
    });
    assert.ok(load.failures.some(({ reason }) => reason === "STATEMENT_TIMEOUT" || reason === "DATABASE_UNAVAILABLE"));
  });
});
