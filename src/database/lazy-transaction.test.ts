import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pglite from "../engines/pglite/index.ts";
import type { Database } from "./index.ts";
import { createDatabase, lazyTransaction, migrate, sql } from "./index.ts";

const open = pglite.ports.database;
assert.ok(open);
const driver = open(new URL("pglite:memory:lazy"));
const database: Database = createDatabase({ driver, schema: "lazy" });

before(async () => {
  await driver.open();
  await migrate(database, [{ name: "0001-rows", sql: "create table rows (id text primary key)" }]);
});
after(() => driver.close());

const ids = async () => (await database.sql<{ id: string }>`select id from rows order by id`).map((row) => row.id);
const first = async () => {};

test("holds no session before it is used, and takes effect on commit", async () => {
  const lazy = lazyTransaction(database, async (tx) => void (await tx.sql`insert into rows values ('first')`));
  // With one session, this would wait for itself if the transaction were open.
  assert.deepEqual(await ids(), []);
  assert.equal(lazy.begun, false);
  await lazy.tx.sql`insert into rows values (${"second"})`;
  await lazy.tx.execute(sql`insert into rows values ('third')`);
  await lazy.tx.script("insert into rows values ('fourth')");
  await lazy.tx.transaction(async (inner) => void (await inner.sql`insert into rows values ('fifth')`));
  assert.equal(lazy.begun, true);
  await lazy.commit();
  assert.deepEqual(await ids(), ["fifth", "first", "fourth", "second", "third"]);
});

test("speaks Kysely, reading and writing", async () => {
  const lazy = lazyTransaction(database, first);
  const deleted = await lazy.tx.query.deleteFrom("rows").where("id", "=", "fifth").executeTakeFirst();
  assert.equal(deleted.numDeletedRows, 1n);
  const rows = await lazy.tx.query.selectFrom("rows").select("id").orderBy("id").execute();
  assert.deepEqual(rows[0], { id: "first" });
  await lazy.commit();
  assert.equal((await ids()).includes("fifth"), false);
});

test("commit begins what nothing has begun; begin may be asked for", async () => {
  let began = 0;
  const lazy = lazyTransaction(database, async () => void began++);
  await lazy.begin();
  await lazy.commit();
  await lazyTransaction(database, async () => void began++).commit();
  assert.equal(began, 2);
});

test("rollback undoes what was done, and costs nothing when nothing was", async () => {
  const lazy = lazyTransaction(database, first);
  await lazy.tx.sql`delete from rows`;
  await lazy.rollback();
  assert.equal((await ids()).length, 4);
  await lazyTransaction(database, first).rollback();
});

test("what the first step throws comes out of the statement that began it, and of commit", async () => {
  const refuse = async () => {
    throw new Error("handled before");
  };
  await assert.rejects(lazyTransaction(database, refuse).tx.sql`delete from rows`, /handled before/);
  await assert.rejects(lazyTransaction(database, refuse).commit(), /handled before/);
  assert.equal((await ids()).length, 4);
});

test("hooks run after the commit, those from before the beginning first; not after a rollback", async () => {
  const ran: string[] = [];
  const lazy = lazyTransaction(database, first);
  lazy.tx.afterCommit(() => ran.push("early"));
  await lazy.tx.sql`select 1`;
  lazy.tx.afterCommit(() => ran.push("late"));
  await lazy.commit();
  assert.deepEqual(ran, ["early", "late"]);
  const undone = lazyTransaction(database, first);
  undone.tx.afterCommit(() => ran.push("never"));
  await undone.tx.sql`select 1`;
  await undone.rollback();
  assert.deepEqual(ran, ["early", "late"]);
});

test("begins no more once it is rolled back: a branch that was left running holds no session", async () => {
  const lazy = lazyTransaction(database, first);
  await lazy.rollback();
  await assert.rejects(lazy.tx.sql`delete from rows`, { reason: "TRANSACTION_ENDED" });
  assert.throws(() => lazy.tx.afterCommit(() => {}), { reason: "TRANSACTION_ENDED" });
  assert.equal((await ids()).length, 4);
});
