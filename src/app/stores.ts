import type { Clock, Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Cache, CacheDriver } from "../cache/index.ts";
import { createCache, createMemoryCache } from "../cache/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import type { Engine } from "../engines/engine.ts";
import { engineOfScheme, engines } from "../engines/index.gen.ts";
import type { Logger } from "../telemetry/index.ts";

/**
 * The engines of one process: chosen by the scheme of a URL, loaded only when used, opened once and shared by all
 * services, each of which sees its own schema or namespace.
 */
export interface Stores {
  /** The drivers that somebody asked for, to be opened before and closed after everything else. */
  readonly database: DatabaseDriver | undefined;
  readonly cache: CacheDriver | undefined;
  /** By service: those that somebody asked for. */
  readonly caches: ReadonlyMap<string, Cache>;
  databaseOf(service: string): Database;
  cacheOf(service: string): Cache;
}

export interface StoresOptions {
  readonly databaseUrl: string;
  readonly cacheUrl: string | undefined;
  readonly needsDatabase: boolean;
  readonly needsCache: boolean;
  readonly applicationName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export async function createStores(options: StoresOptions): Promise<Stores> {
  const { clock, random, log } = options;
  const database = options.needsDatabase ? await databaseDriver(options) : undefined;
  const cache = options.needsCache ? await cacheDriver(options) : undefined;
  const databases = new Map<string, Database>();
  const caches = new Map<string, Cache>();
  return {
    database,
    cache,
    caches,
    databaseOf(service) {
      const known = databases.get(service);
      if (known) return known;
      if (!database) throw new Error(`assertion failed: ${service} asked for a database that no service here needs`);
      const made = createDatabase({
        driver: database,
        schema: toSchemaName(service),
        clock,
        random,
        onHookError: (thrown) => log.error({ service, err: thrown }, "what was to run after a commit failed"),
      });
      databases.set(service, made);
      return made;
    },
    cacheOf(service) {
      const known = caches.get(service);
      if (known) return known;
      if (!cache) throw new Error(`assertion failed: ${service} asked for a cache that no service here needs`);
      const made = createCache({ driver: cache, namespace: service, clock, random });
      caches.set(service, made);
      return made;
    },
  };
}

/** The SQL schema of a service: its name in small letters with underscores, so that nobody has to quote it. */
export function toSchemaName(service: string): string {
  return service.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

async function databaseDriver({ databaseUrl, applicationName, clock, random }: StoresOptions): Promise<DatabaseDriver> {
  const { engine, url } = await engineOf("DATABASE_URL", databaseUrl, "database");
  const open = engine.ports.database;
  if (!open) throw lacksPort("DATABASE_URL", engine, "database");
  return open(url, { applicationName, clock, random });
}

async function cacheDriver({ cacheUrl, clock, random }: StoresOptions): Promise<CacheDriver> {
  if (cacheUrl === undefined) return createMemoryCache({ clock });
  const { engine, url } = await engineOf("CACHE_URL", cacheUrl, "cache");
  const open = engine.ports.cache;
  if (!open) throw lacksPort("CACHE_URL", engine, "cache");
  return open(url, { clock, random });
}

async function engineOf(variable: string, text: string, port: string): Promise<{ engine: Engine; url: URL }> {
  if (!URL.canParse(text)) {
    throw new StartError(
      "ENGINE_URL_INVALID",
      `${variable}: this is no address; write for example "postgres://user:password@host:5432/name".`,
    );
  }
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  const name = engineOfScheme[scheme];
  if (!name) {
    const known = Object.keys(engineOfScheme)
      .map((each) => `${each}://`)
      .join(", ");
    throw new StartError(
      "ENGINE_UNKNOWN",
      `${variable}: no engine serves "${scheme}://" as a ${port}; there are ${known}.`,
    );
  }
  return { engine: (await engines[name]()).default, url };
}

function lacksPort(variable: string, engine: Engine, port: string): StartError {
  return new StartError(
    "ENGINE_LACKS_PORT",
    `${variable}: ${engine.name} is no ${port}; it offers ${Object.keys(engine.ports).join(", ")}.`,
  );
}
