import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StartError } from "../base/index.ts";
import type { Schedule } from "./schedule.ts";
import { planSchedules } from "./schedule.ts";

const sound: Schedule = { name: "clean", every: "1m", async handle() {} };

function problems(...schedules: Partial<Schedule>[]): string {
  try {
    planSchedules(
      schedules.map((fields) => ({ ...sound, ...fields })),
      "shop",
    );
  } catch (thrown) {
    assert.ok(thrown instanceof StartError);
    assert.equal(thrown.reason, "SCHEDULE_INVALID");
    return thrown.message;
  }
  return "";
}

describe("a schedule's definition", () => {
  it("has a deadline of 30 s, 4 attempts and the latest tick after an outage, unless told", () => {
    const [plan] = planSchedules([sound], "shop");
    assert.equal(plan?.deadlineMs, 30_000);
    assert.equal(plan?.retries.attemptsMax, 4);
    assert.equal(plan?.catchUp, "latest");
  });

  it("is refused with every problem, where it is and what to write", () => {
    const { every: _, ...timeless } = sound;
    assert.match(problems({ name: "a b" }), /^service "shop", schedule "a b": a name has 1 to 100 letters/);
    assert.match(problems({}, {}), /its name is taken/);
    assert.match(problems({ cron: "* * * * *" }), /either every, such as "1m", or cron/);
    assert.throws(() => planSchedules([timeless], "shop"), /either every, such as "1m", or cron/);
    assert.match(problems({ timeZone: "UTC" }), /every has no timeZone/);
    assert.match(problems({ deadline: "16m" }), /deadline is "16m"\. Give "1ms" to "15m"/);
    assert.match(problems({ deadline: "soon" as "1s" }), /deadline is "soon"/);
    assert.match(problems({ catchUp: "some" as "all" }), /catchUp is "some"\. Write one of latest, all, none/);
    assert.match(problems({ retries: ["25h"] }), /retries has "25h"/);
    assert.match(problems({ retries: Array(21).fill(1) }), /retries has 21 waits\. Give at most 20/);
    assert.match(problems(...Array.from({ length: 101 }, (_, i) => ({ name: `s${i}` }))), /101 schedules.*at most 100/);
    assert.equal(problems({ every: 1, catchUp: "some" as "all" }, { name: "?" }).split("\n").length, 3, "all at once");
  });
});
