import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createLane } from "./adaptive-limit.ts";
import { criticalities, isCriticality, levelOf, toLevel } from "./criticality.ts";
import type { OverloadOptions, Pass } from "./overload.ts";
import { createOverload, waitMaxMsOf } from "./overload.ts";
import type { Waiter } from "./overload-queue.ts";

const [sheddable, sheddablePlus, critical, criticalPlus] = [0, 1, 2, 3] as const;

function stage(options: Partial<OverloadOptions> = {}) {
  const clock = createManualClock();
  const turns: (() => void)[] = [];
  const overload = createOverload({
    clock,
    random: { next: () => 0.5 } as OverloadOptions["random"],
    loopDelay: () => 0,
    atTurnEnd: (task) => void turns.push(task),
    ...options,
  });
  const lane = createLane();
  const log: string[] = [];
  const passes: Pass[] = [];
  const waiterOf = (name: string, level: number, fields: Partial<Waiter> = {}): Waiter => ({
    level,
    since: clock.now(),
    waitMaxMs: 100,
    isOver: false,
    run() {
      log.push(`run ${name}`);
      passes.push(overload.enter(lane, clock.now()));
    },
    refuse: () => void log.push(`refuse ${name}`),
    ...fields,
  });
  return {
    clock,
    overload,
    lane,
    log,
    passes,
    enter: (level: number) => overload.tryEnter(lane, level, clock.now()),
    wait: (name: string, level: number, fields?: Partial<Waiter>) => overload.wait(waiterOf(name, level, fields)),
    /** The end of this turn of the loop, and what is settled by then. */
    async endTurn() {
      for (const task of turns.splice(0)) task();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe("a process with too much to do", () => {
  it("lets everybody in while there is room, and counts who is in flight", () => {
    const { enter, overload, clock } = stage();
    const passes = [enter(sheddable), enter(critical), enter(criticalPlus)];
    assert.equal(overload.stats.inFlight, 3);
    passes[0]?.end(clock.now());
    passes[1]?.release();
    assert.equal(overload.stats.inFlight, 1);
    assert.equal(overload.stats.limit, 2_000);
  });

  it("keeps room for what matters more: 35, 55, 90 and 100 % of the limit", () => {
    const { enter } = stage({ inFlightMax: 100 });
    const fill = (level: number) => {
      let count = 0;
      while (enter(level)) count++;
      return count;
    };
    assert.deepEqual([fill(sheddable), fill(sheddablePlus), fill(critical), fill(criticalPlus)], [35, 20, 35, 10]);
  });

  it("begins requests for only so long in a turn of the loop, by level", async () => {
    const { enter, clock, endTurn } = stage();
    assert.ok(enter(sheddable), "the first request opens the turn");
    await clock.advance(2);
    assert.equal(enter(sheddable), undefined);
    assert.ok(enter(sheddablePlus));
    await clock.advance(2);
    assert.deepEqual([enter(sheddablePlus), enter(critical) !== undefined], [undefined, true]);
    await clock.advance(12);
    assert.deepEqual([enter(critical), enter(criticalPlus) !== undefined], [undefined, true]);
    await clock.advance(34);
    assert.equal(enter(criticalPlus), undefined);
    await endTurn();
    assert.ok(enter(sheddable), "the next turn is a new one");
  });

  it("lets who waits in at the end of the turn: what matters more first, within a level who came first", async () => {
    const { wait, log, enter, clock, endTurn, overload } = stage();
    enter(sheddable);
    await clock.advance(10);
    wait("a", sheddable);
    wait("b", sheddable);
    wait("c", critical);
    assert.equal(overload.stats.queued, 3);
    for (let i = 0; i < 3; i++) await endTurn();
    assert.deepEqual(log, ["run c", "run a", "run b"]);
    assert.equal(overload.stats.queued, 0);
  });

  it("lets the last in first once the first has waited for long", async () => {
    const { wait, log, clock, endTurn } = stage();
    wait("a", critical);
    await clock.advance(15);
    wait("b", critical);
    await clock.advance(10);
    for (let i = 0; i < 2; i++) await endTurn();
    assert.deepEqual(log, ["run b", "run a"]);
  });

  it("goes on with who waits when somebody leaves, and looks at the clock between two", async () => {
    const { wait, log, enter, clock, endTurn, passes } = stage({ inFlightMax: 10 });
    const held = Array.from({ length: 9 }, () => enter(critical));
    assert.ok(held.every((pass) => pass));
    assert.equal(enter(critical), undefined);
    wait("a", critical);
    wait("b", critical);
    await endTurn();
    assert.deepEqual(log, [], "there is no place");
    held[0]?.end(clock.now());
    await endTurn();
    assert.deepEqual(log, ["run a"]);
    passes[0]?.end(clock.now());
    await endTurn();
    assert.deepEqual(log, ["run a", "run b"]);
  });

  it("does not begin in one turn what takes longer than the turn may", async () => {
    let workedMs = 0;
    const manual = createManualClock();
    const clock = { ...manual, now: () => manual.now() + workedMs };
    const { wait, log, endTurn, overload, lane } = stage({ clock });
    const slow = (name: string) => ({
      run() {
        log.push(name);
        overload.enter(lane, clock.now());
        workedMs += 15;
      },
    });
    for (const name of ["a", "b", "c"]) wait(name, sheddable, slow(name));
    await endTurn();
    assert.deepEqual(log, ["a"]);
    await endTurn();
    assert.deepEqual(log, ["a", "b"]);
  });

  it("lets what matters wait for longer than what is asked for again, and nobody for more than half of their time", () => {
    const waits = (leftMs: number) => criticalities.map((name) => waitMaxMsOf(levelOf(name), leftMs));
    assert.deepEqual(waits(10_000), [100, 100, 500, 500]);
    assert.deepEqual(waits(300), [100, 100, 150, 150]);
    assert.deepEqual(waits(50), [25, 25, 25, 25]);
  });

  it("refuses who has waited for 100 ms, or half of its time, and forgets who has gone", async () => {
    const { wait, log, clock, overload } = stage();
    wait("patient", critical);
    wait("hurried", critical, { waitMaxMs: 25 });
    wait("gone", critical, { isOver: true });
    await clock.advance(30);
    assert.deepEqual(log, ["refuse hurried"]);
    await clock.advance(80);
    assert.deepEqual(log, ["refuse hurried", "refuse patient"]);
    assert.deepEqual(overload.stats.shed(critical), { limit: 0, turn: 0, loop: 0, wait: 2 });
    assert.equal(overload.stats.queued, 0);
  });

  it("lets what is sheddable wait for only 20 ms when somebody has been waiting for 100 ms without a pause", async () => {
    const { wait, log, clock } = stage();
    wait("a", critical, { waitMaxMs: 1_000 });
    await clock.advance(110);
    wait("b", sheddable);
    wait("c", critical);
    await clock.advance(30);
    assert.deepEqual(log, ["refuse b"]);
  });

  it("lets no more than 16 of each sheddable level wait then, and as many as matter", async () => {
    const { wait, log, clock, overload } = stage();
    wait("first", critical, { waitMaxMs: 1_000 });
    await clock.advance(110);
    for (let i = 0; i < 20; i++) wait(`s${i}`, sheddable);
    for (let i = 0; i < 20; i++) wait(`c${i}`, critical);
    assert.deepEqual(log, ["refuse s16", "refuse s17", "refuse s18", "refuse s19"]);
    assert.equal(overload.stats.queued, 1 + 16 + 20);
  });

  it("has a bounded queue: the oldest of those that matter least makes room, or the newcomer is refused", async () => {
    const { wait, log, overload } = stage({ inFlightMax: 4 });
    for (const name of ["a", "b"]) wait(name, sheddable);
    for (const name of ["c", "d"]) wait(name, critical);
    wait("e", critical);
    wait("f", sheddable);
    wait("g", sheddable);
    for (const name of ["h", "i"]) wait(name, criticalPlus);
    wait("j", sheddable);
    assert.deepEqual(log, ["refuse a", "refuse b", "refuse f", "refuse g", "refuse c", "refuse j"]);
    assert.equal(overload.stats.queued, 4);
  });

  it("takes nothing sheddable while the loop is late by 50 ms, and nothing sheddable_plus by 200 ms", async () => {
    let delayMs = 0;
    const { enter, wait, log, clock, endTurn, overload } = stage({ loopDelay: () => delayMs });
    const admitted = async (): Promise<boolean[]> => {
      for (let i = 0; i < 30; i++) {
        await clock.advance(100);
        enter(criticalPlus)?.release();
        await endTurn();
      }
      const passes = [sheddable, sheddablePlus, critical].map(enter);
      for (const pass of passes) pass?.release();
      return passes.map((pass) => pass !== undefined);
    };
    assert.deepEqual(await admitted(), [true, true, true]);
    delayMs = 60;
    assert.deepEqual(await admitted(), [false, true, true]);
    wait("a", sheddable);
    assert.deepEqual(log, ["refuse a"], "nobody waits for a loop that is late");
    assert.equal(overload.stats.shed(sheddable).loop, 1);
    delayMs = 250;
    assert.deepEqual(await admitted(), [false, false, true]);
    assert.ok(overload.stats.loopDelayMs > 230);
    delayMs = 0;
    assert.deepEqual(await admitted(), [true, true, true]);
  });

  it("works on fewer at a time when they take longer than usual", async () => {
    const { enter, clock, endTurn, overload } = stage();
    const second = async (count: number, durationMs: number) => {
      const passes = Array.from({ length: count }, () => enter(critical));
      await endTurn();
      await clock.advance(durationMs);
      for (const pass of passes) pass?.end(clock.now());
      await clock.advance(1_000 - durationMs);
    };
    for (let i = 0; i < 5; i++) await second(20, 50);
    assert.equal(overload.stats.limit, 2_000);
    for (let i = 0; i < 3; i++) await second(200, 500);
    assert.ok(overload.stats.limit < 200, `${overload.stats.limit}`);
  });

  it("tells refused clients different times", () => {
    let next = 0;
    const { overload } = stage({ random: { next: () => next } as OverloadOptions["random"] });
    const seconds = [0, 0.5, 0.99].map((value) => {
      next = value;
      return overload.retryAfterSeconds();
    });
    assert.deepEqual(seconds, [1, 2, 3]);
  });

  it("asks Node for the loop's delay and the end of a turn when nobody says otherwise", async () => {
    const overload = createOverload({
      clock: createManualClock(),
      random: { next: () => 0 } as OverloadOptions["random"],
    });
    assert.ok(overload.tryEnter(createLane(), critical, 0));
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(overload.stats.loopDelayMs >= 0);
    overload.close();
  });

  it("asks nothing of the loop any more once it is closed", () => {
    let stops = 0;
    const loopDelay = Object.assign(() => 0, { stop: () => void stops++ });
    stage({ loopDelay }).overload.close();
    stage({ loopDelay: () => 0 }).overload.close();
    assert.equal(stops, 1);
  });
});

describe("criticality", () => {
  it("has four levels, critical unless told, also for what is not understood", () => {
    assert.deepEqual(criticalities.map(levelOf), [0, 1, 2, 3]);
    assert.equal(levelOf(), 2);
    assert.deepEqual([toLevel(0), toLevel(3), toLevel(4), toLevel(-1)], [0, 3, 2, 2]);
    assert.deepEqual([isCriticality("sheddable"), isCriticality("urgent"), isCriticality(2)], [true, false, false]);
  });
});
