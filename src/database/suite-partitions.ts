import assert from "node:assert/strict";
import { createManualClock, StartError, systemClock } from "../base/index.ts";
import type { Database } from "./database.ts";
import { maintainPartitions } from "./partition.ts";
import type { PartitionDeclarations } from "./partition-declaration.ts";
import type { DatabaseClaim } from "./suite-claim.ts";

const daily: PartitionDeclarations = { visit: { range: "at", every: "1 day", ahead: 2, keep: "3d" } };
const dayMs = 86_400_000;

/** Stands at noon, so many days from today. */
const clockAt = (days: number) =>
  createManualClock(Math.floor(systemClock.wallNow() / dayMs) * dayMs + days * dayMs + dayMs / 2);
const keep = (db: Database, days: number, declarations = daily) =>
  maintainPartitions(db, declarations, { clock: clockAt(days), lockTimeoutMs: 300 });
const makeVisits = (db: Database): Promise<void> =>
  db.session((session) =>
    session.script(
      `create table visit (id int generated always as identity, at timestamptz not null, page text, primary key (id, at))
       partition by range (at); create index on visit (page)`,
    ),
  );
const partitionsOf = async (db: Database, table = "visit"): Promise<string[]> => {
  const rows = await db.sql<{ name: string }>`select k.relname::text as name from pg_inherits i
    join pg_class k on k.oid = i.inhrelid where i.inhparent = ${`"${db.schema}".${table}`}::regclass order by 1`;
  return rows.map(({ name }) => name);
};
const visit = (db: Database, days: number) =>
  db.sql`insert into visit (at, page) values (${new Date(clockAt(days).wallNow()).toISOString()}, ${`day ${days}`})`;

/** Tables in parts. */
export const partitionCases: readonly DatabaseClaim[] = [
  {
    name: "makes the partitions of now and ahead, once, with the table's indexes and keys",
    async prove({ db }) {
      await makeVisits(db);
      const [first] = await keep(db, 0);
      assert.equal(first?.created.length, 3);
      assert.deepEqual([first?.dropped, first?.defaultRows, first?.waiting], [[], undefined, undefined]);
      assert.match(first?.created[0] ?? "", /^visit_p\d{8}$/);
      assert.deepEqual((await keep(db, 0))[0]?.created, []);
      assert.equal((await keep(db, 1))[0]?.created.length, 1);
      for (const day of [0, 1, 2, 3]) await visit(db, day);
      await assert.rejects(visit(db, 4), "no partition takes it");
      assert.deepEqual(await db.sql`select id from visit order by at`, [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }]);
      const indexes =
        await db.sql`select 1 from pg_indexes where schemaname = ${db.schema} and tablename = ${first?.created[0] as string}`;
      assert.equal(indexes.length, 2);
    },
  },
  {
    name: "drops partitions that ended longer ago than rows are kept, and no other; a clock that is ahead drops none",
    async prove({ db }) {
      await makeVisits(db);
      await keep(db, -5);
      await visit(db, -5);
      await visit(db, -3);
      const before = await partitionsOf(db);
      assert.equal(before.length, 3, "five, four and three days ago");
      const [report] = await keep(db, 0);
      assert.deepEqual(report?.dropped, before.slice(0, 2));
      assert.deepEqual(await db.sql`select page from visit`, [{ page: "day -3" }]);
      assert.deepEqual(
        await db.sql`select 1 as one from pg_class where relname = ${before[0] as string} and relnamespace = ${db.schema}::regnamespace`,
        [],
      );
      const [ahead] = await keep(db, 400);
      assert.deepEqual(ahead?.dropped, []);
    },
  },
  {
    name: "drops what an earlier call had marked and detached, and leaves tables that it did not mark",
    async prove({ db }) {
      await makeVisits(db);
      await keep(db, 0);
      await db.session((session) =>
        session.script(`create table visit_p20010101 (id int); create table visit_p20010102 (id int);
          comment on table visit_p20010101 is 'plinth: expired partition of visit'`),
      );
      assert.deepEqual((await keep(db, 0))[0]?.dropped, ["visit_p20010101"]);
      assert.deepEqual(await db.sql`select * from visit_p20010102`, []);
    },
  },
  {
    name: "counts the rows of a default partition, and moves them into the partition that they are for",
    async prove({ db }) {
      await makeVisits(db);
      await db.session((session) => session.script("create table visit_rest partition of visit default"));
      await visit(db, 1);
      await visit(db, 1);
      await visit(db, 50);
      const [report] = await keep(db, 0);
      assert.deepEqual([report?.created.length, report?.defaultRows], [3, 1]);
      assert.deepEqual(await db.sql`select page from visit_rest`, [{ page: "day 50" }]);
      assert.deepEqual(await db.sql`select count(*) as n from visit`, [{ n: 3 }]);
      await keep(db, -9);
      assert.deepEqual((await keep(db, 0))[0]?.dropped.length, 3, "without a concurrent detach too");
    },
  },
  {
    name: "leaves a partition whose rows fill the default one, says so, and makes the others",
    async prove({ db }) {
      await makeVisits(db);
      await db.session((session) => session.script("create table visit_rest partition of visit default"));
      const tomorrow = new Date(clockAt(1).wallNow()).toISOString();
      await db.sql`insert into visit (at, page) select ${tomorrow}::text::timestamptz, 'many' from generate_series(1, 10001)`;
      const [report] = await keep(db, 0);
      assert.match(
        report?.waiting ?? "",
        /^creating visit_p\d{8}: visit_rest holds more than 10000 rows for [-\d]+ 00:00:00\+00 to .*: delete them or move/,
      );
      assert.deepEqual([report?.created.length, report?.defaultRows], [2, 10_000], "today's and that of the day after");
      assert.equal((await partitionsOf(db)).length, 3, "nothing half made");
      await db.sql`delete from visit where id = (select min(id) from visit)`;
      const [later] = await keep(db, 0);
      assert.deepEqual([later?.created.length, later?.defaultRows, later?.waiting], [1, 0, undefined]);
    },
  },
  {
    name: "keeps what was marked as expired when rows are to be kept longer before it was detached",
    async prove({ db }) {
      await makeVisits(db);
      await keep(db, -5);
      const [oldest, ...others] = await partitionsOf(db);
      const mark = (name: string | undefined) =>
        db.session((session) =>
          session.script(
            `comment on table ${name} is 'plinth: expired partition of visit'; comment on table ${others[0]} is 'mine'`,
          ),
        );
      const longer = (days?: string) =>
        keep(db, 0, { visit: { range: "at", every: "1 day", ahead: 2, ...(days ? { keep: days } : {}) } } as never);
      for (const days of ["30d", undefined]) {
        await mark(oldest);
        assert.deepEqual((await longer(days))[0]?.dropped, []);
        assert.deepEqual(await db.sql`select obj_description(to_regclass(${oldest}), 'pg_class') as mark`, [
          { mark: null },
        ]);
      }
      await mark(oldest);
      await db.session((session) => session.script(`alter table visit detach partition ${oldest}`));
      assert.deepEqual((await longer())[0]?.dropped, [], "kept for ever: nothing is dropped");
      assert.deepEqual((await longer("30d"))[0]?.dropped, [oldest]);
      assert.deepEqual(await db.sql`select obj_description(to_regclass(${others[0]}), 'pg_class') as mark`, [
        { mark: "mine" },
      ]);
    },
  },
  {
    name: "puts back a partition whose detach was begun when rows are to be kept longer",
    needs: "concurrentTransactions",
    async prove({ db }) {
      await makeVisits(db);
      await keep(db, -5);
      await visit(db, -5);
      const before = await partitionsOf(db);
      const [oldest] = before;
      let letGo = (): void => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const holding = db.transaction(async (tx) => {
        await tx.script(`select from ${oldest}`);
        await held;
      });
      await systemClock.sleep(50);
      const [begun] = await keep(db, 0).finally(letGo);
      await holding;
      assert.match(begun?.waiting ?? "", new RegExp(`dropping ${oldest}: the table was in use`));
      const longer = { visit: { range: "at", every: "1 day", ahead: 2, keep: "30d" } } as const;
      assert.deepEqual(
        [(await keep(db, 0, longer))[0]?.waiting, (await keep(db, 0, longer))[0]?.dropped],
        [undefined, []],
      );
      const [state] = await db.sql`select bool_or(inhdetachpending) as pending, count(*)::int as n from pg_inherits
        where inhparent = ${`"${db.schema}".visit`}::regclass`;
      assert.equal(state?.pending, false);
      assert.deepEqual(await db.sql`select page from visit`, [{ page: "day -5" }]);
      assert.deepEqual((await keep(db, 0))[0]?.dropped, [oldest, before[1]], "and lets it go when it may");
    },
  },
  {
    name: "spreads rows by hash over a fixed number of partitions",
    async prove({ db }) {
      await db.sql`create table basket (id text primary key) partition by hash (id)`;
      const [report] = await maintainPartitions(db, { basket: { hash: "id", parts: 4 } }, { clock: systemClock });
      assert.deepEqual(report?.created, ["basket_h0", "basket_h1", "basket_h2", "basket_h3"]);
      await db.sql`insert into basket select md5(i::text) from generate_series(1, 200) as i`;
      const spread = await db.sql<{ n: number }>`select count(*)::int as n from basket group by tableoid`;
      assert.ok(spread.length === 4 && spread.every(({ n }) => n > 20), JSON.stringify(spread));
      const again = (parts: number) =>
        maintainPartitions(db, { basket: { hash: "id", parts } }, { clock: systemClock });
      assert.deepEqual((await again(4))[0]?.created, []);
      await assert.rejects(again(8), (thrown) => isShape(thrown, /has 4 parts, and the declaration says 8/));
    },
  },
  {
    name: "refuses a table that is not partitioned as declared, by name and remedy",
    async prove({ db }) {
      await makeVisits(db);
      await db.sql`create table plain (at timestamptz)`;
      await db.sql`create table numbered (at int) partition by range (at)`;
      await db.sql`create table dated (at date) partition by range (at)`;
      const cases: [PartitionDeclarations, RegExp][] = [
        [{ nowhere: { range: "at", every: "1 day" } }, /no partitioned table of this name.*partition by range \(at\)/],
        [{ plain: { range: "at", every: "1 day" } }, /no partitioned table/],
        [{ visit: { range: "id", every: "1 day" } }, /has partition by range \(at\), and the declaration says/],
        [{ visit: { hash: "at", parts: 4 } }, /the declaration says partition by hash \(at\)/],
        [{ numbered: { range: "at", every: "1 day" } }, /at is integer: a column of time/],
        [{ dated: { range: "at", every: "6 hours" } }, /is a date: every is a day or longer/],
      ];
      for (const [declarations, pattern] of cases) {
        await assert.rejects(keep(db, 0, declarations), (thrown) => isShape(thrown, pattern));
      }
      assert.equal((await keep(db, 0, { dated: { range: "at", every: "1 week", ahead: 1 } }))[0]?.created.length, 2);
    },
  },
  {
    name: "lets several processes maintain at once, and leaves for later what is locked",
    needs: "concurrentTransactions",
    async prove({ db, database }) {
      await makeVisits(db);
      const several = await Promise.all(
        Array.from({ length: 4 }, async () => keep(await database({ schema: db.schema }), 0)),
      );
      await keep(db, 0);
      assert.equal((await partitionsOf(db)).length, 3);
      assert.ok(several.flat().every(({ created }) => created.length <= 3));
      await keep(db, -9);
      assert.equal((await partitionsOf(db)).length, 6);
      const drops = await Promise.all(
        Array.from({ length: 4 }, async () => keep(await database({ schema: db.schema }), 0)),
      );
      const dropped = [...drops.flat(), ...(await keep(db, 0))].flatMap((report) => report.dropped);
      assert.deepEqual([dropped.length, new Set(dropped).size], [3, 3], "each is dropped once");
      let letGo = (): void => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const holding = db.transaction(async (tx) => {
        await tx.sql`lock table visit in access exclusive mode`;
        await held;
      });
      await systemClock.sleep(50);
      const [late] = await keep(db, 1);
      letGo();
      await holding;
      assert.match(late?.waiting ?? "", /(?:reading|creating \S+): the table was in use for 300 ms/);
      assert.equal((await keep(db, 1))[0]?.created.length, 1);
    },
  },
];

function isShape(thrown: unknown, pattern: RegExp): boolean {
  assert.ok(thrown instanceof StartError, String(thrown));
  assert.equal(thrown.reason, "PARTITION_SHAPE");
  assert.match(thrown.message, pattern);
  return true;
}
