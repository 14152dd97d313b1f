import assert from "node:assert/strict";
import type { CacheRemoved } from "./driver.ts";
import type { Bench, Claim } from "./suite-bench.ts";

/** How long a test may wait for a message, at most. */
const patienceMs = 5000;

const leases: readonly Claim[] = [
  {
    name: "gives the lease of a missing entry to one, and tells the others that it is busy",
    async prove({ lookUp, lease, fill, get }) {
      const fence = await lease("a", ["tag"]);
      for (let i = 0; i < 3; i++) {
        const { found, fence: second, isBusy } = await lookUp("a", ["tag"]);
        assert.deepEqual([found, second, isBusy], [undefined, undefined, true]);
      }
      await lease("b", ["tag"]);
      assert.equal(await fill("a", "1", fence, ["tag"]), true);
      assert.equal(await get("a"), "1");
    },
  },
  {
    name: "gives the lease to one of a hundred that ask at the same time",
    async prove({ lookUp }) {
      const lookups = await Promise.all(Array.from({ length: 100 }, () => lookUp("a", ["tag"])));
      assert.equal(lookups.filter(({ fence }) => fence !== undefined).length, 1);
      assert.equal(lookups.filter(({ isBusy }) => isBusy).length, 99);
    },
  },
  {
    name: "gives the lease to the next when it is released, and not when a void one is",
    async prove({ driver, namespace, lookUp, lease }) {
      const first = await lease("a");
      await driver.release(namespace, "a", first);
      await lease("a");
      await driver.release(namespace, "a", first);
      assert.equal((await lookUp("a")).isBusy, true);
      await driver.release(namespace, "unknown", first);
    },
  },
  ...(
    [
      ["the key is deleted", ({ driver, namespace }) => driver.delete(namespace, ["a"])],
      ["a tag of it is invalidated", ({ driver, namespace }) => driver.invalidate(namespace, ["tag"])],
      ["the namespace is cleared", ({ driver, namespace }) => driver.clear(namespace)],
      ["the key is set", ({ set }) => set("a", "other", ["tag"])],
    ] as readonly [string, (bench: Bench) => Promise<unknown>][]
  ).map(([event, happen]) => ({
    name: `says that a fence is good, until ${event}, by another process too`,
    async prove(bench: Bench) {
      const { driver, namespace, options, lease } = bench;
      const other = await options.makeDriver();
      await other.open();
      const asker = driver.flags.shared ? other : driver;
      const fence = await lease("a", ["tag"]);
      await lease("b", ["other"]);
      await driver.invalidate(namespace, ["unknown"]);
      assert.equal(await asker.isCurrent(namespace, "a", ["tag"], fence), true);
      await happen(bench);
      assert.equal(await asker.isCurrent(namespace, "a", ["tag"], fence), false);
      await other.close();
    },
  })),
  {
    name: "says that a fence is good while it is released, or somebody insisted, until one of them stores",
    async prove({ driver, namespace, lease, fill }) {
      const first = await lease("a");
      await driver.release(namespace, "a", first);
      assert.equal(await driver.isCurrent(namespace, "a", [], first), true);
      const second = await lease("a", [], { insist: true });
      assert.equal(await driver.isCurrent(namespace, "a", [], first), true);
      assert.equal(await fill("a", "1", second), true);
      assert.equal(await driver.isCurrent(namespace, "a", [], first), false);
    },
  },
  ...(
    [
      ["the key is deleted", ({ driver, namespace }) => driver.delete(namespace, ["a"])],
      ["a tag of it is invalidated", ({ driver, namespace }) => driver.invalidate(namespace, ["tag"])],
      ["the namespace is cleared", ({ driver, namespace }) => driver.clear(namespace)],
    ] as readonly [string, (bench: Bench) => Promise<unknown>][]
  ).map(([event, happen]) => ({
    name: `lets nobody wait for a load that is void because ${event}`,
    async prove(bench: Bench) {
      const old = await bench.lease("a", ["tag"]);
      await happen(bench);
      const fresh = await bench.lease("a", ["tag"]);
      assert.equal(await bench.fill("a", "old", old, ["tag"]), false);
      assert.equal(await bench.fill("a", "fresh", fresh, ["tag"]), true);
      assert.equal(await bench.get("a"), "fresh");
    },
  })),
  {
    name: "gives the lease to who insists, and the entry to who stores first",
    async prove({ lease, fill, get }) {
      const first = await lease("a");
      const second = await lease("a", [], { insist: true });
      assert.equal(await fill("a", "second", second), true);
      assert.equal(await fill("a", "first", first), false);
      assert.equal(await get("a"), "second");
    },
  },
];

const staleness: readonly Claim[] = [
  {
    name: "tells how long an entry is fresh, how old it is, and its tags",
    async prove({ driver, namespace, options }) {
      await driver.set(namespace, "a", "1", { ttlMs: 10_000, tags: ["red", "blue"] });
      await options.wait(100);
      const [found] = await driver.getMany(namespace, ["a"]);
      assert.ok(found);
      assert.deepEqual([...found.tags].sort(), ["blue", "red"]);
      assert.ok(found.freshMs > 5000 && found.freshMs <= 9950, String(found.freshMs));
      assert.ok(found.ageMs >= 50 && found.ageMs < 5000, String(found.ageMs));
    },
  },
  {
    name: "keeps an entry as stale if asked to: for who takes a lease, for no other",
    async prove({ driver, namespace, options, get, lookUp }) {
      await driver.set(namespace, "a", "1", { ttlMs: 100, keepMs: 30_000, tags: ["tag"] });
      await driver.set(namespace, "b", "1", { ttlMs: 100, tags: ["tag"] });
      assert.equal((await lookUp("a", ["tag"])).fence, undefined);
      await options.wait(150);
      assert.equal(await get("a"), undefined);
      const first = await lookUp("a", ["tag"]);
      const second = await lookUp("a", ["tag"]);
      assert.ok(first.fence !== undefined && second.isBusy);
      assert.deepEqual([first.found?.value, second.found?.value], ["1", "1"]);
      assert.ok((first.found?.freshMs ?? 1) <= 0);
      assert.equal((await lookUp("b", ["tag"])).found, undefined);
    },
  },
  ...(
    [
      ["deleted", ({ driver, namespace }) => driver.delete(namespace, ["a"])],
      ["invalidated", ({ driver, namespace }) => driver.invalidate(namespace, ["tag"])],
      ["cleared", ({ driver, namespace }) => driver.clear(namespace)],
    ] as readonly [string, (bench: Bench) => Promise<unknown>][]
  ).map(([event, happen]) => ({
    name: `gives nobody a stale entry that was ${event}`,
    async prove(bench: Bench) {
      const { driver, namespace, options, lookUp } = bench;
      await driver.set(namespace, "a", "1", { ttlMs: 50, keepMs: 30_000, tags: ["tag"] });
      await options.wait(100);
      await happen(bench);
      assert.equal((await lookUp("a", ["tag"])).found, undefined);
    },
  })),
  {
    name: "replaces a stale entry by the load of who has the lease",
    async prove({ driver, namespace, options, lease, fill, get }) {
      await driver.set(namespace, "a", "1", { ttlMs: 50, keepMs: 30_000, tags: [] });
      await options.wait(100);
      assert.equal(await fill("a", "2", await lease("a")), true);
      assert.equal(await get("a"), "2");
    },
  },
];

const versions: readonly Claim[] = [
  {
    name: "refuses an older version while a newer one is there, with a fence and without",
    async prove({ driver, namespace, get, lease }) {
      const write = { ttlMs: 60_000, tags: [] };
      assert.equal(await driver.set(namespace, "a", "43", { ...write, version: 43 }), true);
      assert.equal(await driver.set(namespace, "a", "42", { ...write, version: 42 }), false);
      assert.equal(await get("a"), "43");
      assert.equal(await driver.set(namespace, "a", "44", { ...write, version: 44 }), true);
      assert.equal(await get("a"), "44");
      const fence = await lease("b");
      assert.equal(await driver.set(namespace, "b", "1", { ...write, version: 7, fence }), true);
      assert.equal(await driver.set(namespace, "b", "2", { ...write, version: 6 }), false);
    },
  },
  {
    name: "refuses a load that shows an older version than the deletion, though it began after it",
    async prove({ driver, namespace, get, lease }) {
      await driver.delete(namespace, ["a"], { version: 43 });
      const write = { ttlMs: 60_000, tags: [] };
      const stale = await lease("a");
      assert.equal(await driver.set(namespace, "a", "42", { ...write, version: 42, fence: stale }), false);
      assert.equal(await get("a"), undefined);
      assert.equal(await driver.set(namespace, "a", "43", { ...write, version: 43, fence: stale }), true);
      assert.equal(await get("a"), "43");
    },
  },
  {
    name: "remembers the newest version it was shown, whatever is deleted later",
    async prove({ driver, namespace }) {
      const write = { ttlMs: 60_000, tags: [] };
      await driver.set(namespace, "a", "43", { ...write, version: 43 });
      await driver.delete(namespace, ["a"], { version: 7 });
      await driver.delete(namespace, ["a"]);
      assert.equal(await driver.set(namespace, "a", "42", { ...write, version: 42 }), false);
      const largest = Number.MAX_SAFE_INTEGER;
      assert.equal(await driver.set(namespace, "a", "x", { ...write, version: largest }), true);
      assert.equal(await driver.set(namespace, "a", "y", { ...write, version: largest - 1 }), false);
    },
  },
  {
    name: "takes what shows no version, as long as its fence is good",
    async prove({ driver, namespace, get, lease, fill }) {
      await driver.delete(namespace, ["a"], { version: 43 });
      assert.equal(await fill("a", "1", await lease("a")), true);
      assert.equal(await get("a"), "1");
    },
  },
  {
    name: "says that a load must come from the primary, after a removal of the key, of a tag of it, or of all",
    async prove({ driver, namespace, lookUp, lease }) {
      assert.equal((await lookUp("a", ["red"])).primary, false);
      await driver.invalidate(namespace, ["red"]);
      await driver.delete(namespace, ["b"]);
      const primary = async (key: string, tag: string) => (await lookUp(key, [tag])).primary;
      assert.deepEqual(
        [await primary("c", "red"), await primary("b", "blue"), await primary("d", "blue")],
        [true, true, false],
      );
      await lease("e", ["red"]);
      assert.equal((await lookUp("e", ["red"])).primary, true);
      await driver.clear(namespace);
      assert.equal(await primary("f", "blue"), true);
    },
  },
];

const watching: readonly Claim[] = [
  {
    name: "tells who watches of each removal by another, after it has happened; or offers no watching",
    async prove({ driver, namespace, options }) {
      const other = await options.makeDriver();
      const told: CacheRemoved[] = [];
      let isWatching = false;
      const unwatch = other.watch?.({
        onWatching: () => {
          isWatching = true;
        },
        onLost: () => {
          isWatching = false;
        },
        onRemoved: (removed) => told.push(removed),
      });
      await other.open();
      try {
        if (!unwatch) return assert.equal(driver.watch, undefined);
        await until(options, () => isWatching);
        const write = { ttlMs: 60_000, tags: ["red"] };
        const { fence } = await driver.getOrLease(namespace, "filled", ["red"]);
        await driver.set(namespace, "filled", "1", { ...write, fence });
        await driver.set(namespace, "a", "1", write);
        await driver.delete(namespace, ["b", "\r\n\0é"]);
        await driver.invalidate(namespace, ["red"]);
        await driver.clear(namespace);
        await other.delete(namespace, ["own"]);
        const ours = () => new Set(told.filter((removed) => removed.namespace === namespace).map(toText));
        const removed = ["keys a", "keys b \r\n\0é", "tags red", "all"];
        // An engine of several parts may tell of a removal once for each, and its parts neither at the same time nor in order.
        await until(options, () => ours().size >= removed.length);
        assert.deepEqual(ours(), new Set(removed));
        if (options.tellsInOrder) assert.deepEqual([...ours()], removed);
        unwatch();
      } finally {
        await other.close();
      }
      assert.equal(isWatching, true, "who no longer watches is told nothing");
    },
  },
];

function toText(removed: CacheRemoved): string {
  return removed.kind === "all" ? "all" : [removed.kind, ...removed.names].join(" ");
}

async function until(options: Bench["options"], condition: () => boolean): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 10) {
    assert.ok(waitedMs < patienceMs, "waited in vain");
    await options.wait(10);
  }
}

/** What is about filling: who may, with what, and who hears of it. */
export const fillClaims: readonly Claim[] = [...leases, ...staleness, ...versions, ...watching];
