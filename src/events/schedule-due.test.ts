import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../base/index.ts";
import type { CatchUp } from "./schedule.ts";
import { planSchedules } from "./schedule.ts";
import { dueOf } from "./schedule-due.ts";

function planOf(fields: { every?: `${number}m` | number; cron?: string; timeZone?: string; catchUp?: CatchUp }) {
  const [plan] = planSchedules([{ name: "x", async handle() {}, ...fields }], "test");
  assert.ok(plan);
  return plan;
}

const minute = 60_000;
const day = 24 * 60 * minute;

describe("what is due", () => {
  it("runs each tick of a week once, in a second, whatever the pace of looking", async () => {
    for (const fields of [
      { every: minute },
      { cron: "*/5 * * * *" },
      { cron: "30 2 * * *", timeZone: "Europe/Berlin" },
    ]) {
      const plan = planOf({ ...fields, catchUp: "all" });
      // From Wednesday to Wednesday, over the change of the clocks.
      const startMs = new Date("2024-03-27T00:00:00Z").getTime();
      const clock = createManualClock(startMs);
      let last = startMs;
      const ran: number[] = [];
      for (let i = 0; i < 7 * 24; i++) {
        await clock.advance(60 * minute);
        for (let due = dueOf(plan, last, clock.wallNow()); due; due = dueOf(plan, last, clock.wallNow())) {
          assert.equal(due.skippedCount, 0);
          last = due.lastTickMs;
          ran.push(due.tickMs ?? 0);
        }
      }
      const expected: number[] = [];
      for (let at = plan.times.next(startMs); at && at <= clock.wallNow(); at = plan.times.next(at)) expected.push(at);
      assert.deepEqual(ran, expected);
      assert.equal(ran.length, fields.every ? 7 * 24 * 60 : fields.timeZone ? 7 : 7 * 24 * 12);
    }
  });

  it("has nothing to do before the next tick, or when there is none", () => {
    assert.equal(dueOf(planOf({ every: "1m" }), 0, minute - 1), undefined);
    assert.equal(dueOf(planOf({ cron: "0 0 0 1 1 * 2001" }), Date.UTC(2002, 1), Date.UTC(2030, 1)), undefined);
  });

  it("after an outage runs the latest, and passes by the others", () => {
    assert.deepEqual(dueOf(planOf({ every: "1m" }), 0, 10 * minute + 30_000), {
      tickMs: 10 * minute,
      lastTickMs: 10 * minute,
      skippedCount: 9,
    });
  });

  it("after an outage of years finds the latest without counting all", () => {
    const due = dueOf(planOf({ cron: "0 3 * * *" }), 0, 20_000 * day);
    assert.equal(due?.tickMs, 19_999 * day + 3 * 60 * minute);
    assert.ok((due?.skippedCount ?? 0) >= 999);
    const monthly = dueOf(planOf({ cron: "0 0 1 * *" }), 0, Date.UTC(2020, 5, 15));
    assert.deepEqual(monthly?.tickMs, Date.UTC(2020, 5, 1));
    assert.deepEqual(monthly?.skippedCount, 50 * 12 + 4);
  });

  it('with "all" runs them in order, of the last 1,000', () => {
    const plan = planOf({ every: "1m", catchUp: "all" });
    assert.deepEqual(dueOf(plan, 0, 1_000 * minute), { tickMs: minute, lastTickMs: minute, skippedCount: 0 });
    const cut = dueOf(plan, 0, 1_500 * minute);
    assert.equal(cut?.tickMs, 501 * minute);
    assert.ok((cut?.skippedCount ?? 0) > 0, "and counts some of the others");
    const sparse = planOf({ cron: "0 * * * *", catchUp: "all" });
    assert.deepEqual(dueOf(sparse, 0, 30 * 60 * minute)?.tickMs, 60 * minute, "far fewer than 1,000");
  });

  it('with "none" runs what is not later than 5 s, and nothing else', () => {
    const plan = planOf({ every: "1m", catchUp: "none" });
    assert.deepEqual(dueOf(plan, 0, 3 * minute + 5_000)?.tickMs, 3 * minute);
    assert.deepEqual(dueOf(plan, 0, 3 * minute + 5_001), {
      tickMs: undefined,
      lastTickMs: 3 * minute,
      skippedCount: 3,
    });
  });
});
