import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ScheduleTimes } from "./schedule-times.ts";
import { readCron, readEvery } from "./schedule-times.ts";

function timesOf(read: ReturnType<typeof readCron>): ScheduleTimes {
  assert.ok("times" in read, "problem" in read ? read.problem : "");
  return read.times;
}

function problemOf(read: ReturnType<typeof readCron>): string {
  assert.ok("problem" in read);
  return read.problem;
}

/** The first `count` ticks after `from`, as "31T01:00" of UTC. */
function ticks(times: ScheduleTimes, from: string, count: number): string[] {
  const found: string[] = [];
  let at: number | undefined = new Date(from).getTime();
  while (found.length < count) {
    at = times.next(at);
    if (at === undefined) break;
    found.push(new Date(at).toISOString().slice(8, 16));
  }
  return found;
}

describe("times of a schedule", () => {
  it("counts every from 1970, so that processes agree whenever they began", () => {
    const times = timesOf(readEvery("15m"));
    assert.deepEqual(ticks(times, "2026-03-01T10:07:12.345Z", 3), ["01T10:15", "01T10:30", "01T10:45"]);
    assert.equal(times.next(0), 900_000, "later than, never at");
    assert.equal(times.definition, timesOf(readEvery(900_000)).definition);
  });

  it("reads a cron in its time zone", () => {
    const berlin = timesOf(readCron("0 3 * * *", "Europe/Berlin"));
    assert.deepEqual(ticks(berlin, "2024-01-01T00:00:00Z", 2), ["01T02:00", "02T02:00"]);
    assert.deepEqual(ticks(berlin, "2024-07-01T00:00:00Z", 2), ["01T01:00", "02T01:00"]);
    assert.deepEqual(ticks(timesOf(readCron("0 3 * * *")), "2024-07-01T00:00:00Z", 1), ["01T03:00"]);
    assert.deepEqual(ticks(timesOf(readCron("0  0 1 1 * ")), "2024-07-01T00:00:00Z", 1), ["01T00:00"]);
    assert.equal(timesOf(readCron("*/10 * * * * *")).next(1_000), 10_000, "six fields begin with seconds");
  });

  it("brings a fixed time that the spring leaves out when the gap is over, and each day once", () => {
    const times = timesOf(readCron("30 2 * * *", "Europe/Berlin"));
    assert.deepEqual(ticks(times, "2024-03-30T00:00:00Z", 3), ["30T01:30", "31T01:00", "01T00:30"]);
  });

  it("brings a fixed time that the autumn doubles once, the first time, also from a list of hours", () => {
    const times = timesOf(readCron("30 2 * * *", "Europe/Berlin"));
    assert.deepEqual(ticks(times, "2024-10-26T12:00:00Z", 2), ["27T00:30", "28T01:30"]);
    const list = timesOf(readCron("15 2,3 * * *", "Europe/Berlin"));
    assert.deepEqual(ticks(list, "2024-10-26T12:00:00Z", 3), ["27T00:15", "27T02:15", "28T01:15"]);
  });

  it("goes on through both changes where the cron has a wildcard or a step", () => {
    const times = timesOf(readCron("*/30 * * * *", "Europe/Berlin"));
    assert.deepEqual(ticks(times, "2024-03-31T00:15:00Z", 3), ["31T00:30", "31T01:00", "31T01:30"]);
    assert.deepEqual(ticks(times, "2024-10-27T00:15:00Z", 4), ["27T00:30", "27T01:00", "27T01:30", "27T02:00"]);
  });

  it("ends where a cron has years and they are over", () => {
    const times = timesOf(readCron("0 0 0 1 1 * 2024"));
    assert.deepEqual(ticks(times, "2023-06-01T00:00:00Z", 2), ["01T00:00"]);
  });

  it("refuses what cannot be read, or never comes, and says what to write", () => {
    assert.match(problemOf(readEvery(99)), /every is 99\. Write "100ms" to "366d"/);
    assert.match(problemOf(readEvery("367d")), /366d/);
    assert.match(problemOf(readEvery(100.5)), /whole milliseconds/);
    assert.match(problemOf(readEvery("1w" as "1d")), /"1w"/);
    assert.match(problemOf(readCron("61 * * * *")), /cannot be read .*61.*Write "minute hour/);
    assert.match(problemOf(readCron("* * * *")), /cannot be read/);
    assert.match(problemOf(readCron("? * * * *")), /another time in each process/);
    assert.match(problemOf(readCron("0 0 30 2 *")), /never comes/);
    assert.match(problemOf(readCron("0 0 * * *", "Mars/Olympus")), /timeZone is "Mars\/Olympus"\. Write a name of/);
  });
});
