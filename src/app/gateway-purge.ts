import type { CacheDriver } from "../cache/index.ts";

/** Hears which tags were invalidated; undefined: all of them, or nobody knows which. */
export type PurgeListener = (tags: readonly string[] | undefined) => void;

/**
 * The cache of the services, with an ear: what `cache.invalidate` removes there is removed from what the gateway keeps of
 * outside systems, too. Invalidations of this process are heard as they succeed, those of others by the engine's messages
 * (`watch`); when messages may have been lost, everything is removed.
 */
export function listenToPurges(driver: CacheDriver, listener: PurgeListener): CacheDriver {
  const { watch } = driver;
  driver.watch?.({
    onWatching() {},
    onLost: () => listener(undefined),
    onRemoved(removed) {
      if (removed.kind === "tags") listener(removed.names);
      else if (removed.kind === "all") listener(undefined);
    },
  });
  return {
    name: driver.name,
    flags: driver.flags,
    open: () => driver.open(),
    getMany: (...given) => driver.getMany(...given),
    getOrLease: (...given) => driver.getOrLease(...given),
    isCurrent: (...given) => driver.isCurrent(...given),
    release: (...given) => driver.release(...given),
    set: (...given) => driver.set(...given),
    delete: (...given) => driver.delete(...given),
    async invalidate(namespace, tags) {
      await driver.invalidate(namespace, tags);
      listener(tags);
    },
    async clear(namespace) {
      await driver.clear(namespace);
      listener(undefined);
    },
    close: () => driver.close(),
    ...(watch && { watch: watch.bind(driver) }),
  };
}
