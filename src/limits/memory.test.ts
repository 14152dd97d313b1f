import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createMemoryLimits } from "./memory.ts";
import { limitSuite } from "./suite.ts";

describe("the memory limiter", () => {
  const clock = createManualClock();
  const suite = limitSuite({ makeDriver: () => createMemoryLimits({ clock }), wait: (ms) => clock.advance(ms) });
  for (const { name, run } of suite) test(name, run);

  test("memory is bounded whatever keys a client makes up, and those that are used stay", async () => {
    const driver = createMemoryLimits({ keysMax: 1000, clock });
    const rule = { kind: "window", quota: 1, windowMs: 60_000 } as const;
    for (let i = 0; i < 50_000; i++) {
      await driver.take("s", [{ key: `made-up-${i}`, rule, cost: 1 }]);
      const { allowed } = await driver.take("s", [{ key: "steady", rule, cost: 1 }]);
      assert.equal(allowed, i === 0);
    }
    assert.ok(driver.keyCount <= 1000, `${driver.keyCount}`);
  });

  test("forgets everything when it is closed", async () => {
    const driver = createMemoryLimits({ clock });
    await driver.take("s", [{ key: "a", rule: { kind: "window", quota: 1, windowMs: 60_000 }, cost: 1 }]);
    await driver.close();
    assert.equal(driver.keyCount, 0);
  });
});
