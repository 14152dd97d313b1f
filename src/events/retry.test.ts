import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createSeededRandom, error, StartError, toPlinthError } from "../base/index.ts";
import { Redeliver, refusalOf } from "./redeliver.ts";
import { isTerminal, planRetries, retriesDefault, waitAfter } from "./retry.ts";

describe("retries", () => {
  const random = createSeededRandom(1);

  it("makes 1 + 5 attempts by default, each later than the last, with jitter", () => {
    const plan = planRetries(retriesDefault, "email.send");
    assert.equal(plan.attemptsMax, 6);
    const full = [1_000, 5_000, 30_000, 120_000, 600_000];
    const waits = full.map((_, i) => plan.waitMs(i + 1, random));
    for (const [i, wait] of waits.entries()) {
      const whole = full[i] as number;
      assert.ok(wait > whole * 0.8 && wait <= whole, `${wait}`);
    }
    assert.notEqual(plan.waitMs(1, random), plan.waitMs(1, random));
  });

  it("makes one attempt when there are no retries", () => {
    assert.equal(planRetries([], "email.send").attemptsMax, 1);
    assert.ok(planRetries([], "email.send").waitMs(1, random) > 0);
  });

  it("refuses too many retries and waits that block a key for days", () => {
    for (const retries of [new Array(21).fill("1s"), ["2d"]] as const) {
      assert.throws(
        () => planRetries(retries, "email.send"),
        (thrown) =>
          thrown instanceof StartError &&
          thrown.reason === "RETRIES_UNUSABLE" &&
          /email\.send: retries/.test(thrown.message),
      );
    }
  });

  it("waits as long as an error asks for, and a day at most", () => {
    const after = (retry: number) => waitAfter(error("unavailable", "", { retry }), 1_000);
    assert.deepEqual([after(10), after(5_000), after(10 * 365 * 86_400_000)], [1_000, 5_000, 86_400_000]);
    assert.equal(waitAfter(error("unavailable", ""), 1_000), 1_000);
  });

  it("gives up at once on what fails the same way again, and on nothing else", () => {
    for (const code of ["invalid_argument", "out_of_range", "unimplemented"] as const)
      assert.ok(isTerminal(error(code, "")));
    for (const code of ["unavailable", "not_found", "internal", "failed_precondition", "aborted"] as const) {
      assert.ok(!isTerminal(error(code, "")));
    }
    assert.ok(!isTerminal(toPlinthError(new TypeError("a bug, perhaps only of today"))));
  });

  it("brings back after 1 s what was refused without a delay", () => {
    assert.deepEqual(refusalOf(new Error("x")), { delayMs: 1000, counted: true });
    assert.deepEqual(refusalOf(new Redeliver(5, { counted: false, cause: 1 })), { delayMs: 5, counted: false });
  });
});
