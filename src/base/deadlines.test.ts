import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createManualClock } from "./clock.ts";
import { createDeadlines, type DeadlineEntry } from "./deadlines.ts";
import { createSeededRandom } from "./random.ts";
import { uncaughtErrors } from "./testing.ts";

function entry(onDeadline: () => void = () => assert.fail("fired")): DeadlineEntry {
  return { deadlineSlot: -1, deadlinePrev: undefined, deadlineNext: undefined, deadlineAt: 0, onDeadline };
}

/** A manual clock that counts the intervals that run on it. */
function countingClock() {
  const clock = createManualClock();
  const running = { count: 0 };
  const every: typeof clock.every = (everyMs, task) => {
    running.count++;
    const end = clock.every(everyMs, task);
    return () => {
      running.count--;
      end();
    };
  };
  return { clock: { ...clock, every }, running };
}

describe("deadlines", () => {
  test("fire within one tick after their time, never before", async () => {
    const random = createSeededRandom(1);
    const clock = createManualClock();
    await clock.advance(7);
    const deadlines = createDeadlines(clock);
    let fired = 0;
    for (let i = 0; i < 500; i++) {
      const at = 7 + random.next() * 30_000;
      const onDeadline = () => {
        fired++;
        assert.ok(clock.now() >= at && clock.now() <= at + 20, `${at} fired at ${clock.now()}`);
      };
      deadlines.add(entry(onDeadline), at);
    }
    await clock.advance(30_100);
    assert.equal(fired, 500);
  });

  test("fire once for all that were missed when the process slept", () => {
    let nowMs = 0;
    let tick = () => {};
    const clock = {
      ...createManualClock(),
      now: () => nowMs,
      every(_everyMs: number, task: () => void) {
        tick = task;
        return () => {};
      },
    };
    const deadlines = createDeadlines(clock);
    let fired = 0;
    for (const at of [10, 5000, 60_000, 3_600_000])
      deadlines.add(
        entry(() => fired++),
        at,
      );
    deadlines.add(entry(), 3_600_100);
    nowMs = 3_600_000;
    tick();
    assert.equal(fired, 4);
  });

  test("do not fire when they were removed, wherever they stand in their slot", async () => {
    const clock = createManualClock();
    const deadlines = createDeadlines(clock);
    for (const removed of [0, 1, 2]) {
      const fired: number[] = [];
      const entries = [0, 1, 2].map((index) => entry(() => fired.push(index)));
      for (const item of entries) deadlines.add(item, clock.now() + 100);
      deadlines.remove(entries[removed] as DeadlineEntry);
      await clock.advance(200);
      assert.deepEqual(
        fired.sort(),
        [0, 1, 2].filter((index) => index !== removed),
      );
    }
  });

  test("removing what is nowhere does nothing", async () => {
    const clock = createManualClock();
    const deadlines = createDeadlines(clock);
    let fired = 0;
    const item = entry(() => fired++);
    deadlines.remove(item);
    deadlines.add(item, 50);
    await clock.advance(100);
    deadlines.remove(item);
    deadlines.remove(item);
    assert.equal(fired, 1);
  });

  test("one that is already over fires at the next tick", async () => {
    const clock = createManualClock();
    await clock.advance(1000);
    let fired = 0;
    createDeadlines(clock).add(
      entry(() => fired++),
      5,
    );
    await clock.advance(20);
    assert.equal(fired, 1);
  });

  test("adding again moves, and a deadline without end is none", async () => {
    const { clock, running } = countingClock();
    const deadlines = createDeadlines(clock);
    const at: number[] = [];
    const item = entry(() => at.push(clock.now()));
    deadlines.add(item, 100);
    deadlines.add(item, 300);
    await clock.advance(1000);
    assert.deepEqual(at, [300]);
    deadlines.add(item, 2000);
    deadlines.add(item, Number.POSITIVE_INFINITY);
    await clock.advance(5000);
    assert.equal(at.length, 1);
    assert.equal(running.count, 0);
    assert.throws(() => deadlines.add(item, Number.NaN), /a deadline is a number/);
  });

  test("one that fires may remove, move and add others, also those due with it", async () => {
    const clock = createManualClock();
    const deadlines = createDeadlines(clock);
    const fired: string[] = [];
    const removed = entry();
    const moved = entry(() => fired.push(`moved ${clock.now()}`));
    const added = entry(() => fired.push(`added ${clock.now()}`));
    const other = entry(() => fired.push(`other ${clock.now()}`));
    const first = entry(() => {
      fired.push(`first ${clock.now()}`);
      deadlines.remove(removed);
      deadlines.add(moved, 500);
      deadlines.add(added, 0);
    });
    // The newest of a slot fires first, so `first` is added last.
    for (const item of [other, removed, moved, first]) deadlines.add(item, 100);
    await clock.advance(1000);
    assert.deepEqual(fired, ["first 100", "other 100", "added 120", "moved 500"]);
  });

  test("one that throws keeps no other from firing, and its error is not lost", async () => {
    const clock = createManualClock();
    const deadlines = createDeadlines(clock);
    let fired = 0;
    deadlines.add(
      entry(() => fired++),
      10,
    );
    deadlines.add(
      entry(() => {
        throw new Error("in a deadline");
      }),
      10,
    );
    deadlines.add(
      entry(() => fired++),
      10,
    );
    const errors = await uncaughtErrors(() => clock.advance(20));
    assert.equal(fired, 2);
    assert.deepEqual(errors.map(String), ["Error: in a deadline"]);
  });

  test("the timer runs only while something waits", async () => {
    const { clock, running } = countingClock();
    const deadlines = createDeadlines(clock);
    assert.equal(running.count, 0);
    deadlines.add(
      entry(() => {}),
      50,
    );
    deadlines.add(
      entry(() => {}),
      90,
    );
    assert.equal(running.count, 1);
    await clock.advance(100);
    assert.equal(running.count, 0);
    deadlines.add(
      entry(() => {}),
      150,
    );
    assert.equal(running.count, 1);
    await clock.advance(100);
    assert.equal(running.count, 0);
  });
});
