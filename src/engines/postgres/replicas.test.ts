import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anonymous, CallScope, isError, systemClock } from "../../base/index.ts";
import type { Database, DatabaseDriver, ReplicaStats, Replicas } from "../../database/index.ts";
import { createDatabase, createReplicas, migrate } from "../../database/index.ts";
import { createPostgresDriver } from "./database.ts";
import type { TestPostgres } from "./server.fixture.ts";
import { skipWithoutPostgresBinaries as skip, startPostgres } from "./server.fixture.ts";

const lagMs = 2_000;

/** A call from outside, with what its client has kept of the answers before. */
const call = (token?: string): CallScope => {
  const scope = new CallScope({ principal: anonymous, caller: "test", deadline: Number.POSITIVE_INFINITY });
  if (token !== undefined) scope.position.merge(token);
  return scope;
};

const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  const endsAt = systemClock.now() + 20_000;
  while (!(await holds())) {
    if (systemClock.now() > endsAt) assert.fail(`not within 20 s: ${what}`);
    await systemClock.sleep(20);
  }
};

describe("reads on streaming replicas", { skip }, () => {
  let primary: TestPostgres;
  let late: TestPostgres;
  let near: TestPostgres;
  let admin: Database;
  const drivers: DatabaseDriver[] = [];

  /** A database with these replicas, as one process has it. */
  const connect = async (
    servers: readonly TestPostgres[],
    options: { waitMs?: number; onChange?: () => void } = {},
  ): Promise<{ db: Database; replicas: Replicas; stats: () => ReplicaStats; end: () => Promise<void> }> => {
    const driver = createPostgresDriver(primary.url, { applicationName: `replicas-${drivers.length}` });
    drivers.push(driver);
    await driver.open();
    const replicas = createReplicas({
      primary: driver,
      replicas: servers.map(({ url }) => createPostgresDriver(url, { startTimeoutMs: 500 })),
      probeMs: 100,
      ...options,
    });
    await replicas.open();
    const end = async () => {
      await replicas.close();
      await driver.close();
    };
    const db = createDatabase({ driver, replicas, schema: "app" });
    await until(
      "a replica is ready",
      () => servers.length === 0 || replicas.stats.some(({ state }) => state === "ready"),
    );
    return { db, replicas, stats: () => replicas.stats[0] as ReplicaStats, end };
  };

  before(async () => {
    if (skip) return;
    primary = await startPostgres({ settings: { wal_keep_size: "256MB" } });
    [late, near] = (await Promise.all([
      startPostgres({ replicaOf: primary, settings: { recovery_min_apply_delay: `${lagMs}ms` } }),
      startPostgres({ replicaOf: primary }),
    ])) as [TestPostgres, TestPostgres];
    const driver = createPostgresDriver(primary.url);
    drivers.push(driver);
    await driver.open();
    admin = createDatabase({ driver, schema: "app" });
    const table = "create table counter (id int primary key, n int not null); insert into counter values (1, 0)";
    await migrate(admin, [{ name: "0001-counter", sql: table }]);
    await Promise.all([late.caughtUp(), near.caughtUp()]);
  });
  after(async () => {
    for (const driver of drivers) await driver.close();
    await Promise.all([late?.dispose(), near?.dispose()]);
    await primary?.dispose();
  });

  const increment = async (db: Database): Promise<number> =>
    (await db.sql<{ n: number }>`update counter set n = n + 1 where id = 1 returning n`)[0]?.n as number;
  const look = async (from: Pick<Database, "sql">): Promise<number> =>
    (await from.sql<{ n: number }>`select n from counter where id = 1`)[0]?.n as number;

  test("never show less than the caller wrote, with 2 s of lag and replicas that come and go", async () => {
    const { db, replicas, end } = await connect([late, near]);
    const restart = (async () => {
      await systemClock.sleep(300);
      await near.stop("immediate");
      await systemClock.sleep(700);
      await near.start();
      await late.stop("fast");
      await late.start();
    })();
    let token: string | undefined;
    let reads = 0;
    let isOver = false;
    restart.then(() => {
      isOver = true;
    });
    const onReplica = (): number => replicas.stats[1]?.readCount ?? 0;
    // On after the restarts, until the replica has served again.
    for (let served = Number.POSITIVE_INFINITY; reads < 400 || onReplica() < served + 50; ) {
      if (isOver && served === Number.POSITIVE_INFINITY) served = onReplica();
      const writing = call(token);
      const written = reads % 2 === 0 ? await increment(db.bind(writing)) : await look(admin);
      if (reads % 2 === 0) {
        const inTheSameCall = await look(db.bind(writing.child()).read({ staleness: "5s" }));
        assert.ok(inTheSameCall >= written, `${inTheSameCall} after ${written} was written`);
        token = writing.position.token;
      }
      const inTheNext = call(token);
      const seen = await look(db.bind(inTheNext).read());
      assert.ok(seen >= (reads % 2 === 0 ? written : 0), `${seen} after ${written}`);
      if (reads % 10 === 0) {
        const outside = await increment(db);
        assert.ok((await look(db.read({ staleness: "1m" }))) >= outside, "outside of calls as well");
      }
      reads++;
    }
    await restart;
    const [lateStats, nearStats] = replicas.stats;
    assert.ok((nearStats?.readCount ?? 0) > 50);
    assert.ok(replicas.primaryReadCount > 20, `only ${replicas.primaryReadCount} reads on the primary`);
    assert.equal(lateStats?.readCount, 0, "nobody may read so late");
    await end();
  });

  test("on a replica that lags beyond the bound are answered by the primary, within it by the replica", async () => {
    const { db, stats, end } = await connect([late]);
    const since = systemClock.now();
    await until("the lag is seen, and older states are known", async () => {
      await increment(admin);
      return (stats().lagMs ?? 0) > 1_000 && systemClock.now() - since > 2 * lagMs;
    });
    const before = await increment(admin);
    assert.equal(await look(db.read()), before, "without a bound: what is");
    assert.ok((await look(db.read({ staleness: "500ms" }))) >= before);
    assert.equal(stats().readCount, 0);
    const writtenAt = systemClock.now();
    assert.ok((await look(db.bind(call()).read({ staleness: "30s" }))) < before, "the replica's own state");
    assert.ok(systemClock.now() - writtenAt < lagMs);
    assert.equal(stats().readCount, 1);
    assert.ok((stats().lagBytes ?? 0) > 0);
    await end();
  });

  test("are not kept from an idle primary's replica: it lacks nothing", async () => {
    const { db, stats, end } = await connect([late]);
    await until("the replica has everything", () => stats().lagMs === 0);
    await systemClock.sleep(300);
    const seen = await look(db.read({ staleness: "200ms" }));
    assert.equal(seen, await look(admin));
    assert.equal(stats().readCount, 1);
    await end();
  });

  test("wait a little for a replica that is nearly there, and then no longer", async () => {
    const { db, stats, replicas, end } = await connect([near], { waitMs: 1_000 });
    for (let i = 0; i < 20; i++) {
      const scope = call();
      const written = await increment(db.bind(scope));
      assert.equal(await look(db.bind(scope).read()), written);
    }
    assert.ok(stats().readCount >= 15, `${stats().readCount} of 20 on the replica`);
    await near.adminQuery("select pg_wal_replay_pause()");
    const scope = call();
    const written = await increment(db.bind(scope));
    const startedAt = systemClock.now();
    const count = replicas.primaryReadCount;
    assert.equal(await look(db.bind(scope).read()), written);
    assert.ok(systemClock.now() - startedAt < 1_500);
    assert.equal(replicas.primaryReadCount, count + 1);
    await near.adminQuery("select pg_wal_replay_resume()");
    await end();
  });

  test("take no writes, wherever they run", async () => {
    await near.caughtUp();
    const on = await connect([near]);
    const off = await connect([]).catch(() => undefined);
    assert.equal(off, undefined, "an empty list of replicas is a mistake");
    const without = createDatabase({ driver: drivers[0] as DatabaseDriver, schema: "app" });
    for (const db of [on.db, without]) {
      const reads = db.read({ staleness: "10s" });
      const attempts: readonly (() => Promise<unknown>)[] = [
        () => reads.sql`update counter set n = 0`,
        () => reads.sql`with x as (update counter set n = 0 returning n) select n from x`,
        () => reads.sql`select * from counter for update`,
        () => reads.sql`select setval(pg_get_serial_sequence('counter', 'id'), 1) from nextval('pg_catalog.none')`,
        () => reads.query.updateTable("counter").set({ n: 0 }).execute(),
        () => reads.session((session) => session.sql`delete from counter`),
        () => reads.transaction((tx) => tx.sql`delete from counter`),
        () => reads.session((session) => session.transaction((tx) => tx.sql`delete from counter`)),
      ];
      for (const [i, attempt] of attempts.entries()) {
        await assert.rejects(attempt(), (thrown) =>
          i === 3
            ? isError(thrown, "SQL_INVALID")
            : isError(thrown, "READ_ONLY_TRANSACTION") && thrown.executed === "no",
        );
      }
    }
    assert.ok((await look(admin)) > 0);
    assert.equal(on.stats().state, "ready", "that is no fault of the replica's");
    await on.end();
  });

  test("in a session or a transaction see one server's state", async () => {
    await near.caughtUp();
    const { db, stats, end } = await connect([near]);
    await db.read({ staleness: "10s" }).session(async (session) => {
      const [row] = await session.sql`select pg_is_in_recovery() as replica`;
      assert.deepEqual(row, { replica: true });
      assert.deepEqual(await session.transaction((tx) => tx.sql`select pg_is_in_recovery() as replica`), [row]);
    });
    let hooks = 0;
    await db.read({ staleness: "10s" }).transaction(async (tx) => {
      tx.afterCommit(() => hooks++);
      const first = await look(tx);
      await increment(admin);
      await near.caughtUp();
      assert.equal(await look(tx), first, "one snapshot");
    });
    const rows = await db.read({ staleness: "10s" }).query.selectFrom("counter").select("n").execute();
    assert.equal(rows.length, 1);
    assert.equal(hooks, 1);
    assert.equal(stats().readCount, 3);
    await end();
  });

  test("are opened and closed with the database that they are given to as a list", async () => {
    const [driver, replica] = [createPostgresDriver(primary.url), createPostgresDriver(near.url)];
    const db = createDatabase({ driver, replicas: [replica], schema: "app" });
    await db.open();
    assert.equal(db.replicas[0]?.state, "ready");
    assert.ok((await look(db.read())) > 0);
    assert.equal(db.replicas[0]?.readCount, 1);
    await db.close();
    assert.equal(db.replicas[0]?.state, "away");
    await assert.rejects(db.read().sql`select 1`, (thrown) => isError(thrown, "DATABASE_UNAVAILABLE"));
    const { replicas, end } = await connect([near]);
    const sharing = createDatabase({ driver: createPostgresDriver(primary.url), replicas, schema: "app" });
    await sharing.open();
    await sharing.close();
    assert.equal(replicas.stats[0]?.state, "ready", "whoever made them ends them");
    await end();
  });

  test("go on within their bound while the primary is down, and fail with its error without one", async () => {
    const { db, stats, end } = await connect([near]);
    const seen = await look(db.read({ staleness: "1m" }));
    await primary.stop("immediate");
    try {
      const count = stats().readCount;
      assert.equal(await look(db.read({ staleness: "1m" })), seen);
      assert.equal(stats().readCount, count + 1);
      await assert.rejects(look(db.read()), (thrown) => isError(thrown, "DATABASE_UNAVAILABLE"));
    } finally {
      await primary.start();
    }
    await until("the primary is back", () =>
      look(db.read()).then(
        (n) => n === seen,
        () => false,
      ),
    );
    await end();
  });

  test("that replay cancels are answered by the primary", async () => {
    await near.set({ max_standby_streaming_delay: "0" });
    const { db, stats, end } = await connect([near]);
    const reading = db.read({ staleness: "10s" }).sql<{ n: number }>`select n, pg_sleep(1) from counter`;
    await until("it runs on the replica", () => stats().inFlight > 0 && stats().readCount === 1);
    await admin.sql`alter table counter add column if not exists note text`;
    assert.equal((await reading).length, 1);
    assert.deepEqual([stats().failureCount, stats().state], [1, "ready"]);
    await end();
  });

  test("of a replica that hangs are answered by the primary, and it is used again afterwards", async () => {
    await near.caughtUp();
    let changes = 0;
    const { db, stats, end } = await connect([near], { onChange: () => changes++ });
    const slow = db.read({ staleness: "10s" }).sql`select n, pg_sleep(0.5) from counter`;
    await until("it runs on the replica", () => stats().readCount === 1);
    await near.pause();
    const startedAt = systemClock.now();
    for (let i = 0; i < 20; i++) assert.ok((await look(db.read({ staleness: "10s" }))) > 0);
    assert.equal((await slow).length, 1);
    assert.ok(systemClock.now() - startedAt < 8_000, `${systemClock.now() - startedAt} ms`);
    await until("it is put aside", () => stats().state === "away");
    await near.resume();
    await until("it is back", () => stats().state === "ready");
    const count = stats().readCount;
    await look(db.read({ staleness: "10s" }));
    assert.equal(stats().readCount, count + 1);
    assert.ok(changes >= 2);
    await end();
  });

  test("never go to a replica that was promoted, nor to a server of another cluster", async () => {
    const { db, replicas, stats, end } = await connect([near]);
    const scope = call();
    await increment(db.bind(scope));
    const writing = (async () => {
      for (let i = 0; i < 200; i++) {
        const inner = call();
        const written = await increment(db.bind(inner));
        assert.equal(await look(db.bind(inner).read()), written);
        assert.equal(await look(db.bind(inner).read({ staleness: "10s" })), written);
      }
    })();
    await until("reads go there", () => stats().readCount > 10);
    await near.promote();
    await near.adminQuery("update app.counter set n = -1000000");
    await writing;
    await until("it is found out", () => stats().reason === "REPLICA_PROMOTED");
    const count = stats().readCount;
    assert.ok((await look(db.read({ staleness: "1m" }))) > 0);
    assert.equal(stats().readCount, count);
    await end();

    const foreign = await startPostgres();
    const other = createReplicas({
      primary: drivers[0] as DatabaseDriver,
      replicas: [createPostgresDriver(foreign.url)],
      probeMs: 50,
    });
    const beside = createDatabase({ driver: drivers[0] as DatabaseDriver, replicas: other, schema: "app" });
    assert.ok((await look(beside.read({ staleness: "1m" }))) > 0);
    assert.equal(beside.replicas[0]?.state, "away");
    await other.close();
    await foreign.dispose();
    assert.ok(replicas.primaryReadCount > 0);
  });
});
