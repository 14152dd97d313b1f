/**
 * A process with an event loop, in virtual time: what the guard is worth does not depend on the machine. Each request costs
 * 4.1 ms of the processor, reading one 0.03 ms, refusing one 0.045 ms; a third of what can be shed first waits for 15 ms
 * for one of 16 sessions, and costs its time when nobody can refuse it any more.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "../base/index.ts";
import { createSeededRandom } from "../base/index.ts";
import { createLane } from "./adaptive-limit.ts";
import type { Pass } from "./overload.ts";
import { createOverload } from "./overload.ts";

interface Task {
  at: number;
  readonly everyMs?: number;
  readonly run: () => void;
}

interface Kind {
  readonly level: number;
  readonly perSecond: number;
  readonly waits: boolean;
  readonly lane: ReturnType<typeof createLane>;
  sent: number;
  good: number;
}

const workMs = 4.1;
const readMs = 0.03;
const refuseMs = 0.045;
const sessionMs = 15;
const goodMs = 1_000;
const capacity = 1_000 / (workMs + readMs);
const criticalShare = 0.3;

class Loop {
  nowMs = 0;
  readonly #tasks = new Set<Task>();
  #atTurnEnd: (() => void)[] = [];
  #probeAt = 10;
  readonly #delays: number[] = [];
  readonly clock = {
    now: () => this.nowMs,
    every: (everyMs: number, run: () => void) => this.#add({ at: this.nowMs + everyMs, everyMs, run }),
  } as unknown as Clock;

  readonly atTurnEnd = (task: () => void): void => void this.#atTurnEnd.push(task);

  readonly delay = (): number => {
    const delays = this.#delays.splice(0);
    return delays.reduce((sum, ms) => sum + ms, 0) / Math.max(1, delays.length);
  };

  after(ms: number, run: () => void): void {
    this.#add({ at: this.nowMs + ms, run });
  }

  /** Timers, then what has come, then the end of the turn. */
  async turn(nextAt: number, poll: (untilMs: number) => void): Promise<void> {
    for (const task of [...this.#tasks].filter(({ at }) => at <= this.nowMs)) {
      if (task.everyMs === undefined) this.#tasks.delete(task);
      else task.at = this.nowMs + task.everyMs;
      task.run();
    }
    if (this.nowMs >= this.#probeAt) {
      this.#delays.push(this.nowMs - this.#probeAt);
      this.#probeAt = this.nowMs + 10;
    }
    if (this.#atTurnEnd.length === 0) {
      this.nowMs = Math.max(this.nowMs, Math.min(nextAt, this.#probeAt, ...[...this.#tasks].map(({ at }) => at)));
    }
    poll(this.nowMs);
    for (const task of this.#atTurnEnd.splice(0)) task();
    await new Promise((resolve) => setImmediate(resolve));
  }

  #add(task: Task): () => void {
    this.#tasks.add(task);
    return () => void this.#tasks.delete(task);
  }
}

async function simulate(factor: number, seconds: number) {
  const random = createSeededRandom(7);
  const loop = new Loop();
  const overload = createOverload({ clock: loop.clock, random, loopDelay: loop.delay, atTurnEnd: loop.atTurnEnd });
  const kind = (level: number, share: number, waits = false): Kind => ({
    level,
    perSecond: share * capacity,
    waits,
    lane: createLane(),
    sent: 0,
    good: 0,
  });
  const rest = factor - criticalShare;
  const critical = kind(2, criticalShare);
  const kinds = [critical, kind(1, rest / 3, true), kind(0, (2 * rest) / 3)];
  const arrivals = kinds.flatMap((each) => {
    const times: { at: number; kind: Kind }[] = [];
    for (let at = 0; at < seconds * 1_000; at += (-Math.log(1 - random.next()) * 1_000) / each.perSecond)
      times.push({ at, kind: each });
    return times;
  });
  arrivals.sort((a, b) => a.at - b.at);
  let sessions = 16;
  const waiting: (() => void)[] = [];

  const work = (each: Kind, at: number, pass: Pass): void => {
    loop.nowMs += workMs;
    if (loop.nowMs - at <= goodMs) each.good++;
    pass.end(loop.nowMs);
  };
  const begin = (each: Kind, at: number, pass: Pass): void => {
    if (!each.waits) {
      work(each, at, pass);
      return;
    }
    const use = () =>
      loop.after(sessionMs, () => {
        const next = waiting.shift();
        if (next) next();
        else sessions++;
        work(each, at, pass);
      });
    if (sessions === 0) waiting.push(use);
    else {
      sessions--;
      use();
    }
  };
  let i = 0;
  while (i < arrivals.length || overload.stats.inFlight + overload.stats.queued > 0) {
    await loop.turn(arrivals[i]?.at ?? Number.POSITIVE_INFINITY, (untilMs) => {
      for (let next = arrivals[i]; next && next.at <= untilMs; next = arrivals[++i]) {
        const { at, kind: each } = next;
        each.sent++;
        loop.nowMs += readMs;
        const since = loop.nowMs;
        const pass = overload.tryEnter(each.lane, each.level, since);
        if (pass) begin(each, at, pass);
        else {
          const run = () => begin(each, at, overload.enter(each.lane, loop.nowMs));
          const refuse = () => {
            loop.nowMs += refuseMs;
          };
          overload.wait({ level: each.level, since, waitMaxMs: 100, isOver: false, run, refuse });
        }
      }
    });
  }
  const good = kinds.reduce((sum, each) => sum + each.good, 0);
  const sent = kinds.reduce((sum, each) => sum + each.sent, 0);
  return { ofPeak: good / seconds / capacity, ofSent: good / sent, critical: critical.good / critical.sent };
}

describe("a simulated process that is guarded", () => {
  it("refuses nobody at half of its capacity", async () => {
    const { ofSent } = await simulate(0.5, 10);
    assert.ok(ofSent > 0.999, `${ofSent}`);
  });

  for (const [factor, min] of [
    [2, 0.9],
    [5, 0.85],
    [10, 0.8],
  ] as const) {
    it(`does ${min * 100} % of its peak at ${factor} times its capacity, and what is critical`, async () => {
      const { ofPeak, critical } = await simulate(factor, 10);
      assert.ok(ofPeak >= min, `${ofPeak}`);
      assert.ok(critical >= 0.999, `${critical}`);
    });
  }
});
