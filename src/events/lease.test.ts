import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { createManualClock, systemClock } from "../base/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { createFaultyDatabase } from "../database/testing.ts";
import postgres from "../engines/postgres/index.ts";
import type { LeaseProcessOptions } from "./fixtures/lease-process.ts";
import type { Stage } from "./fixtures/stage.ts";
import { effects, embeddedDriver, openStage, pick } from "./fixtures/stage.ts";
import type { LeaseOptions } from "./lease.ts";
import { createLease } from "./lease.ts";
import { createGate, until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const postgresDriver = () => (url ? postgres.ports.database?.(new URL(url)) : undefined);
const short = { name: "one", ttlMs: 300, renewMs: 50 };

function holder(database: Database, options: Partial<LeaseOptions> = {}) {
  const lost: string[] = [];
  const lease = createLease({ database, owner: "a", ...short, onLost: (why) => lost.push(why), ...options });
  return { lease, lost };
}

/** A process that was stopped: its clock stands still, so it goes on believing. */
async function stopped(database: Database, options: Partial<LeaseOptions> = {}) {
  const paused = holder(database, { clock: createManualClock(), owner: "paused", ...options });
  assert.ok(await paused.lease.look());
  return paused;
}

async function takeOver(database: Database) {
  const { lease } = holder(database, { owner: "next" });
  await until("another has taken over", 5_000, () => lease.look());
  return lease;
}

/** Epochs in the order in which they took effect. One that is less than an earlier one was not fenced. */
async function isFenced(database: Database): Promise<boolean> {
  const epochs = (await effects(database)).map(({ n }) => n);
  return epochs.every((epoch, i) => i === 0 || epoch >= (epochs[i - 1] ?? 0));
}

for (const [engine, driverOf] of Object.entries({ pglite: embeddedDriver, postgres: postgresDriver })) {
  const skip = engine === "postgres" && !url ? "PLINTH_TEST_POSTGRES_URL is not set" : false;

  describe(`a lease on ${engine}`, { skip }, () => {
    let stage: Stage;
    before(async () => {
      stage = await openStage(driverOf());
    });
    after(() => stage.close());

    it("has one holder at a time, and a higher epoch for each", async () => {
      const database = await stage.service();
      const holders = await Promise.all(
        Array.from({ length: 5 }, async (_, i) => {
          const { lease } = holder(database, { owner: `h${i}` });
          return { lease, held: await lease.look() };
        }),
      );
      const held = holders.filter((each) => each.held);
      assert.equal(held.length, 1);
      const [first] = held;
      assert.equal(first?.lease.epoch(), "1");
      await first?.lease.release();
      assert.equal(first?.lease.held(), false);
      assert.equal(await first?.lease.look(), false, "one that was released tries no more");
      const other = holders.find((each) => !each.held);
      assert.equal(await other?.lease.look(), true, "at once");
      assert.equal(other?.lease.epoch(), "2");
      assert.deepEqual(other?.lease.stats(), { held: true, takenCount: 1, lostCount: 0 });
    });

    it("stays with the holder who renews it, far beyond its TTL, under one epoch", async () => {
      const database = await stage.service();
      const long = { ttlMs: 2_000, renewMs: 100 };
      const { lease, lost } = holder(database, long);
      const { lease: other } = holder(database, { ...long, owner: "b" });
      lease.start();
      lease.start();
      other.start();
      await until("held", 5_000, () => lease.held() || other.held());
      const epochs = new Set<string | undefined>();
      for (let i = 0; i < 70; i++) {
        epochs.add(lease.epoch() ?? other.epoch());
        assert.ok(!(lease.held() && other.held()), "two at once");
        await systemClock.sleep(40);
      }
      await Promise.all([lease.release(), other.release()]);
      assert.deepEqual([...epochs], ["1"]);
      assert.deepEqual(lost, []);
    });

    it("is taken over when the holder is gone, and fences it when it comes back", async () => {
      const database = await stage.service();
      const paused = await stopped(database);
      const next = await takeOver(database);
      assert.ok(paused.lease.held(), "by its clock it holds on");
      await assert.rejects(
        database.transaction((tx) => paused.lease.fence(tx)),
        { reason: "LEASE_LOST", executed: "no" },
      );
      await database.transaction((tx) => next.fence(tx));
      assert.equal(await paused.lease.look(), false);
      assert.deepEqual(paused.lost, ["taken"]);
      await next.release();
    });

    it("without the fence lets an old holder write after the new one, which the order of epochs shows", async () => {
      for (const fenced of [true, false]) {
        const database = await stage.service();
        const paused = await stopped(database, { fenced });
        const next = await takeOver(database);
        const write = (lease: typeof next) =>
          database.transaction(async (tx) => {
            const n = Number(lease.epoch());
            await lease.fence(tx);
            await tx.sql`insert into effect (key, n) values ('x', ${n})`;
          });
        await write(next);
        await write(paused.lease).catch(() => {});
        assert.equal(await isFenced(database), fenced);
        await next.release();
      }
    });

    it("refuses the fence to work that began under an earlier holding, or under none", async () => {
      const database = await stage.service();
      const { lease } = holder(database);
      const fence = (epoch?: string) => database.transaction((tx) => lease.fence(tx, epoch));
      await assert.rejects(fence(), { reason: "LEASE_LOST" });
      await lease.look();
      await fence();
      await assert.rejects(fence("0"), { reason: "LEASE_LOST" });
      await lease.release();
    });

    it("is over by the clock a third of the TTL before the database says so", async () => {
      const database = await stage.service();
      const clock = createManualClock();
      const { lease, lost } = holder(database, { clock, ttlMs: 30_000, renewMs: 5_000 });
      assert.ok(await lease.look());
      await clock.advance(24_999);
      assert.ok(lease.held());
      await clock.advance(1);
      assert.equal(lease.held(), false);
      assert.equal(lease.epoch(), undefined);
      assert.deepEqual(lost, ["expired"]);
      assert.ok(await lease.look(), "what is its own it takes again");
      assert.equal(lease.epoch(), "2", "as a new holding");
      assert.equal(lease.stats().lostCount, 1);
      await lease.release();
    });

    it("counts from before the renewal was sent: an answer that comes too late holds nothing", async () => {
      const database = await stage.service();
      const clock = createManualClock();
      const gate = createGate();
      let slow = false;
      const driver: DatabaseDriver = {
        ...pick(stage.driver),
        async acquire(acquiring) {
          const session = await stage.driver.acquire(acquiring);
          return {
            script: (...script) => session.script(...script),
            release: (broken) => session.release(broken),
            async query(...query) {
              const result = await session.query(...query);
              if (slow) await gate.opened;
              return result;
            },
          };
        },
      };
      const slowly = createDatabase({ driver, schema: database.schema });
      const { lease, lost } = holder(slowly, { clock, ttlMs: 15_000, renewMs: 5_000 });
      await lease.look();
      slow = true;
      const looking = lease.look();
      await clock.advance(10_000);
      gate.open();
      assert.equal(await looking, false);
      assert.deepEqual(lost, ["expired"]);
      await lease.release();
    });

    it("is lost in time when the database does not answer, and comes back with it", async () => {
      const faulty = createFaultyDatabase(stage.driver);
      const { schema } = await stage.service();
      const database = createDatabase({ driver: faulty, schema });
      const errors: unknown[] = [];
      const { lease, lost } = holder(database, { onError: (thrown) => errors.push(thrown) });
      lease.start();
      await until("held", 5_000, () => lease.held());
      faulty.faults.refuseRate = 1;
      await until("lost", 5_000, () => lost.length === 1);
      assert.equal(lease.held(), false);
      assert.ok(errors.length > 0);
      faulty.faults.refuseRate = 0;
      await until("held again", 5_000, () => lease.held());
      assert.equal(lease.epoch(), "2");
      faulty.faults.refuseRate = 1;
      await lease.release();
      assert.equal(lease.held(), false, "also when it could not be given back");
    });

    it("refuses a name and an interval that cannot work", async () => {
      const database = await stage.service();
      assert.throws(() => holder(database, { name: "" }), /1 to 200/);
      assert.throws(() => holder(database, { renewMs: 250 }), /before its holder gives it up/);
    });
  });
}

describe("a lease on Postgres among processes", { skip: url ? false : "PLINTH_TEST_POSTGRES_URL is not set" }, () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage(postgresDriver());
  });
  after(() => stage.close());

  it("is not taken over while a fenced transaction is open, and its renewal waits for none", async () => {
    const database = await stage.service();
    const { lease: paused } = await stopped(database, { ttlMs: 1_500 });
    const { lease: next } = holder(database, { owner: "next" });
    const renewing = holder(database, { name: "two", ttlMs: 5_000 }).lease;
    await renewing.look();
    await database.transaction(async (tx) => {
      await renewing.fence(tx);
      assert.ok(await renewing.look(), "renewed beside the fence");
      await paused.fence(tx);
      for (let i = 0; i < 18; i++) {
        await tx.sql`select 1 as one`;
        await systemClock.sleep(100);
        assert.equal(await next.look(), false);
      }
    });
    await until("taken over after it", 5_000, () => next.look());
    await next.release();
    await renewing.release();
  });

  it("survives the end of its connection", async () => {
    const database = await stage.service();
    const { lease, lost } = holder(database, { ttlMs: 3_000, renewMs: 100 });
    lease.start();
    await until("held", 5_000, () => lease.held());
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and query like ${`%${database.schema}%plinth_leases%`}`.catch(
      () => {},
    );
    await systemClock.sleep(300);
    assert.ok(lease.held());
    assert.equal(lease.epoch(), "1");
    assert.deepEqual(lost, []);
    await lease.release();
  });

  it("keeps the order of epochs while holders are killed, stopped and woken", { timeout: 60_000 }, async () => {
    const database = await stage.service();
    const options: LeaseProcessOptions = { url: url ?? "", schema: database.schema, ttlMs: 400, renewMs: 60 };
    const script = new URL("./fixtures/lease-process.ts", import.meta.url).pathname;
    const { NODE_V8_COVERAGE: _, ...env } = process.env;
    const begin = () => {
      const child = spawn(
        process.execPath,
        ["--conditions=plinth:source", "--import", "tsx", script, JSON.stringify(options)],
        { env, stdio: ["ignore", "pipe", "inherit"] },
      );
      children.set(child.pid ?? 0, child);
    };
    const children = new Map<number, ReturnType<typeof spawn>>();
    const newest = async () => {
      const [row] = await database.sql<{ key: string; n: number }>`
        select key, n from effect order by id desc limit 1`;
      return row;
    };
    for (let i = 0; i < 3; i++) begin();
    try {
      for (const signal of ["SIGSTOP", "SIGKILL", "SIGSTOP", "SIGTERM", "SIGSTOP"] as const) {
        await until("somebody works", 15_000, async () => (await newest()) !== undefined);
        const held = await newest();
        const pid = Number(held?.key);
        process.kill(pid, signal);
        await until(`another works after ${signal}`, 15_000, async () => ((await newest())?.n ?? 0) > (held?.n ?? 0));
        if (signal === "SIGSTOP") process.kill(pid, "SIGCONT");
        else begin();
      }
      await systemClock.sleep(200);
    } finally {
      for (const child of children.values()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    assert.ok(await isFenced(database));
    assert.ok((await newest())?.n ?? 0 >= 6);
  });
});
