import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { begin, endOf, everyMs, judge } from "./fixtures/schedule-fleet.ts";
import type { ScheduleProcessOptions } from "./fixtures/schedule-process.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage } from "./fixtures/stage.ts";
import { until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";
/** How many ticks the leaders are killed and stopped over. More on request. */
const ticks = Number(process.env.PLINTH_TEST_TICKS ?? 40);

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
    const options = { url: url ?? "", schema: database.schema, everyMs, ticks, ttlMs: 600, renewMs: 80, holdMs: 10 };
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
      ttlMs: 900,
      renewMs: 50,
      holdMs: 400,
      fenced: false,
      atomic: false,
    };
    const children = [begin(options), begin(options)];
    try {
      const owner = async () => {
        const [row] = await database.sql<{ owner: string }>`select owner from plinth_leases where name = 'schedules'`;
        return Number(row?.owner.split("#")[0]);
      };
      await until("the mutant runs a tick twice", 28_000, async () => {
        const pid = await owner();
        const child = children.find((each) => each.pid === pid);
        const [open] = await database.sql`select 1 as one from plinth_ticks where state = 'open'`;
        if (!open || !child) return false;
        child.kill("SIGSTOP");
        const before = (await judge(database)).ticks;
        await until("another runs it", 10_000, async () => (await judge(database)).ticks > before).catch(() => {});
        child.kill("SIGCONT");
        await systemClock.sleep(700);
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
