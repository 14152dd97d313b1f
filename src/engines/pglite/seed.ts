import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

/**
 * A fresh data directory, made once and kept: `initdb` costs seconds of processor time, unpacking its result a few
 * hundred milliseconds. One file of 5 MB for each version of PGlite, in the user's cache folder. It holds nothing but
 * what `initdb` makes. A file that is damaged is thrown away and made anew; a folder that cannot be written means no
 * cache, and no error.
 */
export interface SeedCache {
  /** The unpacked tar archive, or undefined when there is none. */
  load(): Promise<Blob | undefined>;
  /** Takes what `dumpDataDir("gzip")` gave. */
  save(archive: Blob): Promise<void>;
}

const unzip = promisify(gunzip);

export function createSeedCache(folder: string, version: string): SeedCache {
  const path = join(folder, `pglite-${version}.tar.gz`);
  return {
    async load() {
      const packed = await readFile(path).catch(() => undefined);
      if (!packed) return undefined;
      try {
        // The checksum at the end of gzip finds damage; the name of the first files, a foreign file.
        const archive = await unzip(packed);
        if (archive.includes("PG_VERSION")) return new Blob([new Uint8Array(archive)], { type: "application/x-tar" });
      } catch {
        // Falls through: it is damaged.
      }
      await rm(path, { force: true }).catch(() => {});
      return undefined;
    },
    async save(archive) {
      const temporary = `${path}.${process.pid}`;
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(temporary, new Uint8Array(await archive.arrayBuffer()), { mode: 0o600 });
        await rename(temporary, path);
      } catch {
        await rm(temporary, { force: true }).catch(() => {});
      }
    },
  };
}

/** Where this operating system keeps a user's caches. */
export function userCacheFolder(): string {
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "plinth");
  if (process.platform === "win32")
    return join(process.env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "plinth");
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "plinth");
}
