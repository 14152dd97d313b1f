import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { createManualClock, systemClock } from "./clock.ts";

describe("the manual clock", () => {
  test("stands still until told, and moves both times alike", async () => {
    const clock = createManualClock(1000);
    assert.deepEqual([clock.now(), clock.wallNow()], [0, 1000]);
    await clock.advance(250);
    assert.deepEqual([clock.now(), clock.wallNow()], [250, 1250]);
  });

  test("runs what falls due in the order of time, then of asking", async () => {
    const clock = createManualClock();
    const ran: string[] = [];
    clock.after(20, () => ran.push(`late at ${clock.now()}`));
    clock.after(10, () => ran.push(`first at ${clock.now()}`));
    clock.after(10, () => ran.push("second"));
    clock.after(31, () => ran.push("never"));
    clock.after(-5, () => ran.push("at once"));
    await clock.advance(30);
    assert.deepEqual(ran, ["at once", "first at 10", "second", "late at 20"]);
  });

  test("runs what a task adds, if it falls due within the same step", async () => {
    const clock = createManualClock();
    const ran: number[] = [];
    clock.after(10, () => clock.after(10, () => ran.push(clock.now())));
    await clock.advance(20);
    assert.deepEqual(ran, [20]);
  });

  test("lets promises settle between tasks, so that a loop with sleep keeps pace", async () => {
    const clock = createManualClock();
    const woke: number[] = [];
    const loop = (async () => {
      for (let i = 0; i < 3; i++) {
        await clock.sleep(100);
        woke.push(clock.now());
      }
    })();
    await clock.advance(1000);
    await loop;
    assert.deepEqual(woke, [100, 200, 300]);
  });

  test("repeats until it is ended, also from within the task", async () => {
    const clock = createManualClock();
    let count = 0;
    const end = clock.every(10, () => {
      if (++count === 3) end();
    });
    await clock.advance(100);
    assert.equal(count, 3);
  });

  test("a task that was cancelled does not run", async () => {
    const clock = createManualClock();
    const cancel = clock.after(10, () => assert.fail("ran"));
    cancel();
    await clock.advance(10);
  });

  test("a sleep ends with the reason of its signal, and leaves nothing behind", async () => {
    const clock = createManualClock();
    const stop = new AbortController();
    const sleep = clock.sleep(1000, stop.signal);
    stop.abort("enough");
    await assert.rejects(sleep, (reason) => reason === "enough");
    await assert.rejects(clock.sleep(1000, stop.signal), (reason) => reason === "enough");
    await clock.advance(2000);
  });

  test("refuses an interval that would never let time pass", () => {
    assert.throws(() => createManualClock().every(0, () => {}), /an interval is 1 ms to/);
  });
});

describe("the machine's clock", () => {
  test("tells a monotonic time and the time of day", async () => {
    const [nowMs, wallMs] = [systemClock.now(), systemClock.wallNow()];
    await wait(5);
    assert.ok(systemClock.now() > nowMs && systemClock.wallNow() >= wallMs && wallMs > 1_700_000_000_000);
  });

  test("runs after, every and sleep, and takes each back", async () => {
    let after = 0;
    let every = 0;
    systemClock.after(1, () => after++);
    const cancelAfter = systemClock.after(1, () => assert.fail("ran"));
    const endEvery = systemClock.every(1, () => every++);
    cancelAfter();
    await systemClock.sleep(30);
    endEvery();
    const ended = every;
    assert.ok(after === 1 && ended >= 2);
    await systemClock.sleep(10);
    assert.equal(every, ended);
  });

  test("a sleep ends with the reason of its signal", async () => {
    const stop = new AbortController();
    const sleep = systemClock.sleep(60_000, stop.signal);
    stop.abort("enough");
    await assert.rejects(sleep, (reason) => reason === "enough");
    await assert.rejects(systemClock.sleep(1, stop.signal), (reason) => reason === "enough");
  });

  test("a sleep with a signal that stays quiet takes its listener back", async () => {
    const quiet = new AbortController();
    let removed = 0;
    const { signal } = quiet;
    const remove = signal.removeEventListener.bind(signal);
    signal.removeEventListener = (...args: Parameters<AbortSignal["removeEventListener"]>) => {
      removed++;
      remove(...args);
    };
    await systemClock.sleep(1, signal);
    assert.equal(removed, 1);
  });

  test("a wait longer than Node's timers can hold does not end at once", async () => {
    const cancel = systemClock.after(2 ** 31 + 1000, () => assert.fail("ran"));
    await wait(20);
    cancel();
    assert.throws(() => systemClock.every(2 ** 31, () => {}), /an interval is 1 ms to/);
  });

  test("a wait longer than one timer is a chain of timers", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let ran = false;
    systemClock.after(2 ** 31 + 999, () => {
      ran = true;
    });
    t.mock.timers.tick(2 ** 31 - 1);
    assert.equal(ran, false);
    t.mock.timers.tick(999);
    assert.equal(ran, false);
    t.mock.timers.tick(1);
    assert.equal(ran, true);
  });
});
