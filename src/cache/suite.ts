import assert from "node:assert/strict";
import type { Random } from "../base/index.ts";
import { createSeededRandom, newId } from "../base/index.ts";
import type { Bench, CacheSuiteOptions, Claim } from "./suite-bench.ts";
import { shorthand } from "./suite-bench.ts";
import { fillClaims } from "./suite-fills.ts";

/** One claim about a driver. Rejects with an AssertionError when it does not hold. */
export interface CacheCase {
  readonly name: string;
  run(): Promise<void>;
}

/** What every cache driver must prove. Each case uses namespaces of its own, and clears them. */
export function cacheSuite(options: CacheSuiteOptions): readonly CacheCase[] {
  return claims.map(({ name, prove }) => ({
    name,
    async run() {
      const driver = await options.makeDriver();
      await driver.open();
      const namespace = `suite-${newId()}`;
      try {
        await prove({ driver, namespace, options, ...shorthand(driver, namespace) });
      } finally {
        await driver.clear(namespace);
        await driver.close();
      }
    },
  }));
}

/** Names that mean something to one product or another, and must mean nothing here. */
const hostileNames: readonly string[] = [
  "a:b",
  "a:b:c",
  ":",
  "{a}",
  "}{",
  "*",
  "[a-z]?",
  "a b",
  "a\r\nDEL b",
  "\0",
  "a\0b",
  "__proto__",
  "constructor",
  "v",
  "g",
  "0",
  "-1",
  '"]) redis.call("FLUSHALL") --',
  "'; DROP TABLE cache; --",
  "../..",
  "%00",
  "日本語",
  "é",
  "e\u0301",
  "\u{1f600}",
  "x".repeat(256),
];

const values: readonly Claim[] = [
  {
    name: "gives back what was set, and nothing for what was not",
    async prove({ get, set }) {
      assert.equal(await get("a"), undefined);
      assert.equal(await set("a", "1"), true);
      assert.equal(await get("a"), "1");
    },
  },
  {
    name: "keeps every text as it is: empty, Unicode, control characters, a mebibyte",
    async prove({ get, set }) {
      for (const value of ["", "null", "\0\r\n\u{1f600}é", "x".repeat(1024 * 1024)]) {
        await set("a", value);
        assert.equal(await get("a"), value);
      }
    },
  },
  {
    name: "answers many keys in order, misses included",
    async prove({ driver, namespace, set, getMany }) {
      await set("a", "1");
      await set("c", "3", ["tag"]);
      assert.deepEqual(await getMany("c", "b", "a", "a"), ["3", undefined, "1", "1"]);
      assert.deepEqual(await driver.getMany(namespace, []), []);
    },
  },
  {
    name: "replaces value, time and tags of an older entry",
    async prove({ driver, namespace, options, get, set }) {
      await set("a", "1", ["old"], 100);
      await set("a", "2", ["new"], 60_000);
      await options.wait(150);
      await driver.invalidate(namespace, ["old"]);
      assert.equal(await get("a"), "2");
      await driver.invalidate(namespace, ["new"]);
      assert.equal(await get("a"), undefined);
    },
  },
  {
    name: "forgets an entry when its time is over, not before",
    async prove({ options, get, set }) {
      await set("short", "1", ["tag"], 100);
      await set("long", "1", ["tag"], 60_000);
      assert.equal(await get("short"), "1");
      await options.wait(150);
      assert.deepEqual([await get("short"), await get("long")], [undefined, "1"]);
    },
  },
  {
    name: "takes any name for a key or a tag, and confuses no two of them",
    async prove({ driver, namespace, get, getMany, set }) {
      for (const [index, name] of hostileNames.entries()) await set(name, String(index), [name]);
      assert.deepEqual(
        await getMany(...hostileNames),
        hostileNames.map((_, index) => String(index)),
      );
      for (const name of hostileNames) {
        await driver.invalidate(namespace, [name]);
        assert.equal(await get(name), undefined, name);
      }
      for (const name of hostileNames) await set(name, "again", ["other"]);
      for (const name of hostileNames) assert.equal(await get(name), "again", name);
    },
  },
  {
    name: "keeps namespaces apart, in values, tags, removals and clearing",
    async prove({ driver, namespace, get, set }) {
      const other = `${namespace}.b`;
      await set("a", "1", ["tag"]);
      await driver.set(other, "a", "2", { ttlMs: 60_000, tags: ["tag"] });
      await driver.invalidate(other, ["tag"]);
      await driver.delete(other, ["a"]);
      await driver.clear(other);
      assert.equal(await get("a"), "1");
      assert.deepEqual(await driver.getMany(other, ["a"]), [undefined]);
    },
  },
];

const removals: readonly Claim[] = [
  {
    name: "deletes many keys at once, and does not mind those that are not there",
    async prove({ driver, namespace, get, set }) {
      await set("a", "1");
      await set("b", "2");
      await driver.delete(namespace, ["a", "missing"]);
      await driver.delete(namespace, []);
      assert.deepEqual([await get("a"), await get("b")], [undefined, "2"]);
    },
  },
  {
    name: "invalidates by tag: every entry that has it, and no other",
    async prove({ driver, namespace, getMany, set }) {
      await set("one", "1", ["red"]);
      await set("two", "2", ["red", "blue"]);
      await set("three", "3", ["blue"]);
      await set("four", "4");
      await driver.invalidate(namespace, ["red"]);
      assert.deepEqual(await getMany("one", "two", "three", "four"), [undefined, undefined, "3", "4"]);
    },
  },
  {
    name: "serves again what was set after an invalidation, and forgets it with the next",
    async prove({ driver, namespace, get, set }) {
      for (let round = 0; round < 3; round++) {
        await set("a", String(round), ["tag"]);
        assert.equal(await get("a"), String(round));
        await driver.invalidate(namespace, ["tag"]);
        assert.equal(await get("a"), undefined);
      }
    },
  },
  {
    name: "invalidates a thousand tags at once",
    async prove({ driver, namespace, get, set }) {
      const tags = Array.from({ length: 1000 }, (_, index) => `tag-${index}`);
      await set("first", "1", ["tag-0"]);
      await set("last", "2", ["tag-999"]);
      await driver.invalidate(namespace, tags);
      await driver.invalidate(namespace, []);
      assert.deepEqual([await get("first"), await get("last")], [undefined, undefined]);
    },
  },
  {
    name: "clears a namespace, and serves what is set afterwards",
    async prove({ driver, namespace, get, set }) {
      await set("a", "1");
      await set("b", "2", ["tag"]);
      await driver.clear(namespace);
      assert.deepEqual([await get("a"), await get("b")], [undefined, undefined]);
      await set("a", "3");
      assert.equal(await get("a"), "3");
    },
  },
];

const fences: readonly Claim[] = [
  {
    name: "gives the value where there is one, and a fence to fill it where there is none",
    async prove({ driver, namespace, get, lease, fill }) {
      const fence = await lease("a", ["tag"]);
      assert.equal(await fill("a", "1", fence, ["tag"]), true);
      assert.equal(await get("a"), "1");
      assert.equal((await driver.getOrLease(namespace, "a", ["tag"])).found?.value, "1");
    },
  },
  ...(
    [
      ["the key is deleted", ({ driver, namespace }) => driver.delete(namespace, ["a"])],
      ["the key is set", ({ set }) => set("a", "newer")],
      ["one of its tags is invalidated", ({ driver, namespace }) => driver.invalidate(namespace, ["blue"])],
      ["the namespace is cleared", ({ driver, namespace }) => driver.clear(namespace)],
    ] as readonly [string, (bench: Bench) => Promise<unknown>][]
  ).map(([event, happen]) => ({
    name: `refuses to store what was loaded before ${event}`,
    async prove(bench: Bench) {
      const { get, lease, fill } = bench;
      const fence = await lease("a", ["red", "blue"]);
      await happen(bench);
      const before = await get("a");
      assert.equal(await fill("a", "stale", fence, ["red", "blue"]), false);
      assert.equal(await get("a"), before);
    },
  })),
  {
    name: "stores what was loaded after all that",
    async prove({ driver, namespace, get, lease, fill }) {
      await lease("a", ["red"]);
      await driver.invalidate(namespace, ["red"]);
      await driver.delete(namespace, ["a"]);
      await driver.clear(namespace);
      assert.equal(await fill("a", "fresh", await lease("a", ["red"]), ["red"]), true);
      assert.equal(await get("a"), "fresh");
    },
  },
  {
    name: "does not void a fence for another key, another tag or another namespace",
    async prove({ driver, namespace, set, lease, fill }) {
      const fence = await lease("a", ["red"]);
      await driver.invalidate(namespace, ["blue"]);
      await driver.delete(namespace, ["b"]);
      await set("c", "1", ["red"]);
      await driver.clear(`${namespace}.b`);
      assert.equal(await fill("a", "1", fence, ["red"]), true);
    },
  },
  {
    name: "refuses the second of two loads of the same entry, and a fence that it never gave",
    async prove({ get, lease, fill }) {
      const first = await lease("a");
      const second = await lease("a", [], { insist: true });
      assert.equal(await fill("a", "first", first), true);
      assert.equal(await fill("a", "second", second), false);
      assert.equal(await get("a"), "first");
      assert.equal(await fill("b", "forged", first), false);
    },
  },
  {
    name: "never ends with a stale value, however loads, changes and invalidations fall together",
    async prove(bench) {
      for (let seed = 1; seed <= 5; seed++) await raceFillsAndInvalidations(bench, createSeededRandom(seed));
    },
  },
];

/** Loaders and writers at once. The truth changes first, then it is invalidated; in the end cache and truth agree. */
async function raceFillsAndInvalidations({ driver, namespace, get, fill }: Bench, random: Random): Promise<void> {
  const keys = ["a", "b", "c"];
  const truth = new Map(keys.map((key) => [key, 0]));
  const pause = async () => {
    for (let turns = random.uint32() % 4; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  };
  const loader = async () => {
    for (let i = 0; i < 15; i++) {
      const key = keys[random.uint32() % keys.length] as string;
      const insist = random.uint32() % 2 === 0;
      const { fence } = await driver.getOrLease(namespace, key, [key, "all"], { insist });
      const loaded = String(truth.get(key));
      await pause();
      if (fence !== undefined) await fill(key, loaded, fence, [key, "all"]);
    }
  };
  const writer = async () => {
    for (let i = 0; i < 10; i++) {
      const key = keys[random.uint32() % keys.length] as string;
      truth.set(key, (truth.get(key) as number) + 1);
      await pause();
      if (random.uint32() % 4 === 0) await driver.delete(namespace, [key]);
      else await driver.invalidate(namespace, [random.uint32() % 4 === 0 ? "all" : key]);
    }
  };
  await Promise.all([loader(), loader(), loader(), writer(), writer()]);
  for (const key of keys) {
    const found = await get(key);
    assert.ok(found === undefined || found === String(truth.get(key)), `${key}: ${found}, truth ${truth.get(key)}`);
  }
}

const sharing: readonly Claim[] = [
  {
    name: "shows two drivers of a shared engine the same entries and removals; those of a private one, none",
    async prove({ driver, namespace, options, set, get, lease, fill }) {
      const other = await options.makeDriver();
      await other.open();
      try {
        await set("a", "1", ["tag"]);
        const [seen] = await other.getMany(namespace, ["a"]);
        assert.equal(seen?.value, driver.flags.shared ? "1" : undefined);
        const fence = await lease("b", ["tag"]);
        await other.invalidate(namespace, ["tag"]);
        assert.equal(await get("a"), driver.flags.shared ? undefined : "1");
        assert.equal(await fill("b", "stale", fence, ["tag"]), !driver.flags.shared);
      } finally {
        await other.close();
      }
    },
  },
  {
    name: "keeps entries beyond its own close if it says that it is persistent",
    async prove({ driver, namespace, options, set }) {
      await set("a", "1");
      await driver.close();
      await driver.close();
      const next = await options.makeDriver();
      await next.open();
      const [kept] = await next.getMany(namespace, ["a"]);
      assert.equal(kept?.value, driver.flags.persistent ? "1" : undefined);
      await next.close();
      await driver.open();
    },
  },
];

const claims: readonly Claim[] = [...values, ...removals, ...fences, ...sharing, ...fillClaims];
