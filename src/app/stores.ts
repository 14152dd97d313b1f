import type { Clock, Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { AfterCommit, Cache, CacheDriver, NearTier } from "../cache/index.ts";
import { createCache, createMemoryCache, createNearTier } from "../cache/index.ts";
import type { Database, DatabaseDriver, QueryRecord, Replicas, Transaction } from "../database/index.ts";
import { createDatabase, createReplicas } from "../database/index.ts";
import type { ShardBy, ShardedDatabase } from "../shards/index.ts";
import { createShardedDatabase } from "../shards/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { portOf } from "./engine-of.ts";
import type { Settings } from "./settings.ts";

/**
 * The engines of one process: chosen by the scheme of a URL, loaded only when used, opened once and shared by all
 * services, each of which sees its own schema or namespace.
 */
export interface Stores {
  /** What somebody asked for, to be opened before and closed after everything else. */
  readonly database: DatabaseDriver | undefined;
  readonly replicas: Replicas | undefined;
  /** Where sharded services have their rows, by name; "main" is `database`. Empty without such a service. */
  readonly shards: ReadonlyMap<string, DatabaseDriver>;
  readonly cache: CacheDriver | undefined;
  /** Copies in this process, where the cache is an outside engine. */
  readonly near: NearTier | undefined;
  /** By service: those that somebody asked for. */
  readonly caches: ReadonlyMap<string, Cache & { close(): Promise<void> }>;
  databaseOf(service: string): Database;
  cacheOf(service: string): Cache;
  /** What says where the buckets of sharded services are. */
  directory(): Database;
  /** The database of a sharded service on each shard. */
  shardsOf(service: string): ReadonlyMap<string, Database>;
  shardedOf(service: string, shardBy: ShardBy): ShardedDatabase;
}

export type StoreSettings = Pick<
  Settings,
  "databaseUrl" | "databaseReplicaUrls" | "databaseShards" | "cacheUrl" | "cacheNearBytes" | "dataFolder"
>;

export interface StoresOptions {
  readonly settings: StoreSettings;
  readonly needsDatabase: boolean;
  /** A service here has "shardBy". */
  readonly needsShards: boolean;
  readonly needsCache: boolean;
  readonly applicationName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called after each statement of a service. */
  readonly onQuery?: ((record: QueryRecord) => void) | undefined;
  /** Writes an invalidation into the transaction, to be done once more by whoever reads that. By service. */
  readonly onInvalidateIn?: ((service: string, tx: Transaction, tags: readonly string[]) => Promise<void>) | undefined;
}

/** The shard that every app has. */
const mainShard = "main";

export async function createStores(options: StoresOptions): Promise<Stores> {
  const { settings, clock, random, log } = options;
  const database = options.needsDatabase ? await openDatabase(options) : undefined;
  const replicas = database && (await openReplicas(database, options));
  const cache = options.needsCache ? await openCache(options) : undefined;
  const bytesMax = settings.cacheNearBytes;
  const near = cache?.flags.shared && bytesMax > 0 ? createNearTier({ driver: cache, bytesMax, clock }) : undefined;
  const shards = database && options.needsShards ? await openShards(database, options) : new Map();
  const { onQuery, onInvalidateIn } = options;
  const common = (service: string) => ({
    clock,
    random,
    ...(onQuery && { onQuery }),
    onHookError: (thrown: unknown) => log.error({ service, err: thrown }, "what was to run after a commit failed"),
  });
  const databaseOf = remembered((service): Database => {
    if (!database) throw new Error(`assertion failed: ${service} asked for a database that no service here needs`);
    const schema = toSchemaName(service);
    return createDatabase({ ...common(service), driver: database, schema, ...(replicas && { replicas }) });
  });
  const directory = () => databaseOf("plinth_shards");
  const sharded = new Map<string, ShardedDatabase>();
  const caches = new Map<string, Cache & { close(): Promise<void> }>();
  return {
    database,
    replicas,
    shards,
    cache,
    near,
    caches,
    databaseOf,
    directory,
    shardsOf: remembered((service): ReadonlyMap<string, Database> => {
      const schema = toSchemaName(service);
      const own = [...shards].map(
        ([name, driver]) => [name, createDatabase({ ...common(service), driver, schema })] as const,
      );
      return new Map(own);
    }),
    shardedOf(service, shardBy) {
      const known = sharded.get(service);
      if (known) return known;
      const { clock: _clock, random: _random, ...rest } = common(service);
      const schema = toSchemaName(service);
      const made = createShardedDatabase({
        schema,
        service,
        directory: directory(),
        shards,
        shardBy,
        clock,
        random,
        database: rest,
      });
      sharded.set(service, made);
      return made;
    },
    cacheOf(service) {
      const known = caches.get(service);
      if (known) return known;
      if (!cache) throw new Error(`assertion failed: ${service} asked for a cache that no service here needs`);
      const made = createCache({
        driver: cache,
        namespace: service,
        near,
        clock,
        random,
        onError: (thrown, operation) => log.warn({ service, operation, err: thrown }, "the cache failed; it is a miss"),
        ...(onInvalidateIn && {
          // The cache knows of a transaction only that it commits; this is always one of the database.
          onInvalidateIn: (tx: AfterCommit, tags) => onInvalidateIn(service, tx as Transaction, tags),
        }),
      });
      caches.set(service, made);
      return made;
    },
  };
}

/** The same answer to the same question. */
function remembered<R>(make: (service: string) => R): (service: string) => R {
  const known = new Map<string, R>();
  return (service) => {
    const found = known.get(service) ?? make(service);
    known.set(service, found);
    return found;
  };
}

/** The SQL schema of a service: its name in small letters with underscores, so that nobody has to quote it. */
export function toSchemaName(service: string): string {
  return service.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

async function openDatabase({ settings, applicationName, clock, random }: StoresOptions): Promise<DatabaseDriver> {
  const address = settings.databaseUrl ?? `pglite:${encodeURI(`${settings.dataFolder}/database`)}`;
  const { open, url } = await portOf("DATABASE_URL", address, "database");
  return open(url, { applicationName, clock, random });
}

async function openReplicas(primary: DatabaseDriver, options: StoresOptions): Promise<Replicas | undefined> {
  const { settings, applicationName, clock, random, log } = options;
  const { databaseReplicaUrls: addresses } = settings;
  if (!addresses || addresses.length === 0) return undefined;
  const replicas: DatabaseDriver[] = [];
  for (const address of addresses) {
    const { open, url } = await portOf("DATABASE_REPLICA_URLS", address, "database");
    replicas.push(open(url, { applicationName, clock, random }));
  }
  if (!primary.flags.multipleProcesses) {
    throw new StartError(
      "DATABASE_WITHOUT_REPLICAS",
      `DATABASE_REPLICA_URLS: ${primary.name}, the embedded database, has no replicas; set DATABASE_URL to their primary, or leave them out.`,
    );
  }
  return createReplicas({
    primary,
    replicas,
    clock,
    random,
    onChange: (stats) => log.info({ replicas: stats }, "a replica came or went"),
  });
}

async function openShards(
  main: DatabaseDriver,
  { settings, applicationName, clock, random }: StoresOptions,
): Promise<ReadonlyMap<string, DatabaseDriver>> {
  const shards = new Map([[mainShard, main]]);
  for (const [name, address] of settings.databaseShards ?? []) {
    if (name === mainShard) {
      throw new StartError(
        "SHARD_MAIN",
        `DATABASE_SHARDS: "${mainShard}" is the database of DATABASE_URL; leave it out.`,
      );
    }
    const { open, url } = await portOf(`DATABASE_SHARDS: ${name}`, address, "database");
    shards.set(name, open(url, { applicationName, clock, random }));
  }
  return shards;
}

async function openCache({ settings: { cacheUrl }, clock, random }: StoresOptions): Promise<CacheDriver> {
  if (cacheUrl === undefined) return createMemoryCache({ clock });
  const { open, url } = await portOf("CACHE_URL", cacheUrl, "cache");
  return open(url, { clock, random });
}
