/**
 * One resource for all who name the same key, made by the first and ended by the last: an embedded engine, a pool of
 * connections. Who opens it while it is being ended waits, and gets a new one.
 */
export interface Sharing<T> {
  open(key: string, start: () => Promise<T>): Promise<T>;
  /** Once for each `open` that succeeded. */
  close(key: string, stop: (resource: T) => Promise<void>): Promise<void>;
}

export function createSharing<T>(): Sharing<T> {
  const open = new Map<string, { users: number; readonly resource: Promise<T> }>();
  const ending = new Map<string, Promise<void>>();
  return {
    async open(key, start) {
      let entry = open.get(key);
      if (!entry) {
        const before = ending.get(key) ?? Promise.resolve();
        entry = { users: 0, resource: before.then(start) };
        open.set(key, entry);
      }
      entry.users++;
      try {
        return await entry.resource;
      } catch (thrown) {
        if (open.get(key) === entry) open.delete(key);
        throw thrown;
      }
    },
    async close(key, stop) {
      const entry = open.get(key);
      if (!entry || --entry.users > 0) return;
      open.delete(key);
      const end = entry.resource.then(stop);
      const settled = end.catch(() => {});
      ending.set(key, settled);
      await settled;
      if (ending.get(key) === settled) ending.delete(key);
      await end;
    },
  };
}
