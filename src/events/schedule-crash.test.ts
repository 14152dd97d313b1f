import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { newId, systemClock } from "../base/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import pglite from "../engines/pglite/index.ts";
import postgres from "../engines/postgres/index.ts";
import type { CrashPointName } from "./crash-points.ts";
import type { ScheduleProcessOptions } from "./fixtures/schedule-process.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage } from "./fixtures/stage.ts";
import { until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";
/** How many ticks the leaders are killed and stopped over. More on request. */
const ticks = Number(process.env.PLINTH_TEST_TICKS ?? 40);
const everyMs = 100;

function begin(options: ScheduleProcessOptions, crashPoint = ""): ChildProcess {
  const script = new URL("./fixtures/schedule-process.ts", import.meta.url).pathname;
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  return spawn(process.execPath, ["--conditions=plinth:source", "--import", "tsx", script, JSON.stringify(options)], {
    env: { ...env, PLINTH_CRASH_POINT: crashPoint },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** The checker: each tick from the first to the last took effect, and took it once. */
interface Verdict {
  readonly ticks: number;
  readonly twice: number;
  readonly missing: number;
  readonly failed: number;
}

async function judge(database: Database): Promise<Verdict> {
  const rows = await database.sql<{ key: string; count: number }>`
    select key, count(*)::int as count from effect group by key order by key`;
  const times = rows.map(({ key }) => new Date(key).getTime());
  const span = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / everyMs + 1;
  const [failed] = await database.sql<{ count: number }>`
    select count(*)::int as count from plinth_ticks where state = 'failed'`;
  return {
    ticks: rows.length,
    twice: rows.filter(({ count }) => count > 1).length,
    missing: span - rows.length,
    failed: failed?.count ?? 0,
  };
}

describe("schedules in five processes on Postgres", { skip }, () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage(postgres.ports.database?.(new URL(url ?? "")));
  });
  after(() => stage.close());

  async function chaos(database: Database, options: ScheduleProcessOptions): Promise<{ kills: number; stops: number }> {
    const children = new Map<number, ChildProcess>();
    const add = () => {
      const child = begin(options);
      children.set(child.pid ?? 0, child);
    };
    for (let i = 0; i < 5; i++) add();
    const leader = async (): Promise<ChildProcess | undefined> => {
      const [row] = await database.sql<{ owner: string }>`
        select owner from plinth_leases where name = 'schedules' and expires_at > clock_timestamp()`;
      return children.get(Number(row?.owner.split("#")[0]));
    };
    const done = async () => (await judge(database)).ticks;
    const faults = { kills: 0, stops: 0 };
    const waking: Promise<void>[] = [];
    try {
      for (let kill = true; ; kill = !kill) {
        const before = await done();
        await until("ticks go on", 30_000, async () => (await done()) > before + 3);
        if ((await done()) >= options.ticks) break;
        const child = await leader();
        if (!child) continue;
        if (kill) {
          child.kill("SIGKILL");
          faults.kills++;
          add();
          continue;
        }
        child.kill("SIGSTOP");
        faults.stops++;
        waking.push(systemClock.sleep(options.ttlMs * 2).then(() => void child.kill("SIGCONT")));
      }
      await Promise.all(waking);
      // Time for those who were woken to do harm.
      await systemClock.sleep(300);
    } finally {
      for (const child of children.values()) {
        child.kill("SIGCONT");
        child.kill("SIGKILL");
        await endOf(child);
      }
    }
    return faults;
  }

  it(`run each of ${ticks} ticks once, and skip none, while the leader is killed and stopped`, {
    timeout: 300_000,
  }, async () => {
    const database = await stage.service();
    const options = { url: url ?? "", schema: database.schema, everyMs, ticks, ttlMs: 600, renewMs: 80 };
    const faults = await chaos(database, options);
    const verdict = await judge(database);
    assert.ok(faults.kills > 0 && faults.stops > 0, "a run in which no fault bit proves nothing");
    assert.ok(verdict.ticks >= ticks);
    assert.deepEqual({ ...verdict, ticks }, { ticks, twice: 0, missing: 0, failed: 0 });
  });

  it("without fence and row run a tick twice when its leader is stopped in it, which the checker sees", async () => {
    const database = await stage.service();
    const options = {
      url: url ?? "",
      schema: database.schema,
      everyMs: 1_000,
      ticks: 1_000,
      ttlMs: 400,
      renewMs: 50,
      fenced: false,
      atomic: false,
    };
    const children = [begin(options), begin(options)];
    try {
      const owner = async () => {
        const [row] = await database.sql<{ owner: string }>`select owner from plinth_leases where name = 'schedules'`;
        return Number(row?.owner.split("#")[0]);
      };
      await until("the mutant runs a tick twice", 25_000, async () => {
        const pid = await owner();
        const child = children.find((each) => each.pid === pid);
        const [open] = await database.sql`select 1 as one from plinth_ticks where state = 'open'`;
        if (!open || !child) return false;
        child.kill("SIGSTOP");
        await until("another leads", 10_000, async () => (await owner()) !== pid).catch(() => {});
        await systemClock.sleep(200);
        child.kill("SIGCONT");
        await systemClock.sleep(200);
        return (await judge(database)).twice > 0;
      });
    } finally {
      for (const child of children) {
        child.kill("SIGCONT");
        child.kill("SIGKILL");
        await endOf(child);
      }
    }
  });
});

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

const engines: Readonly<Record<string, () => Promise<{ url: string; driver: DatabaseDriver }>>> = {
  async pglite() {
    const folder = await mkdtemp(join(tmpdir(), "plinth-schedules-"));
    folders.push(folder);
    return openable(`pglite://${join(folder, "data")}`, pglite.ports.database);
  },
  postgres: async () => openable(url ?? "", postgres.ports.database),
};

function openable(place: string, make: typeof postgres.ports.database) {
  const driver = make?.(new URL(place));
  assert.ok(driver);
  return { url: place, driver };
}

for (const [engine, make] of Object.entries(engines)) {
  describe(`a leader killed in the middle of a tick, on ${engine}`, { skip: engine === "postgres" && skip }, () => {
    async function crash(point: CrashPointName, atomic: boolean): Promise<Verdict> {
      const { url: place, driver } = await make();
      const schema = `schedule_crash_${newId().replaceAll("-", "")}`;
      const options = { url: place, schema, everyMs, ticks: 4, ttlMs: 400, renewMs: 50, atomic };
      const killed = begin(options, `${point}:2`);
      await endOf(killed);
      assert.equal(killed.signalCode, "SIGKILL", "it was killed");
      const next = begin(options);
      await endOf(next);
      assert.equal(next.exitCode, 0);
      await driver.open();
      const database = createDatabase({ driver, schema });
      const verdict = await judge(database);
      await database.session((session) => session.script(`drop schema "${schema}" cascade`));
      await driver.close();
      return verdict;
    }

    for (const point of ["tick.claimed", "tick.written", "tick.committed"] as const) {
      it(`at ${point}: the tick takes effect once, and none is missing`, { timeout: 60_000 }, async () => {
        const { ticks: count, ...verdict } = await crash(point, true);
        assert.ok(count >= 4);
        assert.deepEqual(verdict, { twice: 0, missing: 0, failed: 0 });
      });
    }

    it("at tick.committed, with the row written afterwards: it takes effect twice, which the checker sees", async () => {
      assert.equal((await crash("tick.committed", false)).twice, 1);
    });
  });
}
