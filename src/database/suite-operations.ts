import assert from "node:assert/strict";
import { StartError, systemClock } from "../base/index.ts";
import { withAdvisoryLock } from "./advisory-lock.ts";
import { checkConnectionBudget } from "./budget.ts";
import type { SlowQueryReport } from "./slow-queries.ts";
import { createSlowQueryLog } from "./slow-queries.ts";
import type { DatabaseClaim } from "./suite-claim.ts";

/** What is found out about a server for those who run it. */
export const operationCases: readonly DatabaseClaim[] = [
  {
    name: "tells the generic plan of a slow statement, having run nothing, and keeps no prepared statement",
    needs: "sessionState",
    async prove({ db, database }) {
      await db.sql`create table item (id int primary key, tag text)`;
      const reports: SlowQueryReport[] = [];
      const log = (report: SlowQueryReport): void => void reports.push(report);
      const note = createSlowQueryLog({ clock: systemClock, log, thresholdMs: 0, explain: () => db });
      const watched = await database({ schema: db.schema, onQuery: note });
      await watched.sql`insert into item values (${1}, ${"a"})`;
      await watched.sql`select * from item where id = ${1} and tag <> ${"b"}`;
      await watched.sql`select * from item where tag = ${"b"}`;
      await note.settle();
      const planOf = (pattern: RegExp) => reports.find(({ text }) => pattern.test(text))?.plan ?? "";
      assert.match(planOf(/^insert/), /Insert on item/);
      assert.match(planOf(/id = \$1/), /id = \$1/, "the plan is not that for nulls");
      assert.match(planOf(/where tag/), /Seq Scan on item/);
      assert.deepEqual(await db.sql`select id from item`, [{ id: 1 }]);
      const left = await db.session(
        (session) => session.sql`select name from pg_prepared_statements where name like 'plinth%'`,
        { pinned: true },
      );
      assert.deepEqual(left, []);
    },
  },
  {
    name: "ends a session that cannot give back its lock",
    needs: "sessionState",
    async prove({ db }) {
      const tooLate = () => assert.fail("too late");
      const options = { key: `suite:${db.schema}`, timeoutMs: 1000, clock: systemClock, tooLate };
      const heldCount = async (): Promise<number> => {
        const rows = await db.sql`
          select 1 from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
            and ((classid::bigint << 32) | objid::bigint) = hashtextextended(${options.key}, 0)`;
        return rows.length;
      };
      await db.session(
        async (session) => {
          await session.script("set lock_timeout to '17s'");
          const execute: typeof session.execute = (fragment) =>
            fragment.compile().text.includes("unlock")
              ? Promise.reject(new Error("not now"))
              : session.execute(fragment);
          return withAdvisoryLock({ ...session, execute }, options, async () => {});
        },
        { pinned: true },
      );
      // The server ends it when it gets to it.
      for (let i = 0; i < 200 && (await heldCount()) > 0; i++) await systemClock.sleep(10);
      assert.equal(await heldCount(), 0);
      const [next] = await db.sql<{ text: string }>`select current_setting('lock_timeout') as text`;
      assert.notEqual(next?.text, "17s", "nor is a setting of it left");
    },
  },
  {
    name: "knows whether all processes together may open more connections than the server takes",
    async prove({ db }) {
      const warnings: string[] = [];
      const check = (poolSize: number, others = 0) =>
        checkConnectionBudget({
          database: db,
          pools: [
            { name: "orders", poolSize, processes: 4 },
            { name: "edge", poolSize: 1, processes: 2 },
          ],
          others,
          onWarning: (text) => warnings.push(text),
        });
      const found = await check(1);
      if (!found.checked) {
        assert.ok(db.flags.pooled || !db.flags.multipleProcesses);
        assert.match(found.reason, /pooler|embedded/);
        assert.equal((await check(1_000_000)).checked, false);
        return;
      }
      assert.equal(found.needed, 6);
      await assert.rejects(check(Math.ceil(found.available / 4)), (thrown) => {
        assert.ok(thrown instanceof StartError);
        assert.equal(thrown.reason, "CONNECTION_BUDGET");
        assert.match(
          thrown.message,
          /orders 4 × \d+ \+ edge 2 × 1 = \d+ connections; the server takes \d+ - \d+ reserved = \d+\. Lower pool_size/,
        );
        return true;
      });
      assert.deepEqual(warnings, []);
      await check(1, found.available - 8);
      assert.match(warnings[0] ?? "", /\+ others \d+ = \d+ connections.*leaves little/);
      await check(1, found.available - 6);
      assert.match(
        warnings[1] ?? "",
        /one more process of each group, as in a rolling deploy, may open 2 more, which is too/,
      );
      await check(1, Math.floor(found.available * 0.5));
      assert.equal(warnings.length, 2);
      await assert.rejects(check(1, found.available - 5));
    },
  },
];
