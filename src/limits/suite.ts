import assert from "node:assert/strict";
import { newId } from "../base/index.ts";
import type { Demand, LimitDriver, Taken } from "./driver.ts";
import { demandsMax } from "./driver.ts";
import type { Rule } from "./rule.ts";

/** One claim about a driver. Rejects with an AssertionError when it does not hold. */
export interface LimitCase {
  readonly name: string;
  run(): Promise<void>;
}

export interface LimitSuiteOptions {
  /** A driver that is not open yet. Those of a shared engine count together. */
  makeDriver(): LimitDriver;
  /** Lets time pass for the store. */
  wait(ms: number): Promise<void>;
}

/** What every limiter must prove. Each case counts under names of its own, which the engine forgets by itself. */
export function limitSuite(options: LimitSuiteOptions): readonly LimitCase[] {
  return claims.map(({ name, prove }) => ({
    name,
    async run() {
      const driver = options.makeDriver();
      await driver.open();
      try {
        await prove({ driver, slot: `suite-${newId()}`, ...options });
      } finally {
        await driver.close();
      }
    },
  }));
}

interface Bench extends LimitSuiteOptions {
  readonly driver: LimitDriver;
  readonly slot: string;
}

interface Claim {
  readonly name: string;
  prove(bench: Bench): Promise<void>;
}

const minute = 60_000;
const windowOf = (quota: number, windowMs = minute): Rule => ({ kind: "window", quota, windowMs });
const bucketOf = (quota: number, burst: number, windowMs = minute): Rule => ({
  kind: "bucket",
  quota,
  burst,
  windowMs,
});
const dayOf = (quota: number): Rule => ({ kind: "calendar", quota, period: "day" });
const placesOf = (quota: number, holdMs = minute): Rule => ({ kind: "places", quota, holdMs });

const take = async ({ driver, slot }: Bench, ...demands: Demand[]): Promise<Taken> => driver.take(slot, demands);
const ask = (bench: Bench, key: string, rule: Rule, cost = 1): Promise<Taken> => take(bench, { key, rule, cost });
const hold = (bench: Bench, key: string, rule: Rule, holder: string): Promise<Taken> =>
  take(bench, { key, rule, cost: 1, holder });

/** How many of so many in a row are allowed. */
async function allowedOf(bench: Bench, count: number, key: string, rule: Rule): Promise<number> {
  let allowed = 0;
  for (let i = 0; i < count; i++) if ((await ask(bench, key, rule)).allowed) allowed++;
  return allowed;
}

/** Names that mean something to one product or another, and must mean nothing here. */
const hostileNames: readonly string[] = [
  "a:b",
  "{a}",
  "}{",
  "{}",
  "*",
  "a b",
  "a\r\nDEL b",
  "\0",
  "__proto__",
  "constructor",
  '"]) redis.call("FLUSHALL") --',
  "日本語",
  "\u{1f600}",
  "x".repeat(256),
];

const quotas: readonly Claim[] = [
  ...[windowOf(5), dayOf(5), bucketOf(5, 5)].map((rule) => ({
    name: `${rule.kind}: allows the quota and no more`,
    async prove(bench: Bench) {
      assert.equal(await allowedOf(bench, 8, "a", rule), 5);
    },
  })),
  ...[windowOf(5), dayOf(5), bucketOf(5, 5)].map((rule) => ({
    name: `${rule.kind}: of 100 that race for the last 5, 5 get it`,
    async prove(bench: Bench) {
      const all = await Promise.all(Array.from({ length: 100 }, () => ask(bench, "a", rule)));
      assert.equal(all.filter(({ allowed }) => allowed).length, 5);
    },
  })),
  {
    name: "says what is left, when there is more, and when a refused demand would fit",
    async prove(bench) {
      const first = (await ask(bench, "a", windowOf(3), 2)).states[0];
      assert.deepEqual([first?.fits, first?.remaining, first?.retryMs], [true, 1, 0]);
      assert.ok((first?.resetMs ?? 0) > minute / 2 && (first?.resetMs ?? 0) <= minute * 1.1, `${first?.resetMs}`);
      const refused = (await ask(bench, "a", windowOf(3), 2)).states[0];
      assert.deepEqual([refused?.fits, refused?.remaining], [false, 1]);
      assert.ok((refused?.retryMs ?? 0) >= (refused?.resetMs ?? 0) - 1000);
    },
  },
  {
    name: "a cost is taken whole, or not at all",
    async prove(bench) {
      assert.equal((await ask(bench, "a", windowOf(10), 7)).allowed, true);
      assert.equal((await ask(bench, "a", windowOf(10), 4)).allowed, false);
      assert.equal((await ask(bench, "a", windowOf(10), 3)).allowed, true);
      assert.equal((await ask(bench, "a", windowOf(10), 1)).allowed, false);
    },
  },
  {
    name: "a cost of 0 asks and takes nothing",
    async prove(bench) {
      for (const rule of [windowOf(2), dayOf(2), bucketOf(2, 2), placesOf(2)]) {
        for (let i = 0; i < 5; i++) {
          const { allowed, states } = await ask(bench, rule.kind, rule, 0);
          assert.deepEqual([allowed, states[0]?.remaining], [true, 2], rule.kind);
        }
      }
    },
  },
  {
    name: "what costs more than there ever is never fits, and takes nothing",
    async prove(bench) {
      for (const rule of [windowOf(3), dayOf(3), bucketOf(100, 3)]) {
        const { allowed, states } = await ask(bench, rule.kind, rule, 1_000_000_000);
        assert.deepEqual([allowed, states[0]?.retryMs, states[0]?.remaining], [false, Number.POSITIVE_INFINITY, 3]);
      }
    },
  },
  {
    name: "a quota of a thousand million is counted exactly",
    async prove(bench) {
      const rule = windowOf(1_000_000_000);
      assert.equal((await ask(bench, "a", rule, 999_999_999)).states[0]?.remaining, 1);
      assert.equal((await ask(bench, "a", rule, 2)).allowed, false);
      assert.equal((await ask(bench, "a", rule, 1)).allowed, true);
    },
  },
  {
    name: "a day ends at midnight",
    async prove(bench) {
      await ask(bench, "a", dayOf(3));
      const { resetMs = 0, remaining } = (await ask(bench, "a", dayOf(3))).states[0] ?? {};
      assert.equal(remaining, 1);
      assert.ok(resetMs > 0 && resetMs <= 86_400_000);
    },
  },
  {
    name: "a month has 28 to 31 days",
    async prove(bench) {
      const rule: Rule = { kind: "calendar", quota: 1, period: "month" };
      await ask(bench, "a", rule);
      const { retryMs = 0 } = (await ask(bench, "a", rule)).states[0] ?? {};
      assert.ok(retryMs > 0 && retryMs <= 31 * 86_400_000);
    },
  },
];

const time: readonly Claim[] = [
  {
    name: "a window gives back what has left it",
    async prove(bench) {
      const rule = windowOf(4, 400);
      assert.equal(await allowedOf(bench, 6, "a", rule), 4);
      await bench.wait(460);
      assert.equal(await allowedOf(bench, 6, "a", rule), 4);
    },
  },
  {
    name: "a bucket fills up evenly, to its brim and not beyond",
    async prove(bench) {
      // One each 50 ms.
      const rule = bucketOf(20, 3, 1000);
      assert.equal(await allowedOf(bench, 3, "a", rule), 3);
      await bench.wait(75);
      assert.equal((await ask(bench, "a", rule)).allowed, true);
      await bench.wait(500);
      assert.equal((await ask(bench, "a", rule, 0)).states[0]?.remaining, 3);
    },
  },
  {
    name: "after the time that a refusal names, it fits",
    async prove(bench) {
      for (const rule of [windowOf(2, 300), bucketOf(10, 2, 1000)]) {
        await allowedOf(bench, 2, rule.kind, rule);
        const { allowed, states } = await ask(bench, rule.kind, rule);
        assert.equal(allowed, false);
        await bench.wait((states[0]?.retryMs ?? 0) + 5);
        assert.equal((await ask(bench, rule.kind, rule)).allowed, true, rule.kind);
      }
    },
  },
  {
    name: "asked all the time, it gives the quota for each window and no more",
    async prove(bench) {
      const rule = windowOf(20, 200);
      let allowed = 0;
      for (let passedMs = 0; passedMs < 600; passedMs += 10) {
        for (let i = 0; i < 5; i++) if ((await ask(bench, "a", rule)).allowed) allowed++;
        await bench.wait(10);
      }
      assert.ok(allowed >= 55, `${allowed} in three windows and what the asking itself took`);
    },
  },
];

const together: readonly Claim[] = [
  {
    name: "takes all of several demands, or nothing of any",
    async prove(bench) {
      const small = { key: "small", rule: windowOf(1), cost: 1 };
      const large = { key: "large", rule: dayOf(10), cost: 1 };
      const bucket = { key: "bucket", rule: bucketOf(10, 10), cost: 1 };
      const place = { key: "place", rule: placesOf(10), cost: 1, holder: "x" };
      assert.equal((await take(bench, large, small, bucket, place)).allowed, true);
      const refused = await take(bench, large, small, bucket, { ...place, holder: "y" });
      assert.deepEqual(
        [refused.allowed, refused.states.map(({ fits }) => fits), refused.states.map(({ remaining }) => remaining)],
        [false, [true, false, true, true], [9, 0, 9, 9]],
      );
    },
  },
  {
    name: "decides as many demands at once as there may be",
    async prove(bench) {
      const demands = Array.from({ length: demandsMax }, (_, i) => ({ key: `k${i}`, rule: windowOf(i + 1), cost: 1 }));
      assert.deepEqual(
        (await take(bench, ...demands)).states.map(({ remaining }) => remaining),
        demands.map((_, i) => i),
      );
      assert.equal((await take(bench, ...demands)).allowed, false);
    },
  },
  {
    name: "keys know nothing of each other, whatever they are called",
    async prove(bench) {
      for (const key of hostileNames) {
        assert.equal((await ask(bench, key, windowOf(1))).allowed, true, key);
        assert.equal((await ask(bench, key, windowOf(1))).allowed, false, key);
      }
    },
  },
  {
    name: "a key whose rule became another begins anew",
    async prove(bench) {
      for (const rule of [windowOf(1), bucketOf(1, 1), dayOf(1)]) {
        assert.equal((await ask(bench, "a", rule)).allowed, true, rule.kind);
      }
      assert.equal((await hold(bench, "a", placesOf(1), "x")).allowed, true);
    },
  },
  {
    name: "users of one engine count together",
    async prove(bench) {
      if (!bench.driver.flags.shared) return;
      const other = bench.makeDriver();
      await other.open();
      try {
        const both = [bench, { ...bench, driver: other }];
        const all = await Promise.all(
          both.flatMap((each) => Array.from({ length: 20 }, () => ask(each, "a", dayOf(9)))),
        );
        assert.equal(all.filter(({ allowed }) => allowed).length, 9);
      } finally {
        await other.close();
      }
    },
  },
];

const places: readonly Claim[] = [
  {
    name: "places: as many hold one as there are, until they give it back",
    async prove(bench) {
      const rule = placesOf(2);
      assert.equal((await hold(bench, "a", rule, "1")).allowed, true);
      assert.deepEqual((await hold(bench, "a", rule, "2")).states[0]?.remaining, 0);
      const refused = await hold(bench, "a", rule, "3");
      assert.equal(refused.allowed, false);
      assert.ok((refused.states[0]?.retryMs ?? 0) > 0);
      await bench.driver.release(bench.slot, [{ key: "a", holder: "1", holdMs: minute }]);
      await bench.driver.release(bench.slot, [{ key: "a", holder: "nobody", holdMs: minute }]);
      await bench.driver.release(bench.slot, [{ key: "never heard of", holder: "1", holdMs: minute }]);
      assert.equal((await hold(bench, "a", rule, "3")).allowed, true);
      assert.equal((await hold(bench, "a", rule, "4")).allowed, false);
    },
  },
  {
    name: "places: of 100 that race for 3, 3 get one",
    async prove(bench) {
      const all = await Promise.all(Array.from({ length: 100 }, (_, i) => hold(bench, "a", placesOf(3), `${i}`)));
      assert.equal(all.filter(({ allowed }) => allowed).length, 3);
    },
  },
  {
    name: "places: one that nobody renews is free after its time, one that is renewed is not",
    async prove(bench) {
      const rule = placesOf(2, 300);
      await hold(bench, "a", rule, "left");
      await hold(bench, "a", rule, "kept");
      await bench.wait(200);
      await bench.driver.renew(bench.slot, [{ key: "a", holder: "kept", holdMs: 300 }]);
      await bench.wait(200);
      assert.equal((await hold(bench, "a", rule, "new")).allowed, true);
      assert.equal((await hold(bench, "a", rule, "newer")).allowed, false);
    },
  },
  {
    name: "places: renewing does not bring back what was lost",
    async prove(bench) {
      const rule = placesOf(1, 100);
      await hold(bench, "a", rule, "late");
      await bench.wait(150);
      await bench.driver.renew(bench.slot, [{ key: "a", holder: "late", holdMs: minute }]);
      assert.equal((await hold(bench, "a", rule, "next")).allowed, true);
    },
  },
];

const claims: readonly Claim[] = [...quotas, ...time, ...together, ...places];
