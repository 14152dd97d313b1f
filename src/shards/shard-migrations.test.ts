import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId, StartError } from "../base/index.ts";
import type { Database, Migration } from "../database/index.ts";
import { createDatabase, migrate } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import { readBuckets } from "./bucket-map.ts";
import { citusStatements } from "./citus.ts";
import { bankMigrations, openBank, shardBy } from "./fixtures/bank.ts";
import { embedded } from "./fixtures/drivers.ts";
import { planRebalance } from "./rebalance.ts";
import { migrateShards } from "./shard-migrations.ts";
import { nameFor } from "./sharded-table.ts";
import { shardsStatus } from "./status.ts";

const [main, b] = [embedded(), embedded()];
before(() => Promise.all([main.open(), b.open()]));
after(() => Promise.all([main.close(), b.close()]));

const schemaName = () => `m_${newId().replaceAll("-", "")}`;
const oneShard = (schema = schemaName()) => ({
  directory: createDatabase({ driver: main, schema: `${schema}_dir` }),
  shards: new Map([["main", createDatabase({ driver: main, schema })]]),
  service: "bank",
});

/** What is said about a schema, line by line. */
async function problemsOf(script: string, by: Record<string, string>): Promise<readonly string[]> {
  const migrations: readonly Migration[] = [{ name: "0001-all", sql: script }];
  try {
    await migrateShards({ ...oneShard(), shardBy: by, migrations });
  } catch (thrown) {
    if (thrown instanceof StartError && thrown.reason === "SHARD_TABLE_WRONG") return thrown.problems;
    throw thrown;
  }
  return [];
}

describe("migrateShards", () => {
  it("gives a new service's buckets to the first shard, or spreads them; and changes nothing when it runs again", async () => {
    const shards = new Map([
      ["main", main],
      ["b", b],
    ]);
    const first = await openBank({ directory: main, shards });
    const rows = await readBuckets(first.directory, "bank");
    assert.equal(rows.filter(({ shard }) => shard === "main").length, 1024);
    const spread = await openBank({ directory: main, shards, spread: true });
    const counts = (await readBuckets(spread.directory, "bank")).filter(({ shard }) => shard === "b").length;
    assert.equal(counts, 512);
    const options = {
      directory: spread.directory,
      shards: spread.databases,
      service: "bank",
      shardBy,
      migrations: bankMigrations,
    };
    const applied = await Promise.all([migrateShards(options), migrateShards(options)]);
    assert.deepEqual(
      applied.map((each) => [...each.values()].flat()),
      [[], []],
    );
    const open = await spread.on("b").sql`select count(*) as n from plinth_fence where state = 'open'`;
    assert.deepEqual(open, [{ n: 512 }]);
  });

  it("refuses two names for one database, one of another directory, a shard without an address, and too many", async () => {
    const schema = schemaName();
    const db = createDatabase({ driver: main, schema });
    const directory = createDatabase({ driver: main, schema: `${schema}_dir` });
    const run = (names: readonly string[], where: Database = directory) =>
      migrateShards({
        directory: where,
        shards: new Map(names.map((name) => [name, db])),
        service: "bank",
        shardBy,
        migrations: bankMigrations,
      });
    await run(["main"]);
    await assert.rejects(
      run(["main", "twin"]),
      /shard twin of bank: its database says it is shard main of bank; correct/,
    );
    await assert.rejects(
      run(["main"], createDatabase({ driver: main, schema: `${schema}_other` })),
      /in another directory/,
    );
    await assert.rejects(run(["other"]), /has buckets on main, and no address for it/);
    await assert.rejects(run([]), /has 0 shards: name 1 to 64/);
    await assert.rejects(run(Array.from({ length: 65 }, (_, i) => `s${i}`)), { reason: "SHARD_COUNT" });
  });

  it("refuses shards whose tables differ", async () => {
    const schema = schemaName();
    const [one, two] = [main, b].map((driver) => createDatabase({ driver, schema })) as [Database, Database];
    await migrate(two, [{ name: "0001-early", sql: "create table t (k text primary key, other int)" }], {
      set: "by-hand",
    });
    const shards = new Map([
      ["main", one],
      ["b", two],
    ]);
    const migrations = [{ name: "0001-t", sql: "create table if not exists t (k text primary key)" }];
    const directory = createDatabase({ driver: main, schema: `${schema}_dir` });
    const refused = migrateShards({ directory, shards, service: "x", shardBy: { t: "k" }, migrations });
    await assert.rejects(refused, /tables of b have other columns, constraints or unique indexes than those of main/);
  });

  it("refuses tables that could not move, and says what to do about each", async () => {
    const cases: readonly (readonly [script: string, by: Record<string, string>, says: RegExp])[] = [
      ["create table t (k text primary key)", { u: "k" }, /shardBy names u, and shard main has no such table/],
      ["create table t (k text primary key)", { t: "key" }, /table t has no column key/],
      ["create table t (k text not null)", { t: "k" }, /table t has no primary key/],
      ["create table t (id int primary key, k text)", { t: "k" }, /t\.k may be NULL/],
      ["create table t (k timestamptz primary key)", { t: "k" }, /a shard key is text, varchar, uuid or an integer/],
      ["create table t (k text, n serial, primary key (k, n))", { t: "k" }, /t\.n draws from a sequence/],
      ["create table t (k text, n int generated always as identity, primary key (k, n))", { t: "k" }, /newId\(\)/],
      [
        "create table t (k text primary key, mail text unique)",
        { t: "k" },
        /unique by t_mail_key \(mail\) within one shard only/,
      ],
      [
        "create table t (k text primary key, mail text); create unique index one_mail on t (mail) include (k)",
        { t: "k" },
        /unique by one_mail \(mail\) within one shard only/,
      ],
      [
        "create table r (id int primary key); create table t (k text primary key, r int references r)",
        { t: "k" },
        /refers to r \(t_r_fkey\), which is not sharded/,
      ],
      [
        "create table t (k text primary key); create table u (k text references t)",
        { t: "k" },
        /table u refers to t, which is sharded/,
      ],
      [
        "create table t (k text primary key, id int unique); create table u (k text primary key, t int references t (id))",
        { t: "k", u: "k" },
        /without its shard key: make it \(k, …\) references t \(k, …\)/,
      ],
      [
        "create table t (k text primary key, u text); create table u (k text primary key references t); alter table t add foreign key (k) references u",
        { t: "k", u: "k" },
        /refer to each other in a circle/,
      ],
      ["create table t (k text primary key) partition by hash (k)", { t: "k" }, /is no plain table/],
      [
        "create table t (k text primary key); create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger loud after insert on t for each row execute function f()",
        { t: "k" },
        /has the trigger loud/,
      ],
    ];
    for (const [script, by, says] of cases) {
      const problems = await problemsOf(script, by);
      assert.match(problems.join("\n"), says, script);
    }
    const fine = `create table a (k uuid primary key, parent uuid references a (k)); create table c (k uuid, id uuid, primary key (k, id), foreign key (k) references a (k));
      create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger touch before update on a for each row execute function f()`;
    assert.match(
      (await problemsOf(fine, { a: "k", c: "k" })).join(),
      /refers to a \(a_parent_fkey\) without its shard key/,
    );
    assert.deepEqual(
      await problemsOf(fine.replace("parent uuid references a (k)", "parent uuid"), { c: "k", a: "k" }),
      [],
    );
  });

  it("guards tables whatever their names contain", async () => {
    const sql = `create table "x$guard$" ("k$guard0$y" text not null, id text, primary key ("k$guard0$y", id))`;
    const schema = schemaName();
    const database = createDatabase({ driver: main, schema });
    await migrateShards({
      directory: createDatabase({ driver: main, schema: `${schema}_dir` }),
      shards: new Map([["main", database]]),
      service: "odd",
      shardBy: { x$guard$: "k$guard0$y" },
      migrations: [{ name: "0001-odd", sql }],
    });
    await database.sql`insert into "x$guard$" values ('ann', '1')`;
    await database.sql`update plinth_fence set state = 'away'`;
    await assert.rejects(database.sql`insert into "x$guard$" values ('ann', '2')`);
  });

  it("refuses unsafe steps when it is asked to", async () => {
    const schema = schemaName();
    const more = { name: "0002-index", sql: "create index slow on entries (amount)" };
    const run = (migrations: readonly Migration[], lint?: "refuse") =>
      migrateShards({
        directory: createDatabase({ driver: main, schema: `${schema}_dir` }),
        shards: new Map([["main", createDatabase({ driver: main, schema })]]),
        service: "bank",
        shardBy,
        migrations,
        ...(lint && { lint }),
      });
    await run(bankMigrations, "refuse");
    await assert.rejects(run([...bankMigrations, more], "refuse"), { reason: "MIGRATION_UNSAFE" });
    assert.deepEqual((await run([...bankMigrations, more])).get("main"), ["0002-index"]);
  });

  it("tags the platform's rows with the key they were written for", async () => {
    const bank = await openBank({
      directory: main,
      shards: new Map([["main", main]]),
      prepare: (db) =>
        migrate(
          db,
          [
            {
              name: "0001-inbox",
              sql: "create table plinth_inbox (id text primary key); create table plinth_outbox (id text primary key, published_at timestamptz)",
            },
          ],
          { set: "events" },
        ),
    });
    await bank.db.at("ann").transaction(async (tx) => {
      await tx.sql`insert into plinth_inbox (id) values ('m1')`;
      await tx.sql`insert into plinth_outbox (id) values ('e1')`;
    });
    await bank.on("main").sql`insert into plinth_inbox (id) values ('m2')`;
    await migrateShards({ directory: bank.directory, shards: bank.databases, service: "bank", shardBy });
    assert.deepEqual(await bank.on("main").sql`select id, shard_key from plinth_inbox order by id`, [
      { id: "m1", shard_key: "ann" },
      { id: "m2", shard_key: null },
    ]);
    assert.deepEqual(await bank.on("main").sql`select shard_key from plinth_outbox`, [{ shard_key: "ann" }]);
    const sweep = () => bank.on("main").sql`delete from plinth_inbox where id in ('m1', 'm2') returning id`;
    await bank.on("main").transaction(async (tx) => {
      await tx.sql`insert into plinth_inbox (id, shard_key) values ('m3', 'bob')`;
    });
    const annBucket = bucketOf("ann");
    await bank.on("main").sql`update plinth_fence set state = 'fenced' where bucket = ${annBucket}`;
    assert.deepEqual(await sweep(), [{ id: "m2" }], "a row of a closed bucket does not keep the others");
    await bank.on("main").sql`update plinth_fence set state = 'open' where bucket = ${annBucket}`;
    assert.deepEqual(await sweep(), [{ id: "m1" }]);
    await bank.db.at("bob").sql`update plinth_inbox set id = id || '!'`;
    await bank.db.at("bob").sql`delete from plinth_inbox`;
  });
});

describe("the status of shards", () => {
  it("shows buckets, what is behind, and where a fence says otherwise", async () => {
    const bank = await openBank({
      directory: main,
      shards: new Map([
        ["main", main],
        ["b", b],
      ]),
      spread: true,
    });
    const ask = (shards = bank.databases) => shardsStatus({ directory: bank.directory, shards, service: "bank" });
    const fine = await ask();
    assert.deepEqual(
      fine.shards.map(({ name, buckets, migration, isBehind, problems }) => [
        name,
        buckets.length,
        migration,
        isBehind,
        problems,
      ]),
      [
        ["b", 512, 1, false, []],
        ["main", 512, 1, false, []],
      ],
    );
    await migrate(bank.on("main"), [...bankMigrations, { name: "0002-more", sql: "create table more (id int)" }]);
    await bank.on("b").sql`update plinth_fence set state = 'away' where bucket = 1023`;
    await bank.on("b").sql`update plinth_fence set state = 'open' where bucket = 3`;
    const [behind] = (await ask()).shards;
    assert.equal(behind?.isBehind, true);
    assert.deepEqual(behind?.problems, [
      "1 of its buckets are not open, such as 1023",
      "1 buckets of others are open, such as 3",
    ]);
    const blind = await ask(
      new Map([
        ["main", bank.on("main")],
        ["new", createDatabase({ driver: b, schema: schemaName() })],
      ]),
    );
    assert.deepEqual(
      blind.shards.map(({ name, problems }) => [name, problems]),
      [
        ["b", ["has no address in DATABASE_SHARDS"]],
        ["main", []],
        ["new", ["was never migrated"]],
      ],
    );
  });
});

describe("a plan to rebalance", () => {
  const rows = (owners: readonly string[]) => owners.map((shard, bucket) => ({ bucket, shard, epoch: 1 }));
  it("moves the fewest buckets until no two shards differ by more than one", () => {
    assert.deepEqual(planRebalance(rows(["a", "a", "a", "a", "a"]), ["a", "b"]), [
      { from: "a", to: "b", buckets: [3, 4] },
    ]);
    assert.deepEqual(planRebalance(rows(["b", "a", "a", "b", "b"]), ["a", "b"]), []);
    const big = planRebalance(rows(Array.from({ length: 1024 }, (_, i) => (i < 512 ? "a" : "b"))), [
      "a",
      "b",
      "c",
      "d",
    ]);
    assert.deepEqual(
      big.map(({ from, to, buckets }) => [from, to, buckets.length]),
      [
        ["a", "c", 256],
        ["b", "d", 256],
      ],
    );
  });
  it("refuses to empty a shard that was forgotten, and empties one that leaves", () => {
    assert.throws(() => planRebalance(rows(["a", "b", "old", "old"]), ["a", "b"]), { reason: "SHARD_MISSING" });
    assert.deepEqual(planRebalance(rows(["a", "b", "old", "old"]), ["a", "b"], ["old"]), [
      { from: "old", to: "a", buckets: [2] },
      { from: "old", to: "b", buckets: [3] },
    ]);
  });
});

describe("for Citus", () => {
  it("the same declaration names distributed tables, colocated by their key", () => {
    assert.deepEqual(citusStatements("shop's", { accounts: "id", sessions: "account_id" }), [
      `select create_distributed_table('"shop''s"."accounts"', 'id', shard_count => 32)`,
      `select create_distributed_table('"shop''s"."sessions"', 'account_id', colocate_with => '"shop''s"."accounts"')`,
    ]);
    assert.deepEqual(citusStatements("s", {}), []);
  });
});

it("a name for something of a table never exceeds what PostgreSQL keeps", () => {
  assert.equal(nameFor("plinth_guard", "t"), "plinth_guard_t");
  const long = nameFor("plinth_guard", "x".repeat(63));
  assert.ok(long.length <= 63 && long !== nameFor("plinth_guard", "x".repeat(62)));
});
