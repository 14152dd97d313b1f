import type { Clock } from "../base/index.ts";
import { createSeededRandom } from "../base/index.ts";
import type { CacheDriver, CacheRemoved, CacheWatcher } from "./driver.ts";

/** For this room's tests: one engine that several processes share, with answers and messages that take turns of their own. */
export interface SharedEngine {
  connect(): CacheDriver;
  /** Lets all messages arrive. */
  deliver(): Promise<void>;
  /** The connection that brings messages to everybody is lost, or back. */
  lose(): void;
  regain(): void;
}

export function createSharedEngine(driver: CacheDriver, options: { clock: Clock; isPrompt?: boolean }): SharedEngine {
  const random = createSeededRandom(5);
  const watchers = new Set<{ watcher: CacheWatcher; owner: symbol }>();
  let underWay: Promise<unknown>[] = [];
  const delay = async () => {
    if (options.isPrompt) return;
    for (let turns = random.uint32() % 4; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  };
  const tell = (removed: CacheRemoved, from: symbol) => {
    for (const { watcher, owner } of watchers) {
      if (owner !== from) underWay.push(delay().then(() => watcher.onRemoved(removed)));
    }
  };
  const late = async <T>(answer: Promise<T>): Promise<T> => {
    const value = await answer;
    await delay();
    return value;
  };
  return {
    async deliver() {
      const messages = underWay;
      underWay = [];
      await Promise.all(messages);
    },
    lose() {
      for (const { watcher } of watchers) watcher.onLost();
    },
    regain() {
      for (const { watcher } of watchers) watcher.onWatching();
    },
    connect() {
      const owner = Symbol("process");
      const removing = async (work: Promise<unknown>, removed: CacheRemoved) => {
        await work;
        tell(removed, owner);
        await delay();
      };
      return {
        name: `shared ${driver.name}`,
        flags: { shared: true, persistent: false },
        open: () => driver.open(),
        close: async () => {},
        getMany: (namespace, keys) => late(driver.getMany(namespace, keys)),
        getOrLease: (namespace, key, tags, how) => late(driver.getOrLease(namespace, key, tags, how)),
        isCurrent: (namespace, key, tags, fence) => late(driver.isCurrent(namespace, key, tags, fence)),
        release: (namespace, key, fence) => driver.release(namespace, key, fence),
        async set(namespace, key, value, write) {
          const stored = await driver.set(namespace, key, value, write);
          if (write.fence === undefined) tell({ kind: "keys", namespace, names: [key] }, owner);
          await delay();
          return stored;
        },
        delete: (namespace, names, how) =>
          removing(driver.delete(namespace, names, how), { kind: "keys", namespace, names }),
        invalidate: (namespace, names) =>
          removing(driver.invalidate(namespace, names), { kind: "tags", namespace, names }),
        clear: (namespace) => removing(driver.clear(namespace), { kind: "all", namespace }),
        watch(watcher) {
          const entry = { watcher, owner };
          watchers.add(entry);
          watcher.onWatching();
          return () => watchers.delete(entry);
        },
      };
    },
  };
}
