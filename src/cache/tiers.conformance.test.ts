import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createCache } from "./cache.ts";
import type { CreateCacheOptions } from "./cache-options.ts";
import { createMemoryCache } from "./memory.ts";
import { createNearTier } from "./near.ts";
import { createSharedEngine } from "./shared-engine.fixture.ts";
import type { TierSuiteOptions } from "./suite-tiers.ts";
import { mismatchesOf, tierSuite } from "./suite-tiers.ts";

/** Time passes by itself where a cache waits for another one. */
function flowing() {
  const clock = createManualClock();
  const sleep = async (ms: number) => {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(ms / 1000);
  };
  return { clock, cacheClock: { ...clock, now: clock.now, sleep } };
}

const { clock, cacheClock } = flowing();
const wait = (ms: number) => clock.advance(ms);
const memory: TierSuiteOptions = {
  wait,
  lagMsMax: 1,
  async makeCache(options) {
    return createCache({ ...options, driver: createMemoryCache({ clock }), clock: cacheClock });
  },
};
for (const { name, run } of tierSuite(memory)) test(`memory ${name}`, run);

/** Two tiers on an engine whose messages take a while, and overtake and are overtaken by answers. */
function twoTiers(): TierSuiteOptions {
  const engine = createSharedEngine(createMemoryCache({ clock }), { clock: cacheClock });
  return {
    wait: async (ms) => {
      await engine.deliver();
      await clock.advance(ms);
    },
    lagMsMax: 1,
    async makeCache(options: Omit<CreateCacheOptions, "driver" | "near">) {
      const driver = engine.connect();
      const near = createNearTier({ driver, clock });
      const cache = createCache({ ...options, driver, near, clock: cacheClock });
      return Object.assign(cache, {
        async close() {
          near.close();
          await driver.close();
        },
      });
    },
  };
}
for (const { name, run } of tierSuite(twoTiers())) test(`two tiers ${name}`, run);

for (const [name, options] of [
  ["memory", memory],
  ["two tiers", twoTiers()],
] as const) {
  test(`${name}: the claim about agreement fails where loads are stored without a lease`, async () => {
    const make = (more: Partial<CreateCacheOptions> = {}) => options.makeCache({ namespace: "mutant", ...more });
    const mismatches = await mismatchesOf({ make, options }, { fillWithoutLease: true });
    assert.ok(mismatches.length > 0, "the mutant was not caught");
  });
}
