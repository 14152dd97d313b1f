import assert from "node:assert/strict";
import type { Random } from "../base/index.ts";
import { createSeededRandom, newId } from "../base/index.ts";
import type { Cache } from "./cache.ts";
import type { CreateCacheOptions } from "./cache-options.ts";
import type { CacheCase } from "./suite.ts";

export type TierCache = Cache & { close(): Promise<void> };

export interface TierSuiteOptions {
  /** A cache as one process has it, ready for use; its `close` ends all that was opened for it. */
  makeCache(options: Omit<CreateCacheOptions, "driver" | "near">): Promise<TierCache>;
  /** Lets time pass. */
  wait(ms: number): Promise<void>;
  /** The longest that another process may read what was invalidated. */
  lagMsMax: number;
}

/** What a service may count on, with one process or several, and with whatever tiers. Each case has its own namespace. */
export function tierSuite(options: TierSuiteOptions): readonly CacheCase[] {
  return claims.map(({ name, prove }) => ({
    name,
    async run() {
      const namespace = `tiers-${newId()}`;
      const made: TierCache[] = [];
      const make = async (more: Partial<CreateCacheOptions> = {}) => {
        const cache = await options.makeCache({ namespace, ...more });
        made.push(cache);
        return cache;
      };
      try {
        await prove({ make, options });
      } finally {
        await made[0]?.clear();
        for (const cache of made) await cache.close();
      }
    },
  }));
}

interface Bench {
  /** One more process. */
  make(options?: Partial<CreateCacheOptions>): Promise<TierCache>;
  readonly options: TierSuiteOptions;
}

interface Claim {
  readonly name: string;
  prove(bench: Bench): Promise<void>;
}

const changes: readonly [string, (cache: Cache) => Promise<void>][] = [
  ["invalidate", (cache) => cache.invalidate("tag")],
  ["delete", (cache) => cache.delete("a")],
  ["clear", (cache) => cache.clear()],
  ["set", (cache) => cache.set("a", "new", { tags: ["tag"] })],
];

const freshness: readonly Claim[] = [
  {
    name: "reads nothing older in this process once an invalidation has resolved, whatever others read meanwhile",
    async prove({ make }) {
      const cache = await make();
      const random = createSeededRandom(3);
      let truth = 0;
      const readers = Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 100; i++) {
          await cache.getOrLoad("a", () => truth, { tags: ["tag"] });
          await turns(random.uint32() % 3);
        }
      });
      for (let i = 0; i < 50; i++) {
        truth++;
        await cache.invalidate("tag");
        assert.equal(await cache.getOrLoad("a", () => truth, { tags: ["tag"] }), truth);
        await turns(random.uint32() % 5);
      }
      await Promise.all(readers);
    },
  },
  ...changes.map(([how, change]) => ({
    name: `reads nothing older in another process after ${how}, within the lag`,
    async prove({ make, options }: Bench) {
      const [one, other] = [await make(), await make()];
      if (!one.flags.shared) return;
      for (let round = 0; round < 2; round++) {
        await one.set("a", "old", { tags: ["tag"] });
        await options.wait(options.lagMsMax);
        assert.equal(await other.getOrLoad("a", () => "old", { tags: ["tag"] }), "old");
        await change(one);
        await options.wait(options.lagMsMax);
        assert.equal(await other.getOrLoad("a", () => "new", { tags: ["tag"] }), "new");
      }
    },
  })),
  ...changes.map(([how, change]) => ({
    name: `joins no load that began before another process's ${how}`,
    async prove({ make, options }: Bench) {
      const [one, other] = [await make(), await make()];
      if (!one.flags.shared) return;
      const slow = pendingLoad();
      const before = one.getOrLoad<unknown>("a", slow.load, { tags: ["tag"] });
      await until(options, async () => one.stats.loadCount === 1);
      const joined = Array.from({ length: 5 }, () => one.getOrLoad<unknown>("a", () => "new", { tags: ["tag"] }));
      await until(options, async () => one.stats.joinCount === 5);
      await change(other);
      const after = Array.from({ length: 5 }, () => one.getOrLoad<unknown>("a", () => "new", { tags: ["tag"] }));
      await turns(20);
      slow.resolve("old");
      assert.deepEqual(await Promise.all(after), Array(5).fill("new"));
      assert.deepEqual(await Promise.all([before, ...joined]), Array(6).fill("old"), "who asked before");
      await settled(options);
      assert.equal(await one.get("a"), "new");
    },
  })),
  {
    name: "agrees with the truth in every process when all is quiet, after writers and slow loads",
    async prove(bench) {
      assert.deepEqual(await mismatchesOf(bench, {}), []);
    },
  },
  {
    name: "voids a remembered null by the tag of what is inserted",
    async prove({ make }) {
      const cache = await make();
      assert.equal(await cache.getOrLoad<unknown>("a", () => null, { tags: ["user:1"] }), null);
      assert.equal(await cache.getOrLoad<unknown>("a", () => "there", { tags: ["user:1"] }), null);
      await cache.invalidate("user:1");
      assert.equal(await cache.getOrLoad<unknown>("a", () => "there", { tags: ["user:1"] }), "there");
    },
  },
  {
    name: "stores no load of an older version than was deleted or set",
    async prove({ make, options }) {
      const cache = await make();
      const versionOf = (row: { version: number }) => row.version;
      await cache.delete("a", { version: 43 });
      await cache.getOrLoad("a", () => ({ version: 42 }), { versionOf });
      await settled(options);
      assert.equal(await cache.get("a"), undefined);
      await cache.set("a", { version: 44 }, { version: 44 });
      await cache.set("a", { version: 43 }, { version: 43 });
      assert.deepEqual(await cache.get("a"), { version: 44 });
    },
  },
  {
    name: "asks for the primary as long as a removal is fresh",
    async prove({ make }) {
      const cache = await make();
      const asked: boolean[] = [];
      const load = ({ primary }: { primary: boolean }) => asked.push(primary);
      await cache.getOrLoad("a", load, { tags: ["tag"] });
      await cache.invalidate("tag");
      await cache.getOrLoad("a", load, { tags: ["tag"] });
      assert.deepEqual(asked, [false, true]);
    },
  },
];

/** What is cached and not true, when writers and loaders in three processes have come to rest. */
export async function mismatchesOf({ make, options }: Bench, more: Partial<CreateCacheOptions>): Promise<string[]> {
  const caches = [await make(more), await make(more), await make(more)];
  const shared = caches[0]?.flags.shared ? caches : caches.slice(0, 1);
  const random = createSeededRandom(11);
  const truth = new Map<string, number>();
  const keys = ["a", "b", "c", "d"];
  const load = async (key: string) => {
    const read = truth.get(key) ?? 0;
    // Between reading the row and giving it to the cache, anything may happen.
    await turns(random.uint32() % 60);
    return read;
  };
  const use = async (cache: Cache) => {
    for (let i = 0; i < 12; i++) {
      const key = pick(keys, random);
      if (random.uint32() % 3 === 0) {
        truth.set(key, (truth.get(key) ?? 0) + 1);
        await cache.invalidate(key);
      } else await cache.getOrLoad(key, () => load(key), { tags: [key] });
      await turns(random.uint32() % 4);
    }
  };
  const mismatches: string[] = [];
  // Few rounds end with a load that somebody overtook.
  for (let round = 0; round < 20; round++) {
    await Promise.all(shared.flatMap((cache) => [use(cache), use(cache), use(cache)]));
    // The last loads end, and the last messages arrive.
    await turns(50);
    await options.wait(options.lagMsMax);
    for (const cache of shared) {
      for (const key of keys) {
        const found = await cache.get(key);
        if (found !== undefined && found !== (truth.get(key) ?? 0))
          mismatches.push(`${key}: ${found}, not ${truth.get(key)}`);
      }
    }
  }
  return mismatches;
}

const stampedes: readonly Claim[] = [
  {
    name: "loads a cold key at most twice for a thousand clients in four processes; once in a process of its own",
    async prove({ make }) {
      const caches = await Promise.all([make(), make(), make(), make()]);
      let loadCount = 0;
      const load = async () => {
        loadCount++;
        await turns(200);
        return "loaded";
      };
      const answers = await Promise.all(
        Array.from({ length: 1000 }, (_, i) => (caches[i % 4] as Cache).getOrLoad("cold", load)),
      );
      assert.ok(answers.every((answer) => answer === "loaded"));
      const countMax = caches[0]?.flags.shared ? 2 : 4;
      assert.ok(loadCount <= countMax, `${loadCount} loads`);
    },
  },
  {
    name: "lets the next process load when the first one's load fails",
    async prove({ make, options }) {
      const [one, other] = [await make(), await make()];
      let fail: (thrown: Error) => void = () => {};
      const failing = one.getOrLoad("a", () => new Promise((_resolve, reject) => (fail = reject)));
      const failed = assert.rejects(failing, /down/);
      await until(options, async () => one.stats.loadCount === 1);
      const answer = other.getOrLoad("a", () => "loaded");
      fail(new Error("down"));
      await failed;
      assert.equal(await answer, "loaded");
    },
  },
];

const staleness: readonly Claim[] = [
  {
    name: "gives what is stale at once while it is loaded anew, but never what was invalidated",
    async prove({ make, options }) {
      const cache = await make();
      const given = { ttl: 60, stale: "60s", tags: ["tag"] } as const;
      await cache.getOrLoad("a", () => "old", given);
      await settled(options);
      await options.wait(100);
      assert.equal(await cache.getOrLoad("a", () => "new", given), "old");
      await until(options, async () => (await cache.get("a")) === "new");
      await options.wait(100);
      await cache.invalidate("tag");
      assert.equal(await cache.getOrLoad("a", () => "newest", given), "newest");
      assert.equal(cache.stats.staleHitCount, 1);
    },
  },
  {
    name: "gives what is stale when loading fails, but never what was invalidated",
    async prove({ make, options }) {
      const cache = await make();
      const given = { ttl: 60, staleIfError: "60s", tags: ["tag"] } as const;
      const fail = () => Promise.reject(new Error("down"));
      await cache.getOrLoad<unknown>("a", () => "old", given);
      await settled(options);
      await options.wait(100);
      assert.equal(await cache.getOrLoad<unknown>("a", fail, given), "old");
      await cache.invalidate("tag");
      await assert.rejects(cache.getOrLoad<unknown>("a", fail, given), /down/);
      assert.equal(cache.stats.staleErrorCount, 1);
    },
  },
  {
    name: "gives nothing stale when loading fails, though it was there when it began, after another process invalidated it",
    async prove({ make, options }) {
      const [one, other] = [await make(), await make()];
      if (!one.flags.shared) return;
      const given = { ttl: 60, staleIfError: "60s", tags: ["tag"] } as const;
      await one.getOrLoad<unknown>("a", () => "old", given);
      await settled(options);
      await options.wait(100);
      const failing = pendingLoad();
      const answer = one.getOrLoad<unknown>("a", failing.load, given);
      await until(options, async () => one.stats.loadCount === 2);
      await other.invalidate("tag");
      failing.reject(new Error("down"));
      await assert.rejects(answer, /down/);
      assert.equal(await other.getOrLoad<unknown>("a", () => "new", given), "new", "its lease was given back");
      assert.equal(one.stats.staleErrorCount, 0);
    },
  },
];

const texts: readonly Claim[] = [
  {
    name: "gives back small and large values, compressed or not, to processes that compress and to those that do not",
    async prove({ make }) {
      const [one, other] = [await make({ compressAbove: 100 }), await make({ compressAbove: "1mb" })];
      const large = { rows: Array.from({ length: 500 }, (_, i) => ({ id: i, name: `名 ${i % 7}` })) };
      const noise = Array.from({ length: 300 }, () => newId()).join("");
      for (const [key, value] of Object.entries({ large, noise, small: 1, huge: "x".repeat(300_000) })) {
        await one.set(`one-${key}`, value);
        await other.set(`other-${key}`, value);
        for (const cache of one.flags.shared ? [one, other] : [one]) {
          assert.deepEqual(await cache.getOrLoad<unknown>(`one-${key}`, () => "missed"), value);
        }
        if (one.flags.shared) assert.deepEqual(await one.get(`other-${key}`), value);
      }
    },
  },
  {
    name: "gives a text back as it is, and as a value to who wants one",
    async prove({ make, options }) {
      const cache = await make();
      const text = '{ "a":  1 }';
      assert.equal(await cache.getOrLoadText("a", () => text), text);
      await settled(options);
      assert.equal(await cache.getOrLoadText("a", () => "missed"), text);
      assert.deepEqual(await cache.get("a"), { a: 1 });
    },
  },
];

const claims: readonly Claim[] = [...freshness, ...stampedes, ...staleness, ...texts];

function pendingLoad() {
  let settle: { resolve(value: unknown): void; reject(thrown: unknown): void };
  const value = new Promise<unknown>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return {
    load: () => value,
    resolve: (text: unknown) => settle.resolve(text),
    reject: (thrown: unknown) => settle.reject(thrown),
  };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** What is stored after an answer was given is there. Long enough for an engine on the same machine. */
async function settled(options: TierSuiteOptions): Promise<void> {
  await turns(20);
  await options.wait(20);
}

async function until(options: TierSuiteOptions, condition: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await condition()); waitedMs += 10) {
    assert.ok(waitedMs < 5000, "waited in vain");
    await options.wait(10);
  }
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random.uint32() % list.length] as T;
}
