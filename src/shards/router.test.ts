import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { anonymous, CallScope, isError, systemClock } from "../base/index.ts";
import { sql } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import type { Bank } from "./fixtures/bank.ts";
import { openBank, setFence } from "./fixtures/bank.ts";
import { embedded } from "./fixtures/drivers.ts";

const drivers = { main: embedded(), b: embedded() };
let bank: Bank;

before(async () => {
  for (const driver of Object.values(drivers)) await driver.open();
  bank = await openBank({ directory: drivers.main, shards: new Map(Object.entries(drivers)) });
});
after(async () => {
  for (const driver of Object.values(drivers)) await driver.close();
});

/** Puts a key's bucket onto the other shard behind the routers' backs: rows and fences, not the directory. */
async function carry(key: string, from: string, to: string): Promise<void> {
  const bucket = bucketOf(key);
  const [source, target] = [bank.on(from), bank.on(to)];
  const [fence] = await source.sql<{ epoch: number }>`select epoch from plinth_fence where bucket = ${bucket}`;
  const epoch = (fence?.epoch ?? 0) + 1;
  const rows = await source.transaction(async (tx) => {
    await tx.sql`select set_config('plinth.key', '*', true)`;
    await tx.sql`update plinth_fence set state = 'away', epoch = ${epoch}, moved_to = ${to} where bucket = ${bucket}`;
    return tx.sql`delete from accounts where plinth_bucket(id) = ${bucket} returning id, balance`;
  });
  await target.transaction(async (tx) => {
    await tx.sql`select set_config('plinth.key', '*', true)`;
    for (const row of rows) await tx.sql`insert into accounts (id, balance) values (${row.id}, ${row.balance})`;
    await tx.sql`update plinth_fence set state = 'open', epoch = ${epoch} where bucket = ${bucket}`;
  });
}

describe("a sharded database", () => {
  it("is a database: statements, Kysely, transactions and sessions on the key's shard", async () => {
    const db = bank.db.at("ann");
    await db.sql`insert into accounts (id, balance) values ('ann', 5)`;
    await db.query.updateTable("accounts").set({ balance: 6 }).where("id", "=", "ann").execute();
    assert.deepEqual(await db.query.selectFrom("accounts").select("balance").where("id", "=", "ann").execute(), [
      { balance: 6 },
    ]);
    await db.transaction(async (tx) => {
      await tx.transaction(async (inner) => void (await inner.sql`update accounts set balance = 7 where id = 'ann'`));
    });
    const read = await db.session((session) => session.sql`select balance from accounts where id = 'ann'`);
    assert.deepEqual(read, [{ balance: 7 }]);
    const isolated = await db.transaction((tx) => tx.sql`select balance from accounts`, { readOnly: true });
    assert.deepEqual(isolated, [{ balance: 7 }]);
    await db.session((session) => session.script("update accounts set balance = 8 where id = 'ann'"));
    assert.deepEqual(await bank.on("main").sql`select balance from accounts`, [{ balance: 8 }]);
    assert.deepEqual(await bank.on("b").sql`select * from accounts`, []);
  });

  it("refuses a row of another key, in SQL itself, and keeps nothing of the transaction", async () => {
    const refused = bank.db.at("ann").transaction(async (tx) => {
      await tx.sql`update accounts set balance = 100 where id = 'ann'`;
      await tx.sql`insert into accounts (id) values ('bob')`;
    });
    await assert.rejects(refused, (thrown) => isError(thrown, "SHARD_KEY_MISMATCH") && thrown.executed === "no");
    await assert.rejects(bank.db.at("ann").sql`insert into accounts (id) values ('bob')`, {
      reason: "SHARD_KEY_MISMATCH",
    });
    assert.deepEqual(await bank.db.at("ann").sql`select balance from accounts`, [{ balance: 8 }]);
  });

  it("refuses a change of the shard key, and truncate", async () => {
    await assert.rejects(bank.db.at("ann").sql`update accounts set id = 'anna' where id = 'ann'`, {
      reason: "SHARD_KEY_MISMATCH",
    });
    await assert.rejects(bank.db.at("ann").sql`truncate accounts cascade`, { reason: "SHARD_WRITE_REFUSED" });
  });

  it("follows a bucket that moved: a read never says that a moved row is not there", async () => {
    const db = bank.router();
    await db.at("cid").sql`insert into accounts (id, balance) values ('cid', 1)`;
    await carry("cid", "main", "b");
    assert.deepEqual(await db.at("cid").sql`select balance from accounts where id = 'cid'`, [{ balance: 1 }]);
    await carry("cid", "b", "main");
    const found = await db.at("cid").transaction((tx) => tx.sql`select balance from accounts where id = 'cid'`, {
      readOnly: true,
    });
    assert.deepEqual(found, [{ balance: 1 }]);
    await carry("cid", "main", "b");
    assert.equal((await db.at("cid").execute(sql`update accounts set balance = 2 where id = 'cid'`)).rowCount, 1);
    await carry("cid", "b", "main");
    let runs = 0;
    await db.at("cid").transaction(async (tx) => {
      runs++;
      await tx.sql`update accounts set balance = 3 where id = 'cid'`;
    });
    assert.equal(runs, 1, "a move never runs a callback twice");
    assert.deepEqual(await bank.on("main").sql`select balance from accounts where id = 'cid'`, [{ balance: 3 }]);
  });

  it("with a map that never learns answers SHARD_MOVING, and never from the wrong place", async () => {
    const stale = bank.router({ mutant: "map frozen", moveWaitMs: 60 });
    await stale.at("dan").sql`insert into accounts (id, balance) values ('dan', 1)`;
    await carry("dan", "main", "b");
    await assert.rejects(stale.at("dan").sql`select * from accounts where id = 'dan'`, { reason: "SHARD_MOVING" });
    const write = stale.at("dan").sql`update accounts set balance = 2 where id = 'dan'`;
    await assert.rejects(write, (thrown) => isError(thrown, "SHARD_MOVING") && thrown.executed === "no");
    await assert.rejects(
      stale.at("dan").transaction(async (tx) => void (await tx.sql`select 1`)),
      { reason: "SHARD_MOVING" },
    );
    assert.ok(stale.stats.staleUses > 0);
  });

  it("waits while a bucket is fenced, and goes on when it opens; reads go on meanwhile", async () => {
    const db = bank.router();
    await db.at("eve").sql`insert into accounts (id) values ('eve')`;
    const main = bank.on("main");
    await setFence(main, bucketOf("eve"), "fenced", 2);
    const write = db.at("eve").sql`update accounts set balance = 9 where id = 'eve' returning balance`;
    assert.equal((await db.at("eve").sql`select 1 as one from accounts where id = 'eve'`).length, 1);
    await setFence(main, bucketOf("eve"), "open", 2);
    assert.deepEqual(await write, [{ balance: 9 }]);
  });

  it("waits no longer than its call may take, and says that nothing ran", async () => {
    await setFence(bank.on("main"), bucketOf("ivy"), "fenced", 2);
    const scope = new CallScope({ principal: anonymous, deadline: systemClock.now() + 60, caller: "test" });
    const write = bank.db.bind(scope).at("ivy").sql`insert into accounts (id) values ('ivy')`;
    await assert.rejects(write, (thrown) => isError(thrown, "deadline_exceeded") && thrown.executed === "no");
    scope.finish();
  });

  it("says where it was made, and leaves the servers to whoever opened them", async () => {
    const db = bank.db.at("ann");
    await db.open();
    await db.close();
    assert.deepEqual([bank.db.schema, bank.db.engine, bank.db.shardNames], [bank.schema, "pglite", ["main", "b"]]);
    assert.equal(db.stats.size, 1);
    assert.match(bank.db.newId(), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    await assert.rejects(db.sql`select nothing`, { reason: "SQL_INVALID" });
    await assert.rejects(
      db.transaction((tx) => tx.script("nonsense")),
      { reason: "SQL_INVALID" },
    );
  });

  it("lets at most so many callers wait", async () => {
    const db = bank.router({ moveWaitersMax: 1, moveWaitMs: 150 });
    const main = bank.on("main");
    await setFence(main, bucketOf("fay"), "fenced", 2);
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(() => db.at("fay").sql`insert into accounts (id) values ('fay')`),
    );
    assert.ok(outcomes.every((each) => each.status === "rejected" && isError(each.reason, "SHARD_MOVING")));
    assert.equal(db.stats.waiting, 0);
  });

  it("lets a write beside the router through only where its bucket is open", async () => {
    await bank.on("main").sql`insert into accounts (id) values ('gus')`;
    await assert.rejects(bank.on("b").sql`insert into accounts (id) values ('gus')`, { reason: "RAISED_EXCEPTION" });
  });

  it("counts the keys that are used most", () => {
    const db = bank.router();
    for (let i = 0; i < 500; i++) db.at(`cold-${i}`);
    for (let i = 0; i < 300; i++) db.at("hot");
    const [top] = db.hotKeys(1);
    assert.equal(top?.key, "hot");
    assert.ok((top?.count ?? 0) >= 300 && (top?.share ?? 0) > 0.3);
    assert.ok(db.hotKeys(1000).length <= 64);
  });
});
