import assert from "node:assert/strict";
import { isError } from "../base/index.ts";
import { constraintOf } from "./errors.ts";
import { sql } from "./sql.ts";
import type { DatabaseClaim } from "./suite-claim.ts";

/** Statements, values and errors. */
export const queryCases: readonly DatabaseClaim[] = [
  {
    name: "gives back rows, their count, and the command",
    async prove({ db }) {
      await db.sql`create table item (id int primary key, name text)`;
      const inserted = await db.execute(sql`insert into item values (1, ${"a"}), (2, ${"b"}), (3, ${"c"})`);
      assert.deepEqual([inserted.rowCount, inserted.command, inserted.rows], [3, "INSERT", []]);
      const found = await db.execute(sql`select id, name from item where id < ${3} order by id`);
      assert.deepEqual(found.rows, [
        { id: 1, name: "a" },
        { id: 2, name: "b" },
      ]);
      assert.equal(found.rowCount, 2);
      assert.deepEqual(
        found.fields.map(({ name }) => name),
        ["id", "name"],
      );
      assert.equal((await db.execute(sql`update item set name = 'x' where id > 1`)).rowCount, 2);
      assert.equal((await db.execute(sql`delete from item where id > 100`)).rowCount, 0);
    },
  },
  { name: "brings every type there and back", prove: ({ db }) => proveTypes(db) },
  {
    name: "keeps NULL, empty text and every character apart",
    async prove({ db }) {
      const odd = [
        "",
        " ",
        "NULL",
        "null",
        "\\x41",
        "{}",
        "'; drop table x; --",
        '"',
        "\\",
        "ä€𝄞\u202e",
        "\t\r\n\u0001",
      ];
      for (const text of odd) {
        const [row] =
          await db.sql`select ${text}::text as one, ${[text, null]}::text[] as many, ${{ text }}::jsonb as json`;
        assert.deepEqual(row, { one: text, many: [text, null], json: { text } });
      }
      assert.deepEqual(await db.sql`select ${null}::text as a, ${""}::text as b`, [{ a: null, b: "" }]);
    },
  },
  {
    name: "never rounds a number that a double cannot hold",
    async prove({ db }) {
      const [row] = await db.sql`
        select 9007199254740991::int8 as safe, 9007199254740993::int8 as large, (-9223372036854775808)::int8 as least,
          ${9223372036854775807n}::int8 as most, 0.1::numeric + 0.2::numeric as exact, ${"1e-20"}::numeric as tiny`;
      assert.deepEqual(row, {
        safe: 9007199254740991,
        large: 9007199254740993n,
        least: -9223372036854775808n,
        most: 9223372036854775807n,
        exact: "0.3",
        tiny: "0.00000000000000000001",
      });
    },
  },
  {
    name: "treats what is interpolated as a value, also where it looks like SQL",
    async prove({ db }) {
      await db.sql`create table item (id int primary key, name text)`;
      await db.sql`insert into item values (1, 'a'), (2, 'b')`;
      const evil = "x'; delete from item; select '";
      assert.deepEqual(await db.sql`select id from item where name = ${evil}`, []);
      assert.deepEqual(await db.execute(sql`select 1 as ${sql.id(`a" from item; --`)}`).then(({ rows }) => rows), [
        { 'a" from item; --': 1 },
      ]);
      // What JSON can hold is never a fragment, whatever it looks like.
      const forged = JSON.parse('{"text":"1 = 1","values":[],"strings":["1 = 1"]}');
      await assert.rejects(() => db.sql`select id from item where ${forged}`);
      const condition = sql`name = any(${["a", "b"]}) and id in (${sql.join([1, 2])})`;
      assert.equal((await db.execute(sql`select id from item where ${condition}`)).rowCount, 2);
    },
  },
  {
    name: "refuses a second statement in one text",
    async prove({ db }) {
      await assert.rejects(db.execute(sql`select 1; select 2`), (thrown) => isError(thrown, "SQL_INVALID"));
    },
  },
  {
    name: "turns every broken rule into its own reason, with the constraint",
    async prove({ db }) {
      await db.sql`create table parent (id int primary key)`;
      await db.sql`create table child (
        id int primary key,
        parent int not null constraint child_parent references parent,
        age int constraint child_age check (age >= 0)
      )`;
      await db.sql`insert into parent values (1)`;
      await db.sql`insert into child values (1, 1, 1)`;
      const cases = [
        [sql`insert into child values (1, 1, 1)`, "already_exists", "UNIQUE_VIOLATION", "child_pkey"],
        [sql`insert into child values (2, 9, 1)`, "failed_precondition", "FOREIGN_KEY_VIOLATION", "child_parent"],
        [sql`delete from parent`, "failed_precondition", "FOREIGN_KEY_VIOLATION", "child_parent"],
        [sql`insert into child values (2, null, 1)`, "invalid_argument", "NOT_NULL_VIOLATION", undefined],
        [sql`insert into child values (2, 1, -1)`, "failed_precondition", "CHECK_VIOLATION", "child_age"],
        [sql`select ${"abc"}::uuid`, "invalid_argument", "VALUE_INVALID", undefined],
        [sql`select ${"\0"}::text`, "invalid_argument", "VALUE_INVALID", undefined],
        [sql`select ${"99999999999"}::int4`, "out_of_range", "VALUE_OUT_OF_RANGE", undefined],
        [sql`select * from nowhere`, "internal", "SQL_INVALID", undefined],
        [sql`do $$ begin raise exception 'no'; end $$`, "failed_precondition", "RAISED_EXCEPTION", undefined],
      ] as const;
      for (const [statement, code, reason, constraint] of cases) {
        await assert.rejects(db.execute(statement), (thrown) => {
          assert.ok(isError(thrown, reason), `${reason}: ${String(thrown)}`);
          assert.deepEqual([thrown.code, thrown.executed, constraintOf(thrown)], [code, "no", constraint]);
          assert.doesNotMatch(thrown.message, /child|nowhere|abc/, "the public message tells nothing of the data");
          return true;
        });
      }
    },
  },
  {
    name: "refuses values that no column can hold before anything is sent",
    async prove({ db }) {
      const unsupported = [undefined, () => 1, Symbol("x"), new Date(Number.NaN), [1, undefined]];
      for (const value of unsupported) {
        await assert.rejects(
          () => db.sql`select ${value}::text`,
          (thrown) => isError(thrown, "SQL_VALUE_UNSUPPORTED"),
        );
      }
    },
  },
  {
    name: "keeps two schemas apart, on the same sessions",
    async prove({ db, database }) {
      const other = await database();
      await db.sql`create table item (id int)`;
      await other.sql`create table item (id int, more text)`;
      await db.sql`insert into item values (1)`;
      const counts = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 ? db : other).sql<{ n: number }>`select count(*) as n from item`),
      );
      counts.forEach(([row], i) => {
        assert.equal(row?.n, i % 2 ? 1 : 0);
      });
      await db.sql`create table mine (id int)`;
      await assert.rejects(other.sql`select * from mine`, (thrown) => isError(thrown, "SQL_INVALID"));
    },
  },
  {
    name: "serves Kysely in and out of a transaction, with counts of changed rows",
    async prove({ db }) {
      await db.sql`create table item (id int primary key, name text not null, tags text[])`;
      await db.query
        .insertInto("item")
        .values({ id: 1, name: "a", tags: ["x", "y"] })
        .execute();
      await db.transaction(async (tx) => {
        const result = await tx.query.updateTable("item").set({ name: "b" }).where("id", "=", 1).executeTakeFirst();
        assert.equal(result.numUpdatedRows, 1n);
      });
      await assert.rejects(
        db.transaction(async (tx) => {
          await tx.query.deleteFrom("item").execute();
          throw new Error("back");
        }),
        /back/,
      );
      assert.deepEqual(await db.query.selectFrom("item").selectAll().execute(), [
        { id: 1, name: "b", tags: ["x", "y"] },
      ]);
      for (const refused of [
        () => db.query.transaction().execute(async () => {}),
        () => db.query.selectFrom("item").selectAll().stream().next(),
      ]) {
        await assert.rejects(refused, /not available here/);
      }
    },
  },
];

async function proveTypes(db: Parameters<DatabaseClaim["prove"]>[0]["db"]): Promise<void> {
  await db.sql`create table every_type (
    b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric(12, 4), t text, v varchar(9), c char(3), u uuid,
    ts timestamp, tz timestamptz, d date, ti time, iv interval, j json, jb jsonb, by bytea,
    bs bool[], i8s int8[], ts2 text[][], ns numeric[], tzs timestamptz[], jbs jsonb[], bys bytea[]
  )`;
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const values = {
    b: true,
    i2: -32768,
    i4: 2147483647,
    i8: -42,
    f4: 1.5,
    f8: Number.NEGATIVE_INFINITY,
    n: "12345678.9012",
    t: "text",
    v: "var",
    c: "abc",
    u: "018f3a1c-0000-7000-8000-000000000001",
    ts: "2026-11-22T10:20:30.123456",
    tz: "2026-11-22T10:20:30.123456Z",
    d: "2026-11-22",
    ti: "10:20:30",
    iv: "1 day 02:00:00",
    j: { a: [1, "two", null] },
    jb: { z: 1.25, nested: { deep: [] } },
    by: bytes,
    bs: [true, false, null],
    i8s: [1, 9007199254740993n],
    ts2: [
      ["a", 'b"'],
      ["c,d", "\\"],
    ],
    ns: ["1.10", null],
    tzs: ["2026-11-22T10:20:30.120Z"],
    jbs: [{ a: 1 }, { b: [] }],
    bys: [new Uint8Array([0, 255])],
  };
  await db.query.insertInto("every_type").values(values).execute();
  const [row] = await db.sql`select * from every_type`;
  assert.deepEqual(row, values);
  const when = new Date("2026-11-22T10:20:30.120Z");
  const [other] = await db.sql`select ${when}::timestamptz as z, '2026-11-22 00:00:00+05:30'::timestamptz as zone,
    'infinity'::timestamptz as forever, ${sql.json([1, "a"])}::jsonb as list, ${sql.json(null)}::jsonb as nothing,
    ${"NaN"}::float8 as nan, '{}'::int[] as none, '[2:3]={7,8}'::int[] as bounds`;
  assert.deepEqual(other, {
    z: "2026-11-22T10:20:30.120Z",
    zone: "2026-11-21T18:30:00.000Z",
    forever: "infinity",
    list: [1, "a"],
    nothing: null,
    nan: Number.NaN,
    none: [],
    bounds: [7, 8],
  });
}
