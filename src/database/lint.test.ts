import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lintSteps } from "./lint.ts";
import { blockedBy } from "./lint-locks.ts";
import { lintRules } from "./lint-rules.ts";
import type { Migration } from "./migration.ts";
import { readMigrations } from "./migration.ts";

/** Lints the last texts as pending steps, on tables that an applied step made. */
async function lint(pending: readonly string[], applied: readonly string[] = []) {
  const texts = ["create table t (id int primary key, a int, b text); create table u (id int primary key)", ...applied];
  const all = [...texts, ...pending];
  const migrations = all.map((sql, i): Migration => ({ name: `${String(i + 1).padStart(4, "0")}-step`, sql }));
  const steps = await readMigrations(migrations);
  const linted = await lintSteps(steps, { schema: "shop", isPending: ({ number }) => number > texts.length });
  return [...linted.values()];
}
const rulesOf = async (text: string, ...applied: string[]): Promise<string[]> =>
  (await lint([text], applied)).flatMap(({ findings }) => findings.map(({ rule }) => rule));
const alone = (text: string): string => `-- plinth: no-transaction\n${text}`;

/** For each rule: what it finds, and what is nearly the same and well. */
const cases: Readonly<Record<string, { bad: string[]; good: string[] }>> = {
  syntax: { bad: ["alter tabel t add c int", "select '"], good: ["select 1", ""] },
  "create-index": {
    bad: ["create index i on t (a)", "create unique index on shop.t (a)"],
    good: [
      alone("create index concurrently if not exists i on t (a)"),
      "create table n (a int); create index on n (a)",
    ],
  },
  "drop-index": {
    bad: ["drop index i"],
    good: [
      alone("drop index concurrently if exists i"),
      "create table n (a int); create index j on n (a); drop index j",
    ],
  },
  "outside-transaction": {
    bad: [
      "create index concurrently i on t (a)",
      "drop index concurrently i",
      "reindex table concurrently t",
      "vacuum t",
      "reindex database shop",
      "alter table t detach partition p concurrently",
    ],
    good: [alone("vacuum t"), "analyze t"],
  },
  repeatable: {
    bad: [
      alone("create index concurrently i on t (a)"),
      alone("create index concurrently on t (a)"),
      alone("drop table if exists a; create table n (a int)"),
    ],
    good: [
      alone("drop index concurrently if exists i"),
      alone("alter type m add value if not exists 'x'"),
      "create table n (a int)",
    ],
  },
  "volatile-default": {
    bad: [
      "alter table t add c uuid default gen_random_uuid()",
      "alter table t add c bigserial",
      "alter table t add c int generated always as identity",
      "alter table t add c int generated always as (a * 2) stored",
      "alter table t add c text default 'x' || random()::text",
    ],
    good: [
      "alter table t add c timestamptz default now()",
      "alter table t add c int not null default 7",
      "alter table t add c int default null",
      "create table n (a int); alter table n add c serial",
      "alter table t add c text default lower('A')",
    ],
  },
  "not-null-column": {
    bad: ["alter table t add c int not null", "alter table shop.t add c int not null default null"],
    good: ["alter table t add c int not null default 0", "alter table t add c int"],
  },
  "column-type": { bad: ["alter table t alter a type bigint"], good: ["alter table t alter a set default 1"] },
  "set-not-null": { bad: ["alter table t alter a set not null"], good: ["alter table t alter a drop default"] },
  "drop-not-null": {
    bad: ["alter table t alter a drop not null"],
    good: ["create table n (a int not null); alter table n alter a drop not null"],
  },
  "foreign-key": {
    bad: ["alter table t add foreign key (a) references u", "alter table t add c int default 1 references u"],
    good: [
      "alter table t add constraint f foreign key (a) references u not valid",
      "alter table t add c int references u",
      "create table n (a int references u)",
    ],
  },
  check: { bad: ["alter table t add check (a > 0)"], good: ["alter table t add constraint k check (a > 0) not valid"] },
  "validate-apart": {
    bad: ["alter table t add constraint k check (a > 0) not valid; alter table t validate constraint k"],
    good: ["alter table t validate constraint k"],
  },
  unique: {
    bad: ["alter table t add unique (a)", "alter table t add primary key (a)", "alter table t add c int unique"],
    good: ["alter table t add constraint k unique using index i"],
  },
  "drop-column": { bad: ["alter table t drop column a"], good: ["alter table t drop constraint k"] },
  "drop-table": {
    bad: ["drop table t", "drop schema shop cascade"],
    good: ["create table n (); drop table n", "drop index i"],
  },
  "drop-view": {
    bad: ["drop view v", "drop materialized view v"],
    good: ["create or replace view v as select 1", "create view n as select 1; drop view n"],
  },
  "drop-type": {
    bad: ["drop type m", "drop domain shop.d cascade"],
    good: ["create type n as enum ('a'); drop type n", "create domain n as int; drop domain n"],
  },
  "drop-function": {
    bad: ["drop function f", "drop procedure p(int)", "create table f (); drop function f"],
    good: [
      "create or replace function f() returns int language sql as 'select 1'",
      "create function n() returns int language sql as 'select 1'; drop function n()",
    ],
  },
  "rename-column": { bad: ["alter table t rename a to c"], good: ["alter table t rename constraint a to c"] },
  "rename-table": {
    bad: ["alter table t rename to v", "alter table t set schema other"],
    good: ["alter index i rename to j"],
  },
  "rename-object": {
    bad: [
      "alter view v rename to w",
      "alter view v set schema other",
      "alter materialized view v rename to w",
      "alter type m rename to n",
      "alter type m rename attribute a to b",
      "alter domain d rename to e",
      "alter function f(int) rename to g",
      "alter sequence s rename to z",
    ],
    good: ["alter index i rename to j", "create view n as select 1; alter view n rename to m"],
  },
  "rename-enum-value": {
    bad: ["alter type m rename value 'x' to 'y'"],
    good: ["create type n as enum ('a'); alter type n rename value 'a' to 'b'", "alter type m add value 'y'"],
  },
  "domain-check": {
    bad: ["alter domain d add check (value > 0)", "alter domain d set not null"],
    good: [
      "alter domain d add constraint c check (value > 0) not valid",
      "alter domain d validate constraint c",
      "create domain n as int; alter domain n add check (value > 0)",
    ],
  },
  rewrite: {
    bad: ["cluster t", "cluster", alone("vacuum full t"), "alter table t set unlogged", "refresh materialized view v"],
    good: [alone("vacuum (full false) t"), "refresh materialized view concurrently v"],
  },
  reindex: { bad: ["reindex table t", "reindex index i"], good: [alone("reindex table concurrently t")] },
  "lock-table": { bad: ["lock table t", "lock t in share mode"], good: ["lock t in row share mode"] },
  "all-rows": {
    bad: ["update t set a = 1", "delete from t", "delete from t where true"],
    good: ["update t set a = 1 where id = 1", "create table n (a int); update n set a = 1"],
  },
  truncate: { bad: ["truncate t"], good: ["create table n (); truncate n"] },
  "disable-trigger": {
    bad: ["alter table t disable trigger all"],
    good: ["alter table t enable trigger all", "create trigger x after insert on t execute function f()"],
  },
  "enum-value": {
    bad: ["alter type m add value 'x'"],
    good: [alone("alter type m add value if not exists 'x'")],
  },
  "several-tables": {
    bad: ["alter table t add c int; alter table u add c int"],
    good: [
      "alter table t add c int; alter table t add d int",
      "create table n (a int references u); alter table t add c int",
    ],
  },
  "allow-without-reason": { bad: ["-- plinth-lint: allow truncate\ntruncate t", "-- plinth-lint: allow"], good: [] },
  "allow-unused": {
    bad: [
      "-- plinth-lint: allow truncate because it is empty\nselect 1",
      "truncate t -- plinth-lint: allow truncate because it is empty",
      "-- plinth-lint: allow everything because I say so",
    ],
    good: ["select 1; -- plinth-lint: allow truncate because it is empty\n\n/* so */ truncate t"],
  },
};

describe("the lint of migrations", () => {
  for (const { id } of lintRules) {
    test(`${id}: finds what it is about, and leaves alone what is well`, async () => {
      const given = cases[id];
      assert.ok(given, "every rule has its cases");
      for (const text of given.bad) assert.ok((await rulesOf(text)).includes(id), text);
      for (const text of given.good) assert.ok(!(await rulesOf(text)).includes(id), text);
    });
  }

  test("what is well has no finding at all", async () => {
    const fine = [
      "create table n (id int primary key, t int references t, check (id > 0)); create index on n (id); insert into n values (1)",
      "alter table t add column c int; comment on column t.c is 'x'; alter table t set (fillfactor = 70)",
      "create table p (a int) partition by range (a); create table p1 partition of p for values from (1) to (2); alter table p attach partition p2 default",
      "create materialized view v as select 1; grant select on t to public; do $$ begin drop table t; end $$",
    ];
    for (const text of fine) assert.deepEqual(await rulesOf(text), [], text);
  });

  test("a check that was validated makes set not null instant", async () => {
    const add = "alter table t add constraint k check (a is not null) not valid";
    const validate = "alter table t validate constraint k";
    const set = "alter table t alter a set not null";
    assert.deepEqual(await rulesOf(set, add, validate), []);
    assert.deepEqual(await rulesOf(set, add), ["set-not-null"]);
    assert.deepEqual(
      (await lint([add, validate, set])).flatMap(({ findings }) => findings),
      [],
    );
    assert.deepEqual(await rulesOf("alter table t alter b set not null", add, validate), ["set-not-null"]);
  });

  test("a table that another pending step makes is not big", async () => {
    const steps = await lint([
      "create table shop.n (a int)",
      "create index on n (a); alter table n drop column a",
      "drop table n; truncate n",
    ]);
    assert.deepEqual(
      steps.map(({ findings }) => findings.map(({ rule }) => rule)),
      [[], [], ["truncate"]],
    );
    assert.deepEqual(steps[1]?.locks, []);
  });

  test("a table that an applied step made stays big when a pending one makes it if it is not there", async () => {
    const again = "create table if not exists shop.t (id int); create index if not exists i on t (a)";
    const index = "create index i on t (a)";
    assert.deepEqual(await rulesOf(`${again}; alter table t drop column b; drop index i`, index), [
      "create-index",
      "drop-column",
      "drop-index",
    ]);
    assert.deepEqual(await rulesOf("create table if not exists n (a int); alter table n drop column a"), []);
    assert.deepEqual(await rulesOf("create table t (a int); alter table t drop column a", "drop table t"), []);
    assert.deepEqual(await rulesOf("create or replace view v as select 1; drop view v", "create view v as select 2"), [
      "drop-view",
    ]);
  });

  test("an exception is for the statement that follows it, and for no other", async () => {
    const allow = (column: string) => `-- plinth-lint: allow drop-column because nobody reads ${column}`;
    const drop = (column: string) => `alter table t drop column ${column};`;
    const found = async (...lines: string[]) =>
      (await lint([lines.join("\n")])).flatMap(({ findings }) => findings.map(({ rule, line }) => `${rule} ${line}`));
    assert.deepEqual(await found(allow("a"), drop("a"), drop("b")), ["drop-column 3"]);
    assert.deepEqual(await found(allow("a"), drop("a"), allow("b"), drop("b")), []);
    assert.deepEqual(await found(allow("a"), `${drop("a")} ${drop("b")}`), ["drop-column 2"]);
    assert.deepEqual(await found(drop("a"), allow("a")), ["drop-column 1", "allow-unused 2"]);
    const several = "-- plinth-lint: allow several-tables because both are small";
    const rows = "-- plinth-lint: allow truncate because its rows may go";
    assert.deepEqual(await found(rows, "truncate t;", several, rows, "truncate u"), []);
    assert.deepEqual(await found(several, rows, "truncate t;", rows, "truncate u"), [
      "allow-unused 1",
      "several-tables 5",
    ]);
    assert.deepEqual(await found(allow("a"), "-- and b", "alter table t drop column a, drop column b"), []);
  });

  test("a finding says where: the line of the statement, after its comments, in any language", async () => {
    const text = "-- ключ → ü\nselect 'ä→𝄞';\n\n/* a\n b */\n-- why\ntruncate t;\ntruncate u";
    const [step] = await lint([text]);
    assert.deepEqual(
      step?.findings.map(({ line, table }) => [line, table]),
      [
        [7, "t"],
        [8, "u"],
        [8, "t, u"],
      ],
    );
    const [broken] = await lint(["select 1;\n\nselect from from"]);
    assert.deepEqual(
      broken?.findings.map(({ rule, line, level }) => [rule, line, level]),
      [["syntax", 3, "error"]],
    );
    assert.match(broken?.findings[0]?.why ?? "", /syntax error at or near "from"/);
  });

  test("the locks of a step are the strongest for each table that was there", async () => {
    const [step] = await lint([
      "alter table t validate constraint k; alter table t add c int; create table n (u int references u); update u set id = 1 where id = 2",
    ]);
    assert.deepEqual(step?.locks, [
      { table: "t", lock: "ACCESS EXCLUSIVE" },
      { table: "u", lock: "SHARE ROW EXCLUSIVE" },
    ]);
    assert.deepEqual(
      (["ACCESS EXCLUSIVE", "SHARE", "SHARE UPDATE EXCLUSIVE", "ROW EXCLUSIVE"] as const).map(blockedBy),
      ["reads and writes", "writes", "other changes of it", "nothing"],
    );
  });

  test("a step in code is not looked at", async () => {
    const steps = await readMigrations([{ name: "0001-code", run: async () => {} }]);
    const linted = await lintSteps(steps, { schema: "shop", isPending: () => true });
    assert.deepEqual(linted.get(1), { findings: [], locks: [] });
  });
});
