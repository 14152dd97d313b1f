import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock, createSeededRandom } from "../base/index.ts";
import { createSweeper } from "./sweeper.ts";

function setUp(answers: (number | Error)[], everyMs = 1000) {
  const clock = createManualClock();
  const errors: unknown[] = [];
  let pieces = 0;
  const sweeper = createSweeper({
    clock,
    random: createSeededRandom(1),
    everyMs,
    onError: (thrown) => errors.push(thrown),
    async sweep(size) {
      pieces++;
      const answer = answers.shift() ?? size;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return { clock, errors, sweeper, pieces: () => pieces };
}

describe("sweeper", () => {
  it("does not clean at the start, then piece by piece while there is more", async () => {
    const { clock, sweeper, pieces } = setUp([1000, 1000, 3]);
    sweeper.start();
    await clock.advance(799);
    assert.equal(pieces(), 0);
    await clock.advance(201);
    assert.equal(pieces(), 3);
    await sweeper.stop();
  });

  it("leaves what is left after 100 pieces for the next time", async () => {
    const { clock, sweeper, pieces } = setUp([]);
    sweeper.start();
    await clock.advance(1000);
    assert.equal(pieces(), 100);
    await clock.advance(1000);
    assert.equal(pieces(), 200);
    await sweeper.stop();
  });

  it("goes on a second later where there is more, however seldom it begins", async () => {
    const { clock, sweeper, pieces } = setUp([], 60_000);
    sweeper.start();
    await clock.advance(60_000);
    const first = pieces();
    assert.ok(first >= 100);
    await clock.advance(1_000);
    assert.ok(pieces() >= first + 100);
    await sweeper.stop();
  });

  it("reports a failure and comes back", async () => {
    const { clock, sweeper, pieces, errors } = setUp([new Error("gone"), 0]);
    sweeper.start();
    await clock.advance(1000);
    assert.equal(errors.length, 1);
    await clock.advance(1000);
    assert.equal(pieces(), 2);
    await sweeper.stop();
    await clock.advance(5000);
    assert.equal(pieces(), 2);
  });
});
