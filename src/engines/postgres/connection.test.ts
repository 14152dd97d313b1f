import assert from "node:assert/strict";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { anonymous, CallScope, isError, StartError, systemClock } from "../../base/index.ts";
import type { Database, DatabaseDriver } from "../../database/index.ts";
import { createDatabase } from "../../database/index.ts";
import type { PostgresOptions } from "./database.ts";
import { createPostgresDriver } from "./database.ts";

const address = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = address ? false : 'PLINTH_TEST_POSTGRES_URL is not set: eval "$(scripts/engines.sh up postgres)"';

/** Tells apart the connections of one test. */
let names = 0;
const driverFor = (options: PostgresOptions = {}, url = new URL(address as string)): DatabaseDriver =>
  createPostgresDriver(url, { applicationName: `plinth-test-${process.pid}-${++names}`, ...options });

async function withDatabase(
  options: PostgresOptions,
  use: (db: Database, driver: DatabaseDriver) => Promise<void>,
): Promise<void> {
  const driver = driverFor(options);
  await driver.open();
  try {
    await use(createDatabase({ driver, schema: "public" }), driver);
  } finally {
    await driver.close();
  }
}

/** Between a driver and the server: forwards bytes until it is told to swallow what the server says. */
interface Proxy {
  readonly url: URL;
  swallow: boolean;
  /** Cuts every connection. */
  cut(): void;
  close(): Promise<void>;
}

async function createProxy(): Promise<Proxy> {
  const target = new URL(address as string);
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => {
      if (!proxy.swallow) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as { port: number }).port);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: Proxy = {
    url,
    swallow: false,
    cut,
    close: () => {
      cut();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
  return proxy;
}

describe("connections to Postgres", { skip }, () => {
  let other: DatabaseDriver;
  let admin: Database;
  before(async () => {
    if (skip) return;
    other = driverFor({ poolSize: 1 });
    await other.open();
    admin = createDatabase({ driver: other, schema: "public" });
  });
  after(() => other?.close());

  test("are one pool for all drivers of a process that mean the same server", async () => {
    const options = { applicationName: `plinth-test-shared-${process.pid}` };
    const [one, two] = [driverFor(options), driverFor(options)];
    await Promise.all([one.open(), two.open()]);
    assert.equal(one.stats.open, two.stats.open);
    await createDatabase({ driver: one, schema: "public" }).sql`select 1`;
    assert.equal(two.stats.open, 1);
    await one.close();
    await createDatabase({ driver: two, schema: "public" }).sql`select 1`;
    await two.close();
    await assert.rejects(two.acquire({ schema: "public", timeoutMs: 10 }), (thrown) =>
      isError(thrown, "DATABASE_UNAVAILABLE"),
    );
  });

  test("never grow beyond the pool's size, and name their process to the server", async () => {
    const applicationName = `plinth-test-size-${process.pid}`;
    await withDatabase({ poolSize: 3, applicationName }, async (db, driver) => {
      await Promise.all(Array.from({ length: 30 }, () => db.sql`select pg_sleep(0.005)`));
      const rows = await admin.sql`select 1 from pg_stat_activity where application_name = ${applicationName}`;
      assert.equal(rows.length, 3);
      assert.deepEqual([driver.stats.open, driver.stats.size, driver.stats.waiting], [3, 3, 0]);
    });
  });

  test("that the server ended while idle are replaced unseen", async () => {
    const applicationName = `plinth-test-idle-${process.pid}`;
    await withDatabase({ applicationName }, async (db, driver) => {
      // Long enough that no one of them ends before the last has its connection.
      await Promise.all(Array.from({ length: 4 }, () => db.sql`select pg_sleep(0.5)`));
      assert.equal(driver.stats.idle, 4);
      await admin.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${applicationName}`;
      await systemClock.sleep(100);
      assert.equal(driver.stats.open, 0);
      assert.deepEqual(await db.sql`select 1 as one`, [{ one: 1 }]);
    });
  });

  test("that the server ends in the middle say maybe outside of a transaction, and no inside", async () => {
    await withDatabase({}, async (db) => {
      const suicide = (run: Database["sql"]): Promise<unknown> =>
        run`select pg_terminate_backend(pg_backend_pid()), pg_sleep(5)`;
      await assert.rejects(
        suicide((...query) => db.sql(...query)),
        (thrown) => isError(thrown, "DATABASE_UNAVAILABLE") && thrown.executed === "maybe",
      );
      await assert.rejects(
        db.transaction((tx) => suicide((...query) => tx.sql(...query))),
        (thrown) => isError(thrown, "DATABASE_UNAVAILABLE") && thrown.executed === "no" && thrown.retry === "safe",
      );
      assert.deepEqual(await db.sql`select 1 as one`, [{ one: 1 }]);
    });
  });

  test("cut during COMMIT leave the outcome unknown, and everything else well", async () => {
    const proxy = await createProxy();
    const driver = driverFor({}, proxy.url);
    await driver.open();
    try {
      const schema = `plinth_test_commit_${process.pid}`;
      const db = createDatabase({ driver, schema, statementTimeoutMs: 300 });
      await admin.session((session) => session.script(`create schema ${schema}; create table ${schema}.item (id int)`));
      const committing = db.transaction(async (tx) => {
        await tx.sql`insert into item values (1)`;
        proxy.swallow = true;
      });
      await assert.rejects(
        committing,
        (thrown) => isError(thrown, "COMMIT_OUTCOME_UNKNOWN") && thrown.executed === "maybe",
      );
      proxy.swallow = false;
      assert.deepEqual(await db.sql`select id from item`, [{ id: 1 }], "here it had taken effect");
      await admin.session((session) => session.script(`drop schema ${schema} cascade`));
    } finally {
      await driver.close();
      await proxy.close();
    }
  });

  test("that go silent are cut after the deadline, and the answer is maybe", async () => {
    const proxy = await createProxy();
    const driver = driverFor({}, proxy.url);
    await driver.open();
    try {
      const db = createDatabase({ driver, schema: "public" });
      await db.sql`select 1`;
      proxy.swallow = true;
      const scope = new CallScope({ principal: anonymous, caller: "test", deadline: systemClock.now() + 50 });
      const startedAt = systemClock.now();
      await assert.rejects(
        db.bind(scope).sql`select 1`,
        (thrown) => isError(thrown, "deadline_exceeded") && thrown.executed === "maybe",
      );
      assert.ok(systemClock.now() - startedAt < 3_000);
      proxy.swallow = false;
      proxy.cut();
      assert.deepEqual(await db.transaction((tx) => tx.sql`select 1 as one`), [{ one: 1 }]);
    } finally {
      await driver.close();
      await proxy.close();
    }
  });

  test("left inside a transaction are thrown away", async () => {
    await withDatabase({ poolSize: 1 }, async (db) => {
      const [first] = await db.sql<{ pid: number }>`select pg_backend_pid() as pid`;
      await db.sql`begin`;
      const [second] = await db.sql<{ pid: number }>`select pg_backend_pid() as pid`;
      assert.notEqual(second?.pid, first?.pid);
      await assert.rejects(db.session((session) => session.script("begin; select * from nowhere")));
      await db.sql`select 1`;
      const [third] = await db.sql<{ pid: number }>`select pg_backend_pid() as pid`;
      assert.notEqual(third?.pid, second?.pid);
    });
  });

  test("are not used beyond their lifetime", async () => {
    await withDatabase({ poolSize: 1, lifetimeMs: 50 }, async (db) => {
      const pid = async () => (await db.sql<{ pid: number }>`select pg_backend_pid() as pid`)[0]?.pid;
      const first = await pid();
      await systemClock.sleep(80);
      assert.notEqual(await pid(), first);
    });
  });

  test("of a server that takes no writes are thrown away, and the caller may try again", async () => {
    await withDatabase({}, async (db) => {
      await assert.rejects(
        db.session(async (session) => {
          await session.sql`set default_transaction_read_only = on`;
          await session.sql`create table never ()`;
        }),
        (thrown) => isError(thrown, "DATABASE_READ_ONLY") && thrown.retry === "safe" && thrown.executed === "no",
      );
      assert.deepEqual(await db.sql`show default_transaction_read_only`, [{ default_transaction_read_only: "off" }]);
    });
  });

  test("have limits at the server as well, for the case that this process hangs", async () => {
    await withDatabase({ statementTimeoutMs: 100, idleInTransactionMs: 100 }, async (db) => {
      await assert.rejects(db.sql`select pg_sleep(5)`, (thrown) => isError(thrown, "STATEMENT_TIMEOUT"));
      await assert.rejects(
        db.transaction(async (tx) => {
          // Before the first statement the server knows of no transaction.
          await tx.sql`select 1`;
          await systemClock.sleep(300);
          await tx.sql`select 1`;
        }),
        (thrown) => thrown instanceof Error,
      );
    });
  });

  test("that cannot be made stop the start, with the server, the reason and the remedy", async () => {
    const cases: [Partial<Record<"password" | "pathname" | "port" | "hostname" | "search", string>>, RegExp][] = [
      [{ password: "wrong" }, /password authentication failed.*Correct the user or the password/],
      [{ pathname: "/nowhere" }, /database nowhere on .*does not exist.*Create the database/],
      [{ port: "1" }, /on 127\.0\.0\.1:1: no connection after \d attempts: .*ECONNREFUSED.*Start the server/],
      [{ hostname: "nowhere.invalid" }, /nowhere\.invalid.*Correct the host/],
      [{ search: "?sslmode=require" }, /does not support SSL/],
    ];
    for (const [change, pattern] of cases) {
      const url = Object.assign(new URL(address as string), change);
      await assert.rejects(driverFor({ startTimeoutMs: 300 }, url).open(), (thrown) => {
        assert.ok(thrown instanceof StartError);
        assert.equal(thrown.reason, "DATABASE_UNAVAILABLE");
        assert.match(thrown.message, pattern);
        assert.doesNotMatch(thrown.message, /wrong/, "the password is not shown");
        return true;
      });
    }
  });

  test("wait for a server that comes up late", async () => {
    const proxy = await createProxy();
    await proxy.close();
    const driver = driverFor({ startTimeoutMs: 10_000 }, proxy.url);
    const opening = driver.open();
    await systemClock.sleep(150);
    const target = new URL(address as string);
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      client.pipe(upstream).pipe(client);
      client.on("error", () => upstream.destroy());
    });
    await new Promise<void>((resolve) => server.listen(Number(proxy.url.port), "127.0.0.1", resolve));
    await opening;
    await driver.close();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  });
});
