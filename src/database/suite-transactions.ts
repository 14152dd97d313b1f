import assert from "node:assert/strict";
import { isError, systemClock } from "../base/index.ts";
import type { Database } from "./database.ts";
import { createFaultyDatabase } from "./faulty.ts";
import type { DatabaseClaim } from "./suite-claim.ts";
import type { Transaction } from "./transaction.ts";

const count = async (db: Database | Transaction): Promise<number> =>
  (await db.sql<{ n: number }>`select count(*) as n from item`)[0]?.n ?? -1;

const setUp = (db: Database): Promise<unknown> =>
  db.sql`create table item (id int primary key, n int not null default 0)`;

/** Whole or not at all. */
export const transactionCases: readonly DatabaseClaim[] = [
  {
    name: "commits what returns, and rolls back what throws, with the very error that was thrown",
    async prove({ db }) {
      await setUp(db);
      const result = await db
        .transaction(async (tx) => {
          await tx.sql`insert into item values (1)`;
          await tx.sql`insert into item values ('x')`.catch(() => {});
          return "done";
        })
        .catch((thrown) => thrown);
      assert.equal(isError(result, "TRANSACTION_ROLLED_BACK"), true, "a swallowed error keeps nothing");
      assert.equal(
        await db.transaction((tx) => tx.sql`insert into item (id) values (1), (2)`.then(() => "done")),
        "done",
      );
      assert.equal(await count(db), 2);
      const mine = new Error("mine");
      await assert.rejects(
        db.transaction(async (tx) => {
          await tx.sql`insert into item (id) values (3)`;
          assert.equal(await count(tx), 3);
          throw mine;
        }),
        (thrown) => thrown === mine,
      );
      assert.equal(await count(db), 2);
    },
  },
  {
    name: "undoes a nested transaction alone, and keeps its hooks only with it",
    async prove({ db }) {
      await setUp(db);
      const order: string[] = [];
      await db.transaction(async (tx) => {
        tx.afterCommit(() => order.push("first"));
        await tx.sql`insert into item (id) values (1)`;
        await assert.rejects(
          tx.transaction(async (inner) => {
            inner.afterCommit(() => order.push("undone"));
            await inner.sql`insert into item (id) values (2)`;
            await inner.transaction(async (deep) => void (await deep.sql`insert into item (id) values (3)`));
            await inner.sql`insert into item (id) values (1)`;
          }),
          (thrown) => isError(thrown, "UNIQUE_VIOLATION"),
        );
        await tx.transaction(async (inner) => {
          inner.afterCommit(() => order.push("nested"));
          await inner.sql`insert into item (id) values (4)`;
        });
        tx.afterCommit(() => order.push("last"));
        assert.deepEqual(order, []);
      });
      assert.deepEqual(order, ["first", "nested", "last"]);
      assert.deepEqual(await db.sql`select id from item order by id`, [{ id: 1 }, { id: 4 }]);
    },
  },
  {
    name: "runs hooks after the commit in order, all of them, and none after a rollback",
    async prove({ database }) {
      const failed: unknown[] = [];
      const db = await database({ onHookError: (thrown) => failed.push(thrown) });
      await setUp(db);
      const seen: unknown[] = [];
      await db.transaction(async (tx) => {
        await tx.sql`insert into item (id) values (1)`;
        tx.afterCommit(async () => seen.push(await count(db)));
        tx.afterCommit(() => {
          throw new Error("hook");
        });
        tx.afterCommit(() => seen.push("after"));
      });
      assert.deepEqual(seen, [1, "after"]);
      assert.equal(String(failed), "Error: hook");
      await assert.rejects(
        db.transaction(async (tx) => {
          tx.afterCommit(() => seen.push("never"));
          throw new Error("back");
        }),
      );
      assert.equal(seen.length, 2);
    },
  },
  {
    name: "refuses a handle after its end, a query that nobody awaited, and the outer handle while a nested one is open",
    async prove({ db }) {
      await setUp(db);
      const kept: Transaction[] = [];
      await db.transaction(async (tx) => {
        kept.push(tx);
      });
      await assert.rejects(
        async () => (kept[0] as Transaction).sql`select 1`,
        (thrown) => isError(thrown, "TRANSACTION_ENDED"),
      );
      assert.throws(
        () => kept[0]?.afterCommit(() => {}),
        (thrown) => isError(thrown, "TRANSACTION_ENDED"),
      );
      await assert.rejects(
        db.transaction(async (tx) => {
          void tx.sql`insert into item (id) values (1)`;
        }),
        (thrown) => isError(thrown, "TRANSACTION_NOT_AWAITED"),
      );
      assert.equal(await count(db), 0, "what was not awaited is rolled back");
      await assert.rejects(
        db.transaction((tx) => tx.transaction(async () => void (await tx.sql`select 1`))),
        (thrown) => isError(thrown, "TRANSACTION_NESTED_OPEN"),
      );
    },
  },
  {
    name: "waits for the statements of a transaction that failed, then rolls back",
    async prove({ db }) {
      await setUp(db);
      await assert.rejects(
        db.transaction(async (tx) => {
          await Promise.all([
            tx.sql`insert into item (id) values (1)`,
            tx.sql`insert into item (id) values (1)`,
            tx.sql`insert into item (id) values (2)`,
          ]);
        }),
        (thrown) => isError(thrown, "UNIQUE_VIOLATION"),
      );
      assert.equal(await count(db), 0);
    },
  },
  {
    name: "lets nothing be written when opened for reading",
    async prove({ db }) {
      await setUp(db);
      assert.equal(await db.transaction(count, { readOnly: true }), 0);
      await assert.rejects(
        db.transaction((tx) => tx.sql`insert into item (id) values (1)`, { readOnly: true }),
        (thrown) => isError(thrown, "READ_ONLY_TRANSACTION") && thrown.executed === "no",
      );
      await db.sql`insert into item (id) values (1)`;
    },
  },
  {
    name: "shows a repeatable read one state, whatever others commit meanwhile",
    needs: "concurrentTransactions",
    async prove({ db }) {
      await setUp(db);
      await db.transaction(
        async (tx) => {
          assert.equal(await count(tx), 0);
          await db.sql`insert into item (id) values (1)`;
          assert.equal(await count(tx), 0);
        },
        { isolation: "repeatable read", readOnly: true },
      );
      await db.transaction(async (tx) => {
        await db.sql`insert into item (id) values (2)`;
        assert.equal(await count(tx), 2, "read committed sees it");
      });
    },
  },
  {
    name: "tries again after a serialization failure until the write skew is gone, and stops when told",
    needs: "concurrentTransactions",
    async prove({ db }) {
      await setUp(db);
      await db.sql`insert into item (id, n) values (1, 0)`;
      let runs = 0;
      const increment = (): Promise<unknown> =>
        db.transaction(
          async (tx) => {
            runs++;
            const [row] = await tx.sql<{ n: number }>`select n from item where id = 1`;
            await systemClock.sleep(10);
            await tx.sql`update item set n = ${(row?.n ?? 0) + 1} where id = 1`;
          },
          { isolation: "serializable", attempts: 20 },
        );
      await Promise.all([increment(), increment(), increment(), increment()]);
      assert.deepEqual(await db.sql`select n from item`, [{ n: 4 }]);
      assert.ok(runs > 4, "they did conflict");
      let tries = 0;
      await assert.rejects(
        db.transaction(
          async (tx) => {
            tries++;
            await tx.sql`select n from item`;
            await db.sql`update item set n = n + 1`;
            await tx.sql`update item set n = 0`;
          },
          { isolation: "repeatable read", attempts: 2 },
        ),
        (thrown) => isError(thrown, "SERIALIZATION_FAILURE") && thrown.executed === "no" && thrown.retry === "safe",
      );
      assert.equal(tries, 2);
    },
  },
  {
    name: "breaks a deadlock by running one of the two again",
    needs: "concurrentTransactions",
    async prove({ db }) {
      await setUp(db);
      await db.sql`insert into item (id) values (1), (2)`;
      const take = (first: number, second: number): Promise<void> =>
        db.transaction(async (tx) => {
          await tx.sql`update item set n = n + 1 where id = ${first}`;
          await systemClock.sleep(30);
          await tx.sql`update item set n = n + 1 where id = ${second}`;
        });
      await Promise.all([take(1, 2), take(2, 1)]);
      assert.deepEqual(await db.sql`select distinct n from item`, [{ n: 2 }]);
    },
  },
  {
    name: "says maybe when the connection is lost during COMMIT, whether it took effect or not",
    async prove({ driver, database, db: plain }) {
      await setUp(plain);
      const faulty = createFaultyDatabase(driver);
      const db = await database({ driver: faulty, schema: plain.schema });
      for (const [id, when] of [
        [1, "after"],
        [2, "before"],
      ] as const) {
        faulty.loseNext(/^commit/, when);
        await assert.rejects(
          db.transaction((tx) => tx.sql`insert into item (id) values (${id})`),
          (thrown) =>
            isError(thrown, "COMMIT_OUTCOME_UNKNOWN") && thrown.executed === "maybe" && thrown.retry === "never",
        );
      }
      assert.deepEqual(await plain.sql`select id from item`, [{ id: 1 }]);
    },
  },
  {
    name: "says no when the connection is lost before COMMIT, and begins anew on a stale connection",
    async prove({ driver, database, db: plain }) {
      await setUp(plain);
      const faulty = createFaultyDatabase(driver);
      const db = await database({ driver: faulty, schema: plain.schema });
      faulty.loseNext(/^insert/, "after");
      await assert.rejects(
        db.transaction((tx) => tx.sql`insert into item (id) values (1)`),
        (thrown) => isError(thrown, "DATABASE_UNAVAILABLE") && thrown.executed === "no",
      );
      faulty.loseNext(/^begin/, "before");
      await db.transaction((tx) => tx.sql`insert into item (id) values (2)`);
      assert.deepEqual(await plain.sql`select id from item`, [{ id: 2 }]);
      assert.equal(faulty.lossCount, 2);
    },
  },
  {
    name: "gives a session to one caller for as long as it needs",
    async prove({ db }) {
      await setUp(db);
      await db.session(async (session) => {
        await session.script("insert into item values (7); insert into item values (8)");
        await session.transaction(async (tx) => void (await tx.sql`delete from item where id = 8`));
        assert.deepEqual(await session.sql`select id from item`, [{ id: 7 }]);
      });
    },
  },
  {
    name: "keeps what is set on a pinned session until it is given back",
    needs: "sessionState",
    async prove({ db }) {
      await setUp(db);
      const pinned = { pinned: true };
      await db.session(async (session) => {
        await session.script("create temporary table scratch (id int); insert into scratch values (7)");
        await session.transaction(async (tx) => void (await tx.sql`insert into item select id from scratch`));
        assert.deepEqual(await session.sql`select id from item`, [{ id: 7 }]);
        await session.script("drop table scratch");
      }, pinned);
    },
  },
];
