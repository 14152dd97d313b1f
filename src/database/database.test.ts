import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createManualClock, isError, StartError, systemClock } from "../base/index.ts";
import pglite from "../engines/pglite/index.ts";
import { createDatabase } from "./database.ts";
import type { DatabaseOptions } from "./database-options.ts";
import type { DatabaseDriver } from "./driver.ts";
import { createFaultyDatabase } from "./faulty.ts";
import { migrate } from "./migrate.ts";
import { quoteName, sql } from "./sql.ts";

describe("a database", () => {
  const driver = pglite.ports.database?.(new URL("pglite:memory:database-test")) as DatabaseDriver;
  const make = (options: Partial<DatabaseOptions> = {}) => createDatabase({ driver, schema: "public", ...options });
  before(() => make().open());
  after(() => make().close());

  test("has a schema with a name that SQL takes, or stops the start", () => {
    for (const schema of ["", "1st", "pg_own", "information_schema", "a b", 'a"b', "x".repeat(64)]) {
      assert.throws(
        () => make({ schema }),
        (thrown) =>
          thrown instanceof StartError && thrown.reason === "DATABASE_SCHEMA_NAME" && /Rename/.test(thrown.message),
      );
    }
    const { engine, schema, stats } = make({ schema: "order-items" });
    assert.deepEqual([engine, schema, stats.size], ["pglite", "order-items", 1]);
  });

  test("warns of a hook that failed when nobody listens", async () => {
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    await make().transaction(async (tx) =>
      tx.afterCommit(() => {
        throw new Error("mail server away");
      }),
    );
    assert.match((await warned).message, /afterCommit hook failed: mail server away/);
  });

  test("keeps a transaction that pauses, as long as it does not pause too long", async () => {
    const clock = createManualClock();
    const db = make({ clock, idleInTransactionMs: 100 });
    await db.transaction(async (tx) => {
      for (let i = 0; i < 3; i++) {
        await clock.advance(90);
        await tx.sql`select 1`;
      }
    });
    await assert.rejects(
      db.transaction(async () => {
        await clock.advance(101);
        await systemClock.sleep(20);
      }),
      (thrown) => isError(thrown, "TRANSACTION_IDLE"),
    );
  });

  test("says of a later statement that an earlier one failed, with the first error as its cause", async () => {
    await assert.rejects(
      make().transaction(async (tx) => {
        await tx.sql`select * from nowhere`.catch(() => {});
        await tx.sql`select 1`;
      }),
      (thrown) => isError(thrown, "TRANSACTION_FAILED") && isError(thrown.cause, "SQL_INVALID"),
    );
    await assert.rejects(
      make().transaction((tx) =>
        tx.transaction(async (inner) => {
          await inner.sql`select * from nowhere`.catch(() => {});
        }),
      ),
      (thrown) => isError(thrown, "TRANSACTION_ROLLED_BACK"),
    );
  });

  test("reports a constraint that only COMMIT checks as what it is", async () => {
    const db = make();
    await db.sql`create table late (id int, unique (id) deferrable initially deferred)`;
    await assert.rejects(
      db.transaction((tx) => tx.sql`insert into late values (1), (1)`),
      (thrown) => isError(thrown, "UNIQUE_VIOLATION") && thrown.executed === "no",
    );
  });

  test("runs scripts in a transaction, and gives Kysely its introspection", async () => {
    const db = make({ schema: "scripted" });
    await db.session((session) => session.script("create schema scripted"));
    await db.transaction((tx) => tx.script("create table a (id int); create table b (id int)"));
    const tables = await db.query.introspection.getTables();
    const mine = tables.filter(({ schema }) => schema === "scripted").map(({ name }) => name);
    assert.deepEqual(mine.sort(), ["a", "b"]);
    await assert.rejects(
      db.transaction((tx) => tx.script("select 1; select * from nowhere")),
      (thrown) => isError(thrown, "SQL_INVALID"),
    );
  });

  test("goes through random losses without a half transaction, and each loss was real", async () => {
    const plain = make({ schema: "faulty" });
    await migrate(plain, [{ name: "0001-pairs", sql: "create table one (id int); create table two (id int)" }]);
    const faulty = createFaultyDatabase(driver, { faults: { lossRate: 0.1, refuseRate: 0.1, delayMsMax: 1 } });
    const db = createDatabase({ driver: faulty, schema: "faulty" });
    const acknowledged: number[] = [];
    for (let id = 0; id < 60; id++) {
      const outcome = await db
        .transaction(async (tx) => {
          await tx.sql`insert into one values (${id})`;
          await tx.script(`insert into two values (${id})`);
        })
        .then(
          () => "yes",
          (thrown) => thrown.executed,
        );
      if (outcome === "yes") acknowledged.push(id);
      const found = (await plain.sql`select id from one where id = ${id}`).length;
      if (outcome === "yes") assert.equal(found, 1);
      if (outcome === "no") assert.equal(found, 0);
    }
    assert.deepEqual(await plain.sql`select id from one order by id`, await plain.sql`select id from two order by id`);
    assert.ok(faulty.lossCount > 5 && acknowledged.length > 5);
    assert.equal(faulty.stats.size, 1);
    assert.equal(faulty.flags.durability, "none");
  });

  test("gives up waiting for another process that migrates", async () => {
    const waiter = make({ schema: "locked" });
    const key = sql`hashtextextended(${"plinth.migrate:locked"}, 0)`;
    // One session only: the lock is taken in it by another name, so that asking for it again does not succeed by itself.
    const busy: DatabaseDriver = {
      ...driver,
      name: driver.name,
      flags: driver.flags,
      stats: driver.stats,
      open: () => driver.open(),
      close: () => driver.close(),
      async acquire(options) {
        const session = await driver.acquire(options);
        return {
          script: (text, limits) => session.script(text, limits),
          release: (broken) => session.release(broken),
          query: async (text, values, limits) =>
            text.includes("pg_try_advisory_lock")
              ? { rows: [{ got: false }], rowCount: 1, command: "SELECT", fields: [] }
              : session.query(text, values, limits),
        };
      },
    };
    await assert.rejects(
      migrate(createDatabase({ driver: busy, schema: "locked" }), [], { lockTimeoutMs: 60 }),
      (thrown) =>
        thrown instanceof StartError && thrown.reason === "MIGRATION_LOCKED" && /pg_stat_activity/.test(thrown.message),
    );
    assert.deepEqual(await waiter.execute(sql`select pg_try_advisory_lock(${key}) as got`).then(({ rows }) => rows), [
      { got: true },
    ]);
  });

  test("refuses names and lists that make no SQL", () => {
    assert.throws(() => sql.join([]), /empty list/);
    assert.throws(() => quoteName(""), /not empty/);
    assert.deepEqual(sql`${sql.unsafe("a")} ${1} ${sql.join(["x", sql.id("y")], sql.unsafe(" or "))}`.compile(), {
      text: 'a $1 $2 or "y"',
      values: ["1", "x"],
    });
  });
});
