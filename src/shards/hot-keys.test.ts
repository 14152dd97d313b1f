import assert from "node:assert/strict";
import { it } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createHotKeys } from "./hot-keys.ts";

it("every key with more than its share of uses is among the hot ones, and no count is too low", () => {
  const hot = createHotKeys(createManualClock(), 8);
  for (let i = 0; i < 1_000; i++) {
    hot.note(`cold-${i}`);
    if (i % 4 === 0) hot.note("warm");
    if (i % 2 === 0) hot.note("hot");
  }
  const [first, second] = hot.top(2);
  assert.deepEqual([first?.key, second?.key], ["hot", "warm"]);
  assert.ok((first?.count ?? 0) >= 500 && (first?.count ?? 0) - (first?.errorMax ?? 0) <= 500);
  assert.equal(hot.top(100).length, 8);
});

it("what was hot a while ago is not hot now", async () => {
  const clock = createManualClock();
  const hot = createHotKeys(clock);
  for (let i = 0; i < 100; i++) hot.note("yesterday");
  await clock.advance(10 * 60_000);
  hot.note("today");
  assert.equal(hot.top(1)[0]?.key, "today");
  assert.ok((hot.top(1)[0]?.share ?? 0) > 0.9);
});
