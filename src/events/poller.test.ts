import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ManualClock } from "../base/index.ts";
import { createManualClock } from "../base/index.ts";
import { createPoller } from "./poller.ts";

/** Time in steps of 1 ms: a look takes a turn of the event loop. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let i = 0; i < ms; i++) await clock.advance(1);
}

function setUp(answers: (number | Error)[]) {
  const clock = createManualClock();
  const looks: number[] = [];
  const errors: unknown[] = [];
  const poller = createPoller({
    clock,
    onError: (thrown) => errors.push(thrown),
    async look() {
      looks.push(clock.now());
      const answer = answers.shift() ?? 0;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return { clock, looks, errors, poller };
}

describe("poller", () => {
  it("looks at once after work, and ever more rarely when there is none", async () => {
    const { clock, looks, poller } = setUp([1, 1]);
    poller.start();
    await pass(clock, 900);
    const waits = looks.slice(1).map((at, i) => at - (looks[i] as number));
    assert.ok((waits[0] as number) <= 1 && (waits[1] as number) <= 1, "twice at once");
    assert.deepEqual(waits.slice(2), [5, 10, 20, 40, 80, 160, 250, 250]);
    await poller.stop();
  });

  it("looks at once when woken", async () => {
    const { clock, looks, poller } = setUp([]);
    poller.start();
    await pass(clock, 600);
    const before = looks.length;
    await clock.advance(1);
    poller.wake();
    await clock.advance(0);
    assert.deepEqual(looks.slice(before), [clock.now()]);
    await poller.stop();
  });

  it("looks no more for what a wake has brought, when that was all, and keeps its rhythm", async () => {
    const clock = createManualClock();
    const looks: number[] = [];
    const answers = [0, 0, 3];
    const poller = createPoller({
      clock,
      isMoreLikely: () => false,
      onError: () => assert.fail(),
      async look() {
        looks.push(clock.now());
        return answers.shift() ?? 0;
      },
    });
    poller.start();
    await pass(clock, 10);
    poller.wake();
    await pass(clock, 50);
    const waits = looks.slice(1).map((at, i) => at - (looks[i] as number));
    assert.equal(waits[0], 5);
    assert.ok((waits[1] as number) < 10, "woken");
    assert.equal(waits[2], 20, "as if nobody had woken it");
    await poller.stop();
  });

  it("looks again when woken during a look", async () => {
    const clock = createManualClock();
    let looks = 0;
    let finish = () => {};
    const poller = createPoller({
      clock,
      onError: () => assert.fail(),
      look() {
        looks++;
        return new Promise((resolve) => {
          finish = () => resolve(0);
        });
      },
    });
    poller.start();
    await clock.advance(0);
    poller.wake();
    poller.wake();
    finish();
    await clock.advance(0);
    assert.equal(looks, 2);
    finish();
    await poller.stop();
  });

  it("reports a look that throws, and waits the longest before the next", async () => {
    const { clock, looks, errors, poller } = setUp([new Error("gone")]);
    poller.start();
    await pass(clock, 249);
    assert.deepEqual(looks, [0]);
    assert.equal(errors.length, 1);
    await pass(clock, 1);
    assert.deepEqual(looks, [0, 250]);
    await poller.stop();
  });

  it("looks no more once stopped, or before it is started", async () => {
    const { clock, looks, poller } = setUp([]);
    poller.wake();
    await clock.advance(500);
    assert.deepEqual(looks, []);
    poller.start();
    poller.start();
    await clock.advance(0);
    await poller.stop();
    poller.wake();
    await clock.advance(500);
    assert.deepEqual(looks, [500]);
  });
});
