import type { FSWatcher } from "node:fs";
import { readdirSync, watch } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/index.ts";

/**
 * Tells when a source file of an app changed.
 *
 * Every folder is watched by itself, because `fs.watch` with `recursive` would on Linux go through `node_modules` as
 * well. Folders that hold no source are left out: `node_modules`, `dist`, `coverage` and those whose name begins with a
 * dot. At most 2,000 folders; the ones beyond are not watched, and `say` tells so.
 */
export interface WatcherOptions {
  readonly folder: string;
  readonly clock: Clock;
  /** Called once for changes that come together, with the file that changed first, relative to the folder. */
  readonly onChange: (file: string) => void;
  readonly say: (text: string) => void;
  /** How long to wait for more changes. Default 50 ms: an editor writes a file in several steps. */
  readonly quietMs?: number;
}

export interface Watcher {
  close(): void;
}

const foldersMax = 2_000;
const source = /(?:\.(?:[mc]?[jt]s|tsx|json|sql|html)|(?:^|[/\\])\.env(?:\.\w+)?)$/;
const ignored = /^(?:\..*|node_modules|dist|coverage)$/;

export function createWatcher(options: WatcherOptions): Watcher {
  const { folder, clock, onChange, say, quietMs = 50 } = options;
  const watchers = new Map<string, FSWatcher>();
  let changed: string | undefined;
  let cancel: (() => void) | undefined;
  let isFull = false;

  const onEvent = (event: string, within: string, name: string | null): void => {
    if (name === null) return;
    const path = join(within, name);
    // A folder that came, went, or did both: then the old watcher sees nothing any more.
    if (event === "rename" && !ignored.test(name)) {
      forget(path);
      add(path);
    }
    if (!source.test(path)) return;
    changed ??= path;
    cancel?.();
    cancel = clock.after(quietMs, () => {
      const first = changed;
      changed = undefined;
      if (first !== undefined) onChange(first);
    });
  };

  const forget = (path: string): void => {
    watchers.get(path)?.close();
    watchers.delete(path);
  };

  const add = (path: string): void => {
    let entries: readonly { readonly name: string; isDirectory(): boolean }[];
    try {
      entries = readdirSync(join(folder, path), { withFileTypes: true });
    } catch {
      // A file, or a folder that is gone again.
      return;
    }
    if (watchers.size >= foldersMax) {
      if (!isFull) say(`more than ${foldersMax} folders: changes in some are not seen; restart by hand for those`);
      isFull = true;
      return;
    }
    const watcher = watch(join(folder, path), (event, name) => onEvent(event, path, name));
    watcher.on("error", () => forget(path));
    watchers.set(path, watcher);
    for (const entry of entries) if (entry.isDirectory() && !ignored.test(entry.name)) add(join(path, entry.name));
  };

  add("");
  return {
    close() {
      cancel?.();
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}
