import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createTimeLimit } from "./time-limit.ts";

test("passes on what comes in time, answer or error", async () => {
  const within = createTimeLimit({ name: "the engine", limit: 100, clock: createManualClock() });
  assert.equal(await within(Promise.resolve("answer")), "answer");
  await assert.rejects(within(Promise.reject(new Error("broken"))), /broken/);
});

test("gives up what takes longer, and says what and how long", async () => {
  const clock = createManualClock();
  const within = createTimeLimit({ name: "the engine", limit: 100, clock });
  const outcome = assert.rejects(within(new Promise(() => {})), {
    code: "unavailable",
    reason: "TOO_SLOW",
    message: "the engine did not answer within 100 ms.",
  });
  await clock.advance(120);
  await outcome;
});
