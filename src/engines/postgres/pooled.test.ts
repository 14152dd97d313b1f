import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anonymous, CallScope, isError, StartError, systemClock } from "../../base/index.ts";
import type { Database, DatabaseDriver } from "../../database/index.ts";
import { createDatabase, databaseDetail, migrate, sql } from "../../database/index.ts";
import { createPostgresDriver } from "./database.ts";
import type { TestPgBouncer } from "./pgbouncer.fixture.ts";
import { skipWithoutPgBouncer, startPgBouncer } from "./pgbouncer.fixture.ts";
import type { TestPostgres } from "./server.fixture.ts";
import { skipWithoutPostgresBinaries, startPostgres } from "./server.fixture.ts";

const skip = skipWithoutPostgresBinaries || skipWithoutPgBouncer;

/** Two connections of the server for all: whoever leaves something behind is found out at once. */
describe("behind PgBouncer in transaction mode", { skip }, () => {
  let server: TestPostgres;
  let pooler: TestPgBouncer;
  let driver: DatabaseDriver;
  before(async () => {
    if (skip) return;
    server = await startPostgres();
    pooler = await startPgBouncer({ server: server.url, settings: { default_pool_size: "2" } });
    driver = createPostgresDriver(pooler.url);
    await driver.open();
    await server.adminQuery(
      "create schema one; create schema two; create table one.item (id int); create table two.item (id text)",
    );
  });
  after(async () => {
    await driver?.close();
    await pooler?.dispose();
    await server?.dispose();
  });
  const on = (schema: string, using = driver): Database => createDatabase({ driver: using, schema });
  const clean = { path: '"$user", public', statement: "0", idle: "0", zone: "UTC" };

  test("two schemas share the server's connections, and each finds its own names", async () => {
    const [one, two] = [on("one"), on("two")];
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        if (i % 3 === 0) await one.sql`insert into item values (${i})`;
        if (i % 3 === 1) await two.sql`insert into item values (${`t${i}`})`;
        if (i % 3 === 2)
          await one.transaction(async (tx) => {
            await tx.sql`insert into item values (${i})`;
            await systemClock.sleep(2);
            await tx.transaction((inner) => inner.sql`insert into item values (${i})`);
          });
      }),
    );
    assert.deepEqual(await one.sql`select count(*) as n from item`, [{ n: 60 }]);
    assert.deepEqual(await two.sql`select count(*) as n from item where id like 't%'`, [{ n: 20 }]);
    const [pids] = await server.adminQuery<{ n: string }>(
      "select count(*) as n from pg_stat_activity where client_port is not null and application_name <> 'plinth-admin'",
    );
    assert.ok(Number(pids?.n) <= 2, `${pids?.n} connections`);
  });

  test("limits hold at the server, and nothing is left for the next client", async () => {
    const quick = createPostgresDriver(pooler.url, { statementTimeoutMs: 100, idleInTransactionMs: 150 });
    await quick.open();
    try {
      const db = on("one", quick);
      await assert.rejects(db.sql`select pg_sleep(5)`, (thrown) => isError(thrown, "STATEMENT_TIMEOUT"));
      await assert.rejects(
        db.transaction((tx) => tx.sql`select pg_sleep(5)`),
        (thrown) => isError(thrown, "STATEMENT_TIMEOUT"),
      );
      await assert.rejects(
        db.session((session) => session.script("select 1; select pg_sleep(5)")),
        (thrown) => isError(thrown, "STATEMENT_TIMEOUT"),
      );
      await assert.rejects(
        db.transaction(async (tx) => {
          await systemClock.sleep(400);
          await tx.sql`select 1`;
        }),
      );
    } finally {
      await quick.close();
    }
    const plain = new (await import("pg")).default.Client({ connectionString: pooler.url.href });
    await plain.connect();
    for (let i = 0; i < 10; i++) {
      const { rows } = await plain.query(
        "select current_setting('search_path') as path, current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle, 'UTC' as zone",
      );
      assert.deepEqual(rows, [clean]);
    }
    await plain.end();
  });

  test("a statement whose call is cancelled ends at the server", async () => {
    const scope = new CallScope({ principal: anonymous, caller: "test", deadline: systemClock.now() + 100 });
    await assert.rejects(
      on("one").bind(scope).sql`select pg_sleep(20)`,
      (thrown) => isError(thrown, "deadline_exceeded") && thrown.executed === "no",
    );
    const running = await server.adminQuery(
      "select 1 from pg_stat_activity where query like 'select pg_sleep(20)%' and state = 'active'",
    );
    assert.deepEqual(running, []);
  });

  test("what would stay on the session is refused, with what to do instead", async () => {
    const db = on("one");
    const refused: [string, RegExp][] = [
      ["set search_path to two", /setting of the session.*set local.*direct=HOST:PORT/],
      ["reset all", /setting/],
      ["-- harmless?\nset session statement_timeout to 0", /setting/],
      ["select set_config('search_path', 'two', false)", /true as its third argument/],
      ["select pg_advisory_lock(1)", /pg_advisory_xact_lock/],
      ["select pg_try_advisory_lock(1)", /pg_advisory_xact_lock/],
      ["create temp table scratch (id int)", /on commit drop/],
      ["listen news", /LISTEN/],
      ["prepare p as select 1", /prepared statement/],
      ["load 'auto_explain'", /LOAD/],
    ];
    for (const [text, pattern] of refused) {
      for (const act of [
        () => db.execute(sql.unsafe(text)),
        () => db.transaction((tx) => tx.execute(sql.unsafe(text))),
        () => db.session((session) => session.script(`select 1; ${text}`)),
      ]) {
        await assert.rejects(act(), (thrown) => {
          assert.ok(isError(thrown, "SESSION_STATE_REFUSED"), `${text}: ${thrown}`);
          assert.match(databaseDetail(thrown)?.message ?? "", pattern);
          return true;
        });
      }
    }
    await db.transaction(async (tx) => {
      await tx.sql`set local statement_timeout to 1000`;
      await tx.sql`select set_config('search_path', ${"two"}, true), pg_advisory_xact_lock(1)`;
      await tx.script("create temp table scratch (id int) on commit drop; set constraints all deferred");
    });
    await assert.rejects(
      db.transaction((tx) => tx.script("declare c cursor with hold for select 1")),
      (thrown) => isError(thrown, "SESSION_STATE_REFUSED"),
    );
  });

  test("migrations are refused without a way past the pooler, and take it when there is one", async () => {
    assert.equal(driver.flags.sessionState, false);
    const steps = [{ name: "0001-thing", sql: "create table thing (id int)" }];
    await assert.rejects(migrate(on("three"), steps), (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.equal(thrown.reason, "MIGRATION_POOLED");
      assert.match(thrown.message, /three.*direct=db\.internal:5432/);
      return true;
    });
    const url = new URL(pooler.url);
    url.searchParams.set("direct", `127.0.0.1:${server.port}`);
    const both = createPostgresDriver(url);
    await both.open();
    try {
      assert.equal(both.flags.sessionState, true);
      const db = on("three", both);
      assert.equal((await migrate(db, steps)).length, 1);
      await db.sql`insert into thing values (1)`;
      const port = () =>
        db.session(
          (session) => session.sql`select inet_server_port() as port, current_schemas(false)::text[] as path`,
          { pinned: true },
        );
      assert.deepEqual(await port(), [{ port: server.port, path: ["three", "public"] }]);
      await db.session(
        async (session) => {
          await session.sql`set work_mem to '5MB'`;
          assert.deepEqual(await session.sql`show work_mem`, [{ work_mem: "5MB" }]);
          await session.sql`reset work_mem`;
        },
        { pinned: true },
      );
    } finally {
      await both.close();
    }
  });

  test("the pool heals when the server is back", async () => {
    // PgBouncer lets its clients wait for the server, so their own limits end them.
    const db = createDatabase({ driver, schema: "one", statementTimeoutMs: 500 });
    const failed = (thrown: unknown): boolean =>
      isError(thrown, "unavailable") || isError(thrown, "STATEMENT_TIMEOUT") || isError(thrown, "DATABASE_ERROR");
    await server.stop("immediate");
    await assert.rejects(db.sql`select 1`, failed);
    await server.start();
    const endsAt = systemClock.now() + 10_000;
    for (;;) {
      try {
        await db.sql`select 1`;
        break;
      } catch (thrown) {
        assert.ok(failed(thrown) && systemClock.now() < endsAt, `not healed: ${thrown}`);
        await systemClock.sleep(100);
      }
    }
  });
});
