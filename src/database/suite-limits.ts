import assert from "node:assert/strict";
import { anonymous, CallScope, error, isError, newId, systemClock } from "../base/index.ts";
import type { QueryRecord } from "./database-options.ts";
import { sql } from "./sql.ts";
import type { DatabaseClaim } from "./suite-claim.ts";

const scopeFor = (ms: number): CallScope =>
  new CallScope({ principal: anonymous, caller: "suite", deadline: systemClock.now() + ms });

/** Time, queues and what is measured. */
export const limitCases: readonly DatabaseClaim[] = [
  {
    name: "refuses work for a call that is over, and does none of it",
    async prove({ db }) {
      await db.sql`create table item (id int primary key)`;
      const spent = scopeFor(0);
      await assert.rejects(
        db.bind(spent).sql`insert into item values (1)`,
        (thrown) => isError(thrown, "deadline_exceeded") && thrown.executed === "no",
      );
      const gone = scopeFor(60_000);
      const bound = db.bind(gone);
      await assert.rejects(
        bound.transaction(async (tx) => {
          await tx.sql`insert into item values (2)`;
          gone.cancel(error("cancelled", "The caller went away."));
          await tx.sql`insert into item values (3)`;
        }),
        (thrown) => isError(thrown, "cancelled") && thrown.executed === "no",
      );
      await assert.rejects(
        db.bind(scopeFor(60_000)).transaction(async (tx) => {
          await tx.sql`insert into item values (4)`;
          throw error("not_found", "x");
        }),
        (thrown) => isError(thrown, "not_found"),
      );
      assert.deepEqual(await db.sql`select id from item`, []);
      gone.finish();
    },
  },
  {
    name: "cancels a statement on the server when its call's deadline passes, and is well afterwards",
    needs: "cancelsStatements",
    async prove({ db }) {
      const scope = scopeFor(150);
      const startedAt = systemClock.now();
      // A name of its own: others on the same server may be at the same test.
      const nap = `nap_${newId().replaceAll("-", "")}`;
      await assert.rejects(
        db.bind(scope).sql`select pg_sleep(20) as ${sql.id(nap)}`,
        (thrown) => isError(thrown, "deadline_exceeded") && thrown.executed === "no",
      );
      assert.ok(systemClock.now() - startedAt < 2_000);
      const [row] = await db.sql<{ n: number }>`
        select count(*) as n from pg_stat_activity where query like ${`select pg_sleep(20) as "${nap}"%`} and state = 'active'`;
      assert.equal(row?.n, 0, "it does not run on at the server");
      const cancelled = scopeFor(60_000);
      const running = db.bind(cancelled).transaction(async (tx) => void (await tx.sql`select pg_sleep(20)`));
      await systemClock.sleep(50);
      cancelled.cancel(error("cancelled", "The caller went away."));
      await assert.rejects(running, (thrown) => isError(thrown, "cancelled") && thrown.executed === "no");
      assert.deepEqual(
        await Promise.all(Array.from({ length: 12 }, () => db.sql`select 1 as one`)).then((all) => all.length),
        12,
      );
    },
  },
  {
    name: "ends a statement that runs longer than the database allows",
    needs: "cancelsStatements",
    async prove({ database }) {
      const db = await database({ statementTimeoutMs: 100 });
      await assert.rejects(db.sql`select pg_sleep(20)`, (thrown) => isError(thrown, "STATEMENT_TIMEOUT"));
      await db.session((session) => session.sql`select pg_sleep(0.2)`, { statementTimeoutMs: 5_000 });
    },
  },
  {
    name: "rolls back a transaction that idles, so that others go on",
    async prove({ database }) {
      const db = await database({ idleInTransactionMs: 60 });
      await db.sql`create table item (id int primary key)`;
      let ended = false;
      const idler = db.transaction(async (tx) => {
        await tx.sql`insert into item values (1)`;
        await systemClock.sleep(250);
        ended = true;
        await tx.sql`insert into item values (2)`;
      });
      await systemClock.sleep(130);
      assert.deepEqual(await db.sql`select id from item`, []);
      assert.equal(ended, false, "they did not wait for it to end");
      await assert.rejects(idler, (thrown) => isError(thrown, "TRANSACTION_IDLE"));
    },
  },
  {
    name: "serves many callers with few sessions, in order, and tells those it cannot serve",
    async prove({ driver, database }) {
      const db = await database({ acquireTimeoutMs: 200 });
      await db.sql`create table item (id int primary key)`;
      const patient = await database({ schema: db.schema });
      const many = Array.from({ length: 100 }, (_, id) => patient.sql`insert into item values (${id})`);
      await Promise.all(many);
      assert.deepEqual(await db.sql`select count(*) as n from item`, [{ n: 100 }]);
      // All sessions held: who comes now waits its time and is told, and so is who finds the queue full.
      let letGo = (): void => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const { size, queueSizeMax } = driver.stats;
      const holders = Array.from({ length: size }, () => db.session(async () => held));
      await systemClock.sleep(50);
      const late = await Promise.allSettled(Array.from({ length: queueSizeMax + 5 }, () => db.sql`select 1`));
      assert.ok(late.every(({ status }) => status === "rejected"));
      for (const result of late) {
        assert.ok(result.status === "rejected" && isError(result.reason, "DATABASE_BUSY"));
        assert.deepEqual([result.reason.code, result.reason.executed], ["resource_exhausted", "no"]);
      }
      letGo();
      await Promise.all(holders);
      await db.sql`select 1`;
      assert.equal(driver.stats.waiting, 0);
    },
  },
  {
    name: "takes a cancelled caller out of the queue",
    async prove({ driver, db }) {
      let letGo = (): void => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const holders = Array.from({ length: driver.stats.size }, () => db.session(async () => held));
      await systemClock.sleep(20);
      const scope = scopeFor(60_000);
      const waiting = db.bind(scope).sql`select 1`;
      await systemClock.sleep(20);
      scope.cancel(error("cancelled", "The caller went away."));
      await assert.rejects(waiting, (thrown) => isError(thrown, "cancelled") && thrown.executed === "no");
      assert.equal(driver.stats.waiting, 0);
      letGo();
      await Promise.all(holders);
    },
  },
  {
    name: "reports each statement with its time, rows and error, never its values",
    async prove({ database }) {
      const records: QueryRecord[] = [];
      const db = await database({ onQuery: (record) => records.push(record) });
      records.length = 0;
      await db.sql`select ${"secret"}::text as a union all select 'b'`;
      await assert.rejects(db.transaction((tx) => tx.sql`select 1 / ${0}::int`));
      assert.deepEqual(
        records.map(({ text, rows, error: failed }) => [text, rows, failed?.reason]),
        [
          ["select $1::text as a union all select 'b'", 2, undefined],
          ["begin isolation level read committed", 0, undefined],
          ["select 1 / $1::int", 0, "VALUE_INVALID"],
          ["rollback", 0, undefined],
        ],
      );
      assert.ok(records.every(({ durationMs, schema }) => durationMs >= 0 && schema === db.schema));
    },
  },
];
