import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { PGlite } from "@electric-sql/pglite";
import type { Clock } from "../../base/index.ts";
import type { Pool } from "../../database/index.ts";
import { createPool, createSharing, parsedTypeIds, parserOf, quoteName } from "../../database/index.ts";
import type { DirectoryLock } from "./lock.ts";
import { lockDirectory } from "./lock.ts";
import { createSeedCache } from "./seed.ts";

/** One PGlite: a database in this process, on a directory or in memory, and the queue for its only session. */
export interface Instance {
  readonly pglite: PGlite;
  readonly queue: Pool<PGlite>;
  /** Set when the engine itself broke, and nothing more can be asked of it. */
  broken: unknown;
}

export interface InstanceOptions {
  /** Absent: in memory. */
  readonly directory: string | undefined;
  /** Instances in memory of the same name are one. */
  readonly memoryName: string;
  readonly cacheFolder: string;
  readonly queueSizeMax: number;
  readonly clock: Clock;
}

/** By directory or name. An app has one, however many services it runs: each PGlite takes 200 MB. */
const sharing = createSharing<{ readonly instance: Instance; readonly lock: DirectoryLock | undefined }>();

export async function openInstance(options: InstanceOptions): Promise<Instance> {
  return (await sharing.open(keyOf(options), () => start(options))).instance;
}

export function closeInstance(options: InstanceOptions, graceMs: number): Promise<void> {
  return sharing.close(keyOf(options), async ({ instance, lock }) => {
    await instance.queue.close(graceMs);
    try {
      // One that broke is closed too, for its memory and timers; that it then fails is nothing new.
      await instance.pglite.close().catch((thrown) => {
        if (!instance.broken) throw thrown;
      });
    } finally {
      lock?.release();
    }
  });
}

/** Unqualified names live in the service's own schema; extensions, in `public`. */
export function searchPathText(schema: string): string {
  return `set search_path to ${quoteName(schema)}, public`;
}

function keyOf({ directory, memoryName }: InstanceOptions): string {
  return directory === undefined ? `memory:${memoryName}` : `directory:${resolve(directory)}`;
}

async function start(options: InstanceOptions): Promise<{ instance: Instance; lock: DirectoryLock | undefined }> {
  const { directory, clock, queueSizeMax } = options;
  let lock: DirectoryLock | undefined;
  if (directory !== undefined) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    lock = lockDirectory(resolve(directory));
  }
  try {
    const pglite = await create(options);
    // Both ways are PostgreSQL's own text; the database room turns it into values.
    pglite.parsers = Object.fromEntries(parsedTypeIds.map((id) => [id, parserOf(id)]));
    pglite.serializers = {};
    await pglite.exec("set timezone = 'UTC'; set datestyle = 'ISO'");
    const queue = createPool({
      name: "pglite",
      size: 1,
      queueSizeMax,
      idleMs: Number.POSITIVE_INFINITY,
      lifetimeMs: Number.POSITIVE_INFINITY,
      clock,
      // Who gets the session from another schema's user switches it first: see database.ts.
      create: async (schema) => {
        await pglite.exec(searchPathText(schema));
        return pglite;
      },
      destroy: async () => {},
    });
    return { instance: { pglite, queue, broken: undefined }, lock };
  } catch (thrown) {
    lock?.release();
    throw thrown;
  }
}

async function create({ directory, cacheFolder }: InstanceOptions): Promise<PGlite> {
  const { PGlite } = await import("@electric-sql/pglite");
  const dataDir = directory === undefined ? undefined : join(resolve(directory), "pgdata");
  // Written once the data is whole. Without it, whatever lies there is the half of a first start that was cut off.
  const ready = directory === undefined ? undefined : join(resolve(directory), "ready");
  if (dataDir && ready) {
    if (existsSync(ready)) return PGlite.create({ dataDir, startParams: startParamsOf(PGlite) });
    rmSync(dataDir, { recursive: true, force: true });
  }
  const cache = createSeedCache(cacheFolder, packageVersion());
  let archive = await cache.load();
  if (!archive) {
    const made = await PGlite.create();
    archive = await made.dumpDataDir("gzip");
    await cache.save(archive);
    if (!dataDir) return made;
    await made.close();
  }
  const pglite = await PGlite.create({
    ...(dataDir ? { dataDir } : {}),
    loadDataDir: archive,
    startParams: startParamsOf(PGlite),
  });
  if (ready) writeFileSync(ready, "");
  return pglite;
}

/**
 * 32 MB of buffers instead of 128: all of it is made and cleared at each start, and what does not fit comes from the
 * system's own cache of files.
 */
function startParamsOf({ defaultStartParams }: Pick<typeof PGlite, "defaultStartParams">): string[] {
  return [...defaultStartParams, "-c", "shared_buffers=32MB"];
}

/** The package does not export its package.json: the version is read from beside its code. */
function packageVersion(): string {
  const main = createRequire(import.meta.url).resolve("@electric-sql/pglite");
  return (JSON.parse(readFileSync(join(dirname(main), "..", "package.json"), "utf8")) as { version: string }).version;
}
