import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isError, newId } from "../../base/index.ts";
import type { Database, DatabaseDriver } from "../../database/index.ts";
import { createDatabase, lazyTransaction, planByIndex, sql } from "../../database/index.ts";
import { createPostgresDriver } from "./database.ts";

const address = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = address ? false : "set PLINTH_TEST_POSTGRES_URL to run it";

/** One connection: what it remembers is what the next statement meets. */
describe("statements that share a round trip, or a name", { skip }, () => {
  const schema = `t${newId().replaceAll("-", "").slice(0, 20)}`;
  let driver: DatabaseDriver;
  let db: Database;
  before(async () => {
    driver = createPostgresDriver(new URL(address as string), { poolSize: 1 });
    await driver.open();
    db = createDatabase({ driver, schema, transactionAttempts: 5 });
    await db.session((session) =>
      session.script(`create schema ${schema}; create table ${schema}.item (id int primary key, n int)`),
    );
  });
  after(async () => {
    await db?.session((session) => session.script(`drop schema ${schema} cascade`));
    await driver?.close();
  });

  test("in one turn of a transaction go together, and each gets its own rows", async () => {
    const rows = await db.transaction((tx) =>
      Promise.all([
        tx.sql`insert into item values (1, 10), (2, 20)`,
        ...[1, 2, 1, 2].map((id) => tx.sql`select id, n from item where id = ${id}`),
        tx.sql`select 1 as id where false`,
      ]),
    );
    assert.deepEqual(rows, [[], [{ id: 1, n: 10 }], [{ id: 2, n: 20 }], [{ id: 1, n: 10 }], [{ id: 2, n: 20 }], []]);
  });

  test("more than 16 at once go in pieces, in order", async () => {
    const ids = Array.from({ length: 40 }, (_, i) => i);
    const rows = await db.transaction((tx) => Promise.all(ids.map((id) => tx.sql`select ${id}::int as id`)));
    assert.deepEqual(
      rows.flat(),
      ids.map((id) => ({ id })),
    );
  });

  test("behind one that fails do not run, and name the first failure; nothing of it stays", async () => {
    const outcomes = await db
      .transaction(async (tx) => {
        const asked = [
          tx.sql`insert into item values (7, 7)`,
          tx.sql`insert into item values (7, 7)`,
          tx.sql`select 1`,
        ];
        const settled = await Promise.allSettled(asked);
        assert.deepEqual(
          settled.map(({ status }) => status),
          ["fulfilled", "rejected", "rejected"],
        );
        throw settled.map((each) => (each.status === "rejected" ? each.reason : undefined));
      })
      .catch((thrown) => thrown);
    assert.ok(isError(outcomes[1], "UNIQUE_VIOLATION"));
    assert.ok(isError(outcomes[2], "TRANSACTION_FAILED") && outcomes[2].cause === outcomes[1]);
    assert.deepEqual(await db.sql`select 1 from item where id = 7`, []);
  });

  test("a script among them waits for its turn, and begins the transaction where it is the first", async () => {
    await db.transaction(async (tx) => {
      await tx.script("insert into item values (30, 1); insert into item values (31, 1)");
      const [, , rows] = await Promise.all([
        tx.sql`update item set n = 2 where id = 30`,
        tx.script("update item set n = 3 where id = 31"),
        tx.sql`select n from item where id in (30, 31) order by id`,
      ]);
      assert.deepEqual(rows, [{ n: 2 }, { n: 3 }]);
    });
  });

  test("a transaction without a statement never goes to the server", async () => {
    const hooks: string[] = [];
    await db.transaction(async (tx) => tx.afterCommit(() => hooks.push("ran")));
    await assert.rejects(
      db.transaction(async () => assert.fail("thrown")),
      /thrown/,
    );
    assert.deepEqual(hooks, ["ran"]);
  });

  test("find their schema after a rollback took away what was set with it", async () => {
    const other = createDatabase({ driver, schema: "public" });
    for (let i = 0; i < 3; i++) {
      await other.sql`select 1`;
      await assert.rejects(db.transaction((tx) => tx.sql`select 1 / ${0}::int from item`));
      assert.equal((await db.sql`select 1 from item where id = 1`).length, 1);
      await other.sql`select 1`;
      await assert.rejects(db.sql`select 1 / ${0}::int from item`);
      await assert.rejects(other.sql`select 1 from item`, { reason: "SQL_INVALID" });
      await db.session((session) => session.script("update item set n = n"));
    }
  });

  test("survive that a table changes under their names, in a transaction and outside", async () => {
    const all = () => db.sql`select * from item where id = ${1}`;
    const inTransaction = () => db.transaction((tx) => tx.sql`select * from item where id = ${1}`);
    for (let i = 0; i < 3; i++) await all();
    await db.session((session) => session.script("alter table item add column colour text"));
    assert.deepEqual(await all(), [{ id: 1, n: 10, colour: null }]);
    for (let i = 0; i < 3; i++) await inTransaction();
    await db.session((session) => session.script("alter table item add column size text"));
    assert.deepEqual(await inTransaction(), [{ id: 1, n: 10, colour: null, size: null }]);
    await db.session((session) => session.script("discard all"));
    assert.equal((await all()).length, 1);
  });

  test("take larger numbers once the column does, at the second try at the latest", async () => {
    const insert = (n: number) => db.sql`update item set n = ${n} where id = 1`;
    for (let i = 0; i < 3; i++) await insert(10);
    await db.session((session) => session.script("alter table item alter column n type bigint"));
    await insert(2 ** 40).catch(() => insert(2 ** 40));
    await db.session((session) => session.script("alter table item alter column n type int using 10"));
  });

  test("fail under a name as they fail without, as often as they are tried", async () => {
    for (let i = 0; i < 5; i++) {
      await assert.rejects(db.sql`insert into item (id, n) values (${1}, 1)`, { reason: "UNIQUE_VIOLATION" });
      await assert.rejects(db.sql`select ${"x"}::text::int`, { reason: "VALUE_INVALID" });
    }
    await assert.rejects(db.sql`copy item from stdin`);
    assert.deepEqual(await db.sql``, []);
  });

  test("that are marked so are planned once, by index, whatever the tables hold; no others are", async () => {
    const settings = sql`select current_setting('enable_seqscan') as scans, current_setting('plan_cache_mode') as mode`;
    const plain = { scans: "on", mode: "auto" };
    const marked = sql`${settings} where ${1}::int = 1 ${planByIndex}`;
    for (let i = 0; i < 8; i++) {
      assert.deepEqual((await db.execute(marked)).rows, [{ scans: "off", mode: "force_generic_plan" }]);
      assert.deepEqual((await db.execute(settings)).rows, [plain]);
    }
    const plans = await db.sql`
      select generic_plans::int as once, custom_plans::int as each from pg_prepared_statements
      where statement like '%where $1::int = 1%' and statement not like '%pg_prepared_statements%'`;
    assert.deepEqual(plans, [{ once: 7, each: 0 }]);
    assert.deepEqual(await db.transaction(async (tx) => (await tx.execute(marked)).rows), [plain]);
    await assert.rejects(db.sql`select ${"x"}::text::int ${planByIndex}`, { reason: "VALUE_INVALID" });
    assert.deepEqual((await db.execute(settings)).rows, [plain]);
  });

  test("that push others out of the names take away none that goes with them", async () => {
    let attempts = 0;
    for (let i = 0; i < 300; i++) {
      await db.transaction(async (tx) => {
        attempts++;
        await tx.sql`select ${sql.unsafe(String(i))} as n`;
      });
    }
    assert.equal(attempts, 300);
  });

  test("that begin a lazy transaction together with its first step are undone when that throws", async () => {
    const refuse = async (): Promise<void> => {
      throw new Error("handled before");
    };
    const undone = lazyTransaction(db, refuse, { together: true });
    await assert.rejects(undone.tx.sql`insert into item values (50, 1)`, /handled before/);
    await undone.rollback();
    const done = lazyTransaction(db, async (tx) => void (await tx.sql`insert into item values (51, 1)`), {
      together: true,
    });
    assert.deepEqual(await done.tx.sql`select id from item where id = 51`, [{ id: 51 }]);
    assert.deepEqual(await done.tx.query.selectFrom("item").select("id").where("id", "=", 51).execute(), [{ id: 51 }]);
    await done.commit();
    const kysely = lazyTransaction(db, async () => {}, { together: true });
    assert.equal(
      (await kysely.tx.query.selectFrom("item").selectAll().where("id", "in", [50, 51]).execute()).length,
      1,
    );
    await kysely.rollback();
  });
});
