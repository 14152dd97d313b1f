import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/index.ts";
import type { CacheDriver, CacheWatcher } from "../cache/index.ts";
import { createMemoryCache } from "../cache/index.ts";
import { listenToPurges } from "./gateway-purge.ts";

test("hears what this process invalidates and clears, and leaves the cache what it is", async () => {
  const heard: (readonly string[] | undefined)[] = [];
  const cache = listenToPurges(createMemoryCache({ clock: systemClock }), (tags) => heard.push(tags));
  await cache.open();
  const { fence } = await cache.getOrLease("a", "k", ["t"]);
  assert.ok(fence !== undefined && (await cache.isCurrent("a", "k", ["t"], fence)));
  await cache.release("a", "k", fence);
  assert.equal(await cache.set("a", "k", "v", { ttlMs: 1000, tags: ["t"] }), true);
  assert.equal((await cache.getMany("a", ["k"]))[0]?.value, "v");
  await cache.invalidate("a", ["t"]);
  assert.equal((await cache.getMany("a", ["k"]))[0], undefined);
  await cache.delete("a", ["k"]);
  await cache.clear("a");
  await cache.close();
  assert.deepEqual(heard, [["t"], undefined]);
});

test("hears what other processes invalidate, and takes everything for gone when messages may be lost", () => {
  let watcher: CacheWatcher | undefined;
  const engine = {
    name: "shared",
    flags: { shared: true, persistent: false },
    watch(given: CacheWatcher) {
      watcher = given;
      return () => {};
    },
  };
  const heard: (readonly string[] | undefined)[] = [];
  listenToPurges(engine as unknown as CacheDriver, (tags) => heard.push(tags));
  watcher?.onWatching();
  watcher?.onRemoved({ kind: "tags", namespace: "a", names: ["t"] });
  watcher?.onRemoved({ kind: "keys", namespace: "a", names: ["k"] });
  watcher?.onRemoved({ kind: "all", namespace: "a" });
  watcher?.onLost();
  assert.deepEqual(heard, [["t"], undefined, undefined]);
});
