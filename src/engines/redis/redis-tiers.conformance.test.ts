import assert from "node:assert/strict";
import { test } from "node:test";
import { newId, systemClock } from "../../base/index.ts";
import { createCache, createNearTier } from "../../cache/index.ts";
import type { TierSuiteOptions } from "../../cache/testing.ts";
import { mismatchesOf, tierSuite } from "../../cache/testing.ts";
import redis from "./index.ts";
import { noServer, startCluster, until } from "./redis-server.fixture.ts";

const url = process.env.PLINTH_TEST_REDIS_URL;
const skip = url ? false : "PLINTH_TEST_REDIS_URL is not set";
const wait = (ms: number) => systemClock.sleep(ms);

/** One tier, or two: a cache as a process has it. */
function tiers(at: () => URL, isNear: boolean): TierSuiteOptions {
  return {
    wait,
    lagMsMax: isNear ? 100 : 1,
    async makeCache(options) {
      const driver = redis.ports.cache(at());
      const near = isNear ? createNearTier({ driver }) : undefined;
      await driver.open();
      if (near) await until(() => near.isWatching);
      const cache = createCache({ operationMax: "5s", ...options, driver, near });
      return Object.assign(cache, {
        async close() {
          near?.close();
          await driver.close();
        },
      });
    },
  };
}

for (const [label, isNear] of [
  ["one tier", false],
  ["two tiers", true],
] as const) {
  const options = tiers(() => new URL(url as string), isNear);
  for (const { name, run } of tierSuite(options)) test(`redis ${label} ${name}`, { skip }, run);

  test(`redis ${label}: the claim about agreement fails where loads are stored without a lease`, { skip }, async () => {
    const namespace = `mutant-${newId()}`;
    const made: { close(): Promise<void>; clear(): Promise<void> }[] = [];
    const make = async (more = {}) => {
      const cache = await options.makeCache({ namespace, ...more });
      made.push(cache);
      return cache;
    };
    const mismatches = await mismatchesOf({ make, options }, { fillWithoutLease: true });
    assert.ok(mismatches.length > 0, "the mutant was not caught");
    await made[0]?.clear();
    for (const cache of made) await cache.close();
  });
}

const cluster = noServer ? undefined : await startCluster();
const inCluster = tiers(() => new URL(`${cluster?.url}&spread=4`), true);
for (const { name, run } of tierSuite(inCluster)) test(`redis cluster, two tiers, ${name}`, { skip: noServer }, run);
test.after(() => cluster?.close());
