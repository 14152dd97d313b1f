import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { error, systemClock } from "../base/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { createFaultyDatabase } from "../database/testing.ts";
import postgres from "../engines/postgres/index.ts";
import type { Stage } from "./fixtures/stage.ts";
import { effects, embeddedDriver, openStage, pick } from "./fixtures/stage.ts";
import type { Schedule, Tick } from "./schedule.ts";
import { createScheduleStore } from "./schedule-store.ts";
import type { SchedulerOptions } from "./scheduler.ts";
import { createScheduler } from "./scheduler.ts";
import { createGate, until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const postgresDriver = () => (url ? postgres.ports.database?.(new URL(url)) : undefined);

async function note({ tx, scheduledAt, attempt }: Tick): Promise<void> {
  await tx.sql`insert into effect (key, n) values (${scheduledAt.toISOString()}, ${attempt})`;
}

function schedulerOf(
  database: Database,
  schedule: Partial<Schedule> = {},
  options: Partial<Omit<SchedulerOptions, "database">> = {},
) {
  const log: string[] = [];
  const write = (fields: Readonly<Record<string, unknown>>, text: string) => log.push(`${text} ${fields.reason ?? ""}`);
  const scheduler = createScheduler({
    service: "books",
    database,
    owner: "a",
    leaseTtlMs: 900,
    leaseRenewMs: 100,
    log: { warn: write, error: write },
    schedules: [{ name: "tick", every: "1d", retries: [10, 10], handle: note, ...schedule }],
    ...options,
  });
  const stats = () => scheduler.stats().schedules[0] as ReturnType<typeof scheduler.stats>["schedules"][number];
  return { scheduler, stats, log };
}

async function doubles(database: Database): Promise<readonly string[]> {
  const rows = await database.sql<{ key: string }>`select key from effect group by key having count(*) > 1`;
  return rows.map(({ key }) => key);
}

for (const [engine, driverOf] of Object.entries({ pglite: embeddedDriver, postgres: postgresDriver })) {
  const skip = engine === "postgres" && !url ? "PLINTH_TEST_POSTGRES_URL is not set" : false;

  describe(`schedules on ${engine}`, { skip, concurrency: engine === "postgres" ? 4 : 1 }, () => {
    let stage: Stage;
    before(async () => {
      stage = await openStage(driverOf());
    });
    after(() => stage.close());

    it("run each tick once, in order, at times that are multiples of every", async () => {
      const database = await stage.service();
      const { scheduler, stats } = schedulerOf(database, { every: "100ms", catchUp: "all" });
      await scheduler.start();
      await until("ten ticks", 10_000, () => stats().doneCount >= 10);
      await scheduler.drain();
      const times = (await effects(database)).map(({ key }) => new Date(key).getTime());
      for (const [i, time] of times.entries()) {
        assert.equal(time % 100, 0);
        if (i > 0) assert.equal(time, (times[i - 1] ?? 0) + 100, "none is skipped, none comes twice");
      }
      assert.equal(scheduler.stats().leads, false);
      assert.ok((stats().lateMs ?? -1) >= 0);
      const { doneCount } = stats();
      await systemClock.sleep(250);
      assert.equal(stats().doneCount, doneCount, "none after the drain");
    });

    it("go through a week of hours in a second", async () => {
      const database = await stage.service();
      const startedAt = systemClock.now();
      const weekMs = 7 * 24 * 3_600_000;
      const shiftMs = () => Math.min(1, (systemClock.now() - startedAt) / 1_000) * weekMs;
      const { scheduler, stats } = schedulerOf(
        database,
        { name: "tick", every: "1h", catchUp: "all" },
        { internal: { shiftMs } },
      );
      await scheduler.start();
      await until("a week", 20_000, () => stats().doneCount >= 167);
      await scheduler.drain();
      assert.deepEqual(await doubles(database), []);
      assert.ok((await effects(database)).length >= 167);
    });

    it("are led by one of several, and by the next at once when it drains", async () => {
      const database = await stage.service();
      const all = [1, 2, 3].map((i) => schedulerOf(database, { every: "100ms" }, { owner: `p${i}` }));
      const leaders = () => all.filter(({ scheduler }) => scheduler.stats().leads);
      for (const { scheduler } of all) await scheduler.start();
      for (let left = 3; left > 0; left--) {
        await until("one leads", 5_000, () => leaders().length > 0);
        const [leader] = leaders();
        assert.equal(leaders().length, 1);
        const ran = leader?.stats().doneCount ?? 0;
        await until("it works", 5_000, () => (leader?.stats().doneCount ?? 0) > ran);
        await leader?.scheduler.drain();
      }
      assert.deepEqual(await doubles(database), []);
    });

    it("try a failing tick again, then record it as failed and go on", async () => {
      const database = await stage.service();
      const attempts = new Map<number, number[]>();
      const { scheduler, stats, log } = schedulerOf(database, {
        every: "100ms",
        async handle(tick) {
          const time = tick.scheduledAt.getTime();
          attempts.set(time, [...(attempts.get(time) ?? []), tick.attempt]);
          await note(tick);
          if (attempts.size === 1) throw new Error("broken\0");
        },
      });
      await scheduler.start();
      await until("the next one has run", 10_000, () => stats().doneCount >= 1);
      await scheduler.drain();
      assert.deepEqual([...attempts.values()][0], [1, 2, 3]);
      assert.equal(stats().failedCount, 1);
      assert.equal(stats().retriedCount, 2);
      assert.ok(log.some((text) => text.startsWith("a tick has failed")));
      const [failed] =
        await database.sql`select attempts, error_reason, error_message from plinth_ticks where state = 'failed'`;
      assert.equal(failed?.attempts, 3);
      assert.equal(failed?.error_reason, "INTERNAL");
      assert.match(failed?.error_message, /broken\ufffd/);
      assert.ok(!(await effects(database)).some(({ n }) => n > 1), "what failed took no effect");
    });

    it("waste no attempt on what fails the same way again, and wait as long as the failure asks", async () => {
      const database = await stage.service();
      const { scheduler } = schedulerOf(database, {
        async handle() {
          throw error("invalid_argument", "no such thing", { reason: "NO_SUCH_THING" });
        },
      });
      await scheduler.start();
      const report = await scheduler.runNow("tick");
      assert.equal(report.state, "failed");
      assert.equal(report.attempts, 1);
      assert.equal(report.reason, "NO_SUCH_THING");
      await scheduler.drain();
      const slow = schedulerOf(database, {
        async handle() {
          throw error("unavailable", "later", { retry: 60_000 });
        },
      });
      await slow.scheduler.start();
      const waiting = await slow.scheduler.runNow("tick", 500);
      assert.equal(waiting.state, "open");
      assert.equal(waiting.reason, "UNAVAILABLE");
      await slow.scheduler.drain();
    });

    it("leave a tick at its deadline, without its effect", async () => {
      const database = await stage.service();
      const { scheduler } = schedulerOf(database, {
        deadline: "50ms",
        retries: [],
        async handle(tick) {
          await note(tick);
          await systemClock.sleep(400);
        },
      });
      await scheduler.start();
      const report = await scheduler.runNow("tick");
      assert.equal(report.state, "failed");
      assert.equal(report.reason, "DEADLINE_EXCEEDED");
      assert.deepEqual(await effects(database), []);
      await scheduler.drain();
    });

    it("do not overlap: a tick that takes longer than the interval is followed by the latest, or by each", async () => {
      for (const catchUp of ["latest", "all"] as const) {
        const database = await stage.service();
        let running = 0;
        const { scheduler, stats } = schedulerOf(database, {
          every: "100ms",
          catchUp,
          async handle(tick) {
            assert.equal(++running, 1, "two at once");
            await systemClock.sleep(250);
            running--;
            await note(tick);
          },
        });
        await scheduler.start();
        await until("three ticks", 10_000, () => stats().doneCount >= 3);
        await scheduler.drain();
        const times = (await effects(database)).map(({ key }) => new Date(key).getTime());
        const steps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
        assert.ok(
          steps.every((step) => (catchUp === "all" ? step === 100 : step >= 200)),
          `${catchUp}: ${steps}`,
        );
        assert.equal(stats().skippedCount > 0, catchUp === "latest");
      }
    });

    it("begin now when they are new, or when their times were changed, and keep how far they have come otherwise", async () => {
      const database = await stage.service();
      const store = createScheduleStore(database);
      const at = async () => (await store.look(["tick"])).schedules.get("tick");
      const first = schedulerOf(database, { every: "1h" });
      await first.scheduler.start();
      await until("leads", 5_000, () => first.scheduler.stats().leads);
      await first.scheduler.drain();
      const begun = await at();
      assert.ok(begun && Math.abs(begun.lastTickMs - (await store.look(["tick"])).nowMs) < 20_000);
      await database.sql`update plinth_schedules set last_tick = '2020-01-01T00:00:00Z'`;
      const again = schedulerOf(database, { every: "1h" });
      await again.scheduler.start();
      await until("the missed one ran", 5_000, () => again.stats().doneCount === 1);
      await again.scheduler.drain();
      await database.sql`update plinth_schedules set last_tick = '2020-01-01T00:00:00Z'`;
      const changed = schedulerOf(database, { every: "2h" });
      await changed.scheduler.start();
      await until("begun anew", 5_000, async () => ((await at())?.lastTickMs ?? 0) > (begun?.lastTickMs ?? 0));
      await changed.scheduler.drain();
      assert.equal(changed.stats().doneCount, 0);
      assert.equal((await at())?.definition, "every 7200000 ms");
    });

    it("ask a stranger for nothing: an unknown name is refused with those that there are", async () => {
      const database = await stage.service();
      const { scheduler } = schedulerOf(database);
      await scheduler.start();
      await assert.rejects(scheduler.runNow("tock"), { reason: "SCHEDULE_UNKNOWN", message: /It has: tick\./ });
      await scheduler.drain();
    });

    it("run out of turn when asked, by whoever leads, each request once", async () => {
      const database = await stage.service();
      const leader = schedulerOf(database);
      await leader.scheduler.start();
      await until("leads", 5_000, () => leader.scheduler.stats().leads);
      const other = schedulerOf(database, {}, { owner: "b" });
      await other.scheduler.start();
      const reports = await Promise.all([other, leader, other].map(({ scheduler }) => scheduler.runNow("tick")));
      assert.deepEqual(
        reports.map(({ state, attempts }) => [state, attempts]),
        [
          ["done", 1],
          ["done", 1],
          ["done", 1],
        ],
      );
      assert.equal(new Set(reports.map(({ scheduledAt }) => scheduledAt.getTime())).size, 3);
      assert.equal((await effects(database)).length, 3);
      assert.equal(leader.stats().doneCount, 3);
      await Promise.all([leader.scheduler.drain(), other.scheduler.drain()]);
    });

    it("heal when connections are lost and commits have no answer: each tick once", async () => {
      const faulty = createFaultyDatabase(stage.driver);
      const { schema } = await stage.service();
      const database = createDatabase({ driver: faulty, schema });
      const { scheduler, stats } = schedulerOf(database, {
        every: "100ms",
        catchUp: "all",
        retries: Array(20).fill(5),
      });
      await scheduler.start();
      await until("the first", 5_000, () => stats().doneCount > 0);
      faulty.faults.lossRate = 0.08;
      faulty.faults.refuseRate = 0.02;
      await until("twelve", 25_000, () => stats().doneCount >= 12);
      faulty.faults.lossRate = 0;
      faulty.faults.refuseRate = 0;
      await systemClock.sleep(300);
      await scheduler.drain();
      assert.ok(faulty.lossCount > 0, "a run in which no fault bit proves nothing");
      assert.deepEqual(await doubles(database), []);
      const times = (await effects(database)).map(({ key }) => new Date(key).getTime());
      assert.equal((times.at(-1) ?? 0) - (times[0] ?? 0), (times.length - 1) * 100, "none is missing");
    });

    it("let go of ticks when the lease is lost, and finish them when it is back", async () => {
      const database = await stage.service();
      const gate = createGate();
      const cancelled: unknown[] = [];
      const { scheduler, stats } = schedulerOf(database, {
        async handle(tick) {
          tick.scope.onCancel((reason) => cancelled.push(reason.reason));
          if (tick.attempt === 1) await gate.opened;
          await note(tick);
        },
      });
      await scheduler.start();
      const asked = scheduler.runNow("tick");
      await until("it runs", 5_000, async () => (await openTicks(database)) === 1);
      await database.sql`update plinth_leases set epoch = epoch + 1, owner = 'thief', expires_at = clock_timestamp() + interval '500 ms'`;
      await until("told", 5_000, () => cancelled.length === 1);
      gate.open();
      assert.deepEqual(cancelled, ["LEASE_LOST"]);
      const report = await asked;
      assert.equal(report.state, "done");
      assert.equal(report.attempts, 2);
      assert.equal(stats().lostCount, 1);
      assert.equal((await effects(database)).length, 1);
      await scheduler.drain();
    });

    it("cancel what still runs when the signal of a drain aborts, and leave it to the next leader", async () => {
      const database = await stage.service();
      let began = 0;
      const first = schedulerOf(database, {
        deadline: "10m",
        async handle({ scope }) {
          began++;
          await new Promise((_resolve, reject) => scope.onCancel(reject));
        },
      });
      await first.scheduler.start();
      void first.scheduler.runNow("tick", 0);
      await until("it runs", 10_000, () => began === 1);
      const abort = new AbortController();
      const draining = [first.scheduler.drain(), first.scheduler.drain(abort.signal)];
      abort.abort();
      await Promise.all(draining);
      const [open] = await database.sql`select attempts from plinth_ticks where state = 'open'`;
      assert.equal(open?.attempts, 0, "it was not the tick's fault");
      const attempts: number[] = [];
      const next = schedulerOf(database, {
        async handle(tick) {
          attempts.push(tick.attempt);
          await note(tick);
        },
      });
      await next.scheduler.start();
      await until("it ran", 10_000, () => attempts.length > 0);
      await next.scheduler.drain();
      assert.equal(attempts[0], 1);
    });

    it("give up on a tick whose every attempt ended without an answer, and go on", async () => {
      const database = await stage.service();
      await database.sql`insert into plinth_ticks (schedule, scheduled_at, attempts) values ('tick', date_trunc('second', now()) - interval '1 h', 3)`;
      const { scheduler, stats, log } = schedulerOf(database, { every: "100ms" });
      await scheduler.start();
      await until("the next one ran", 10_000, () => stats().doneCount > 0);
      await scheduler.drain();
      assert.equal(stats().failedCount, 1);
      assert.ok(log.includes("a tick has failed TICK_ATTEMPTS_EXHAUSTED"));
      const [failed] = await database.sql`select error_reason from plinth_ticks where state = 'failed'`;
      assert.equal(failed?.error_reason, "TICK_ATTEMPTS_EXHAUSTED");
    });

    it("change nothing in an attempt that another one took over", async () => {
      const database = await stage.service();
      const { scheduler, stats } = schedulerOf(database, {
        async handle(tick) {
          if (tick.attempt === 1) await database.sql`update plinth_ticks set attempts = attempts + 1`;
          await note(tick);
        },
      });
      await scheduler.start();
      const report = await scheduler.runNow("tick");
      assert.equal(report.attempts, 3);
      assert.deepEqual(
        (await effects(database)).map(({ n }) => n),
        [3],
      );
      assert.equal(stats().lostCount, 1);
      await scheduler.drain();
    });

    it("count no attempt against a tick whose transaction got no session", async () => {
      const { schema } = await stage.service();
      let refused = 0;
      const driver: DatabaseDriver = {
        ...pick(stage.driver),
        async acquire(options) {
          if (!options.context || refused > 0) return stage.driver.acquire(options);
          refused++;
          throw error("resource_exhausted", "The database is busy.", { reason: "DATABASE_BUSY", executed: "no" });
        },
      };
      const database = createDatabase({ driver, schema });
      const { scheduler, stats } = schedulerOf(database);
      await scheduler.start();
      const report = await scheduler.runNow("tick");
      assert.equal(refused, 1);
      assert.deepEqual([report.state, report.attempts], ["done", 1]);
      assert.equal(stats().lostCount, 1);
      await scheduler.drain();
    });

    it("forget ticks beyond 7 days or the newest 1,000, schedules that are gone, and nothing that is open", async () => {
      const database = await stage.service();
      const store = createScheduleStore(database);
      await database.sql`insert into plinth_schedules (name, definition, last_tick, seen_at) values
        ('a', '', now(), now()), ('gone', '', now(), now() - interval '8 days')`;
      await database.sql`
        insert into plinth_ticks (schedule, scheduled_at, state, finished_at)
        select 'a', now() - n * interval '1 s', 'done', now() from generate_series(1, 1100) n`;
      await database.sql`insert into plinth_ticks (schedule, scheduled_at, state, finished_at) values
        ('a', now(), 'failed', now() - interval '8 days'), ('a', now() - interval '9 days', 'open', null),
        ('gone', now() - interval '9 days', 'open', null), ('gone', now(), 'open', null)`;
      // The failed one is the newest of all, and counts among the 1,000.
      let deleted = 0;
      for (let piece = 50; piece === 50; deleted += piece) piece = await store.deleteOld(50);
      assert.equal(deleted, 103);
      const rows = await database.sql<{ schedule: string; state: string; count: number }>`
        select schedule, state, count(*)::int as count from plinth_ticks group by 1, 2 order by 1, 2`;
      assert.deepEqual(rows, [
        { schedule: "a", state: "done", count: 999 },
        { schedule: "a", state: "open", count: 1 },
        { schedule: "gone", state: "open", count: 1 },
      ]);
      const left = await database.sql`select name from plinth_schedules`;
      assert.deepEqual(left, [{ name: "a" }]);
    });
  });
}

async function openTicks(database: Database): Promise<number> {
  const [row] = await database.sql<{ count: number }>`
    select count(*)::int as count from plinth_ticks where state = 'open' and attempts > 0`;
  return row?.count ?? 0;
}

describe("schedules without a database", () => {
  it("are refused at definition, with the remedy", () => {
    assert.throws(
      () => createScheduler({ service: "x", database: undefined, owner: "a", schedules: [] }),
      /service "x" has schedules and no database.*Add database\(\) to its needs/,
    );
  });
});
