import assert from "node:assert/strict";
import { anonymous, CallScope, isError, StartError } from "../base/index.ts";
import { createReplicas } from "./replicas.ts";
import type { DatabaseClaim } from "./suite-claim.ts";

const setUp = "create table item (id int primary key); insert into item values (1)";
const call = (): CallScope =>
  new CallScope({ principal: anonymous, caller: "suite", deadline: Number.POSITIVE_INFINITY });

/** Reading with or without replicas. What needs a real one is proved where one can be started. */
export const replicaCases: readonly DatabaseClaim[] = [
  {
    name: "reads without replicas on the primary, in every form, and takes no write",
    async prove({ db }) {
      await db.session((session) => session.script(setUp));
      const rows = [{ id: 1 }];
      const reads = db.read({ staleness: "1s" });
      assert.deepEqual(await reads.sql`select id from item`, rows);
      assert.deepEqual(await reads.sql`select id from item where id = abs(${-1}) and pg_backend_pid() > 0`, rows);
      assert.deepEqual(await reads.query.selectFrom("item").select("id").execute(), rows);
      assert.deepEqual(await reads.session((session) => session.sql`select id from item`), rows);
      const isolation = await reads.transaction((tx) => tx.sql`show transaction_isolation`);
      assert.deepEqual(isolation, [{ transaction_isolation: "repeatable read" }]);
      const writes = [
        () => reads.sql`delete from item`,
        () => reads.sql`with gone as (delete from item returning id) select id from gone`,
        () => reads.sql`create table other ()`,
        () => reads.session((session) => session.sql`delete from item`),
        () => reads.transaction((tx) => tx.sql`delete from item`),
        () => reads.query.deleteFrom("item").execute(),
      ];
      for (const write of writes) {
        await assert.rejects(write(), (thrown) => isError(thrown, "READ_ONLY_TRANSACTION") && thrown.executed === "no");
      }
      assert.deepEqual(await db.sql`select id from item`, rows);
      assert.deepEqual(db.replicas, []);
    },
  },
  {
    name: "passes a reader's own errors on as they are, and hooks of a reading transaction run",
    async prove({ db }) {
      const mine = new Error("mine");
      const fail = db.read().session(() => Promise.reject(mine));
      await assert.rejects(fail, (thrown) => thrown === mine);
      await assert.rejects(db.read().sql`select nothing from nowhere`, (thrown) => isError(thrown, "SQL_INVALID"));
      let hooks = 0;
      await db.read().transaction(async (tx) => tx.afterCommit(() => hooks++), { isolation: "read committed" });
      assert.equal(hooks, 1);
    },
  },
  {
    name: "costs a call without replicas no position",
    async prove({ db }) {
      const scope = call();
      await db.bind(scope).transaction((tx) => tx.sql`create table item ()`);
      await db.bind(scope).read().sql`select * from item`;
      assert.equal(scope.knownPosition, undefined);
    },
  },
  {
    name: "answers itself when what was given as a replica is none",
    async prove({ driver, db, database }) {
      const make = () => createReplicas({ primary: driver, replicas: [driver], probeMs: 20 });
      if (!driver.flags.multipleProcesses) {
        assert.throws(make, (thrown) => thrown instanceof StartError && thrown.reason === "REPLICAS_UNSUPPORTED");
        return;
      }
      await db.session((session) => session.script(setUp));
      const replicas = make();
      const reader = await database({ schema: db.schema, replicas });
      const scope = call();
      const bound = reader.bind(scope);
      for (let id = 2; id < 20; id++) {
        if (id % 3 === 0) await bound.sql`insert into item values (${id})`;
        if (id % 3 === 1) await bound.transaction((tx) => tx.sql`insert into item values (${id})`);
        if (id % 3 === 2) await bound.session((session) => session.script(`insert into item values (${id})`));
        assert.equal((await bound.read({ staleness: "1m" }).sql`select id from item`).length, id);
      }
      assert.match(scope.position.token ?? "", /^[0-9a-f]{10}:[0-9a-f]+$/, "commits are noted all the same");
      assert.deepEqual([reader.replicas[0]?.state, reader.replicas[0]?.reason], ["away", "REPLICA_PROMOTED"]);
      assert.ok(replicas.primaryReadCount >= 18);
    },
  },
  {
    name: "notes a commit further on than the one before, and no read",
    needs: "concurrentTransactions",
    async prove({ driver, db, database }) {
      await db.session((session) => session.script(setUp));
      const replicas = createReplicas({ primary: driver, replicas: [driver] });
      const reader = await database({ schema: db.schema, replicas });
      const scope = call();
      const bound = reader.bind(scope);
      await bound.sql`select count(*) from item`;
      await bound.transaction((tx) => tx.sql`select id from item`, { readOnly: true });
      assert.equal(scope.knownPosition?.token, undefined);
      const versions: number[] = [];
      for (const write of [
        () => bound.sql`insert into item values (2)`,
        () => bound.sql`with made as (insert into item values (3) returning id) select id from made`,
        () => bound.query.insertInto("item").values({ id: 4 }).execute(),
        () => bound.transaction((tx) => tx.sql`insert into item values (5)`),
        () => bound.session((session) => session.sql`insert into item values (6)`),
      ]) {
        await write();
        versions.push(scope.position.version);
      }
      assert.deepEqual(versions, [1, 2, 3, 4, 5]);
    },
  },
];
