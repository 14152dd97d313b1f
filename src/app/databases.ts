import type { Clock, Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Database, DatabaseDriver, QueryRecord, ReplicaStats, Replicas } from "../database/index.ts";
import { createDatabase, createReplicas } from "../database/index.ts";
import type { ShardBy, ShardedDatabase } from "../shards/index.ts";
import { createShardedDatabase } from "../shards/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { portOf } from "./engine-of.ts";
import { memo } from "./memo.ts";
import type { Settings } from "./settings.ts";

/** The databases of a process: one engine, its replicas and further shards, and in them a schema for each service. */
export interface Databases {
  /** Undefined where no service here has one. Opened before and closed after everything else, as the two that follow. */
  readonly database: DatabaseDriver | undefined;
  readonly replicas: Replicas | undefined;
  /** Where sharded services have their rows, by name; "main" is `database`. Empty without such a service. */
  readonly shards: ReadonlyMap<string, DatabaseDriver>;
  databaseOf(service: string): Database;
  /** The same, of which no statement is told to `onQuery`: for asking about others. */
  unwatched(schema: string): Database | undefined;
  /** What says where the buckets of sharded services are. */
  directory(): Database;
  /** The database of a sharded service on each shard. */
  shardsOf(service: string): ReadonlyMap<string, Database>;
  shardedOf(service: string, shardBy: ShardBy): ShardedDatabase;
  /** Those that were asked for, by service. */
  readonly sharded: ReadonlyMap<string, ShardedDatabase>;
  /** All that this process connects to. */
  servers(): readonly DatabaseServer[];
}

/** One address that this process has a pool for. */
export interface DatabaseServer {
  /** "main", "replica 1", "shard eu". */
  readonly name: string;
  readonly kind: "main" | "replica" | "shard";
  /** Its schema "public"; of which no statement is told. */
  readonly database: Database;
}

export interface DatabasesOptions {
  readonly settings: Pick<Settings, "databaseUrl" | "databaseReplicaUrls" | "databaseShards" | "dataFolder">;
  readonly needsDatabase: boolean;
  /** A service here has "shardBy". */
  readonly needsShards: boolean;
  readonly applicationName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called after each statement of a service. */
  readonly onQuery?: ((record: QueryRecord) => void) | undefined;
}

/** What is asked of a server at start is not worth a longer wait. */
const serverTimeoutMs = 2_000;

/** The shard that every app has. */
const mainShard = "main";

export async function createDatabases(options: DatabasesOptions): Promise<Databases> {
  const { clock, random, log, onQuery } = options;
  const database = options.needsDatabase ? await openMain(options) : undefined;
  const replicaDrivers = database ? await openReplicas(database, options) : [];
  const replicas = database && createReplicated(database, replicaDrivers, options);
  const shards =
    database && options.needsShards ? await openShards(database, options) : new Map<string, DatabaseDriver>();
  const commonOf = (service: string) => ({
    schema: toSchemaName(service),
    ...(onQuery && { onQuery }),
    onHookError: (thrown: unknown) => log.error({ service, err: thrown }, "what was to run after a commit failed"),
  });
  const databaseOf = memo((service): Database => {
    if (!database) throw new Error(`assertion failed: ${service} asked for a database that no service here needs`);
    return createDatabase({ ...commonOf(service), driver: database, clock, random, ...(replicas && { replicas }) });
  });
  const directory = () => databaseOf("plinth_shards");
  const sharded = new Map<string, ShardedDatabase>();
  return {
    database,
    replicas,
    shards,
    sharded,
    databaseOf,
    directory,
    servers() {
      const server = (kind: DatabaseServer["kind"], name: string, driver: DatabaseDriver): DatabaseServer => ({
        name,
        kind,
        database: createDatabase({ driver, schema: "public", clock, random, acquireTimeoutMs: serverTimeoutMs }),
      });
      const further = [...shards].filter(([, driver]) => driver !== database);
      return [
        ...(database ? [server("main", mainShard, database)] : []),
        ...replicaDrivers.map((driver, i) => server("replica", `replica ${i + 1}`, driver)),
        ...further.map(([name, driver]) => server("shard", `shard ${name}`, driver)),
      ];
    },
    unwatched: (schema) => database && createDatabase({ driver: database, schema, clock, random }),
    shardsOf: memo((service): ReadonlyMap<string, Database> => {
      const common = { ...commonOf(service), clock, random };
      return new Map([...shards].map(([name, driver]) => [name, createDatabase({ ...common, driver })]));
    }),
    shardedOf(service, shardBy) {
      const known = sharded.get(service);
      if (known) return known;
      const { schema, ...common } = commonOf(service);
      const parts = { directory: directory(), shards, shardBy, clock, random, database: common };
      const made = createShardedDatabase({ schema, service, ...parts });
      sharded.set(service, made);
      return made;
    },
  };
}

/** The SQL schema of a service: its name in small letters with underscores, so that nobody has to quote it. */
export function toSchemaName(service: string): string {
  return service.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

async function openMain({ settings, ...options }: DatabasesOptions): Promise<DatabaseDriver> {
  const address = settings.databaseUrl ?? `pglite:${encodeURI(`${settings.dataFolder}/database`)}`;
  return openDriver("DATABASE_URL", address, options);
}

async function openDriver(
  variable: string,
  address: string,
  { applicationName, clock, random }: Pick<DatabasesOptions, "applicationName" | "clock" | "random">,
): Promise<DatabaseDriver> {
  const { open, url } = await portOf(variable, address, "database");
  return open(url, { applicationName, clock, random });
}

async function openReplicas(primary: DatabaseDriver, options: DatabasesOptions): Promise<readonly DatabaseDriver[]> {
  const { databaseReplicaUrls: addresses = [] } = options.settings;
  const variable = "DATABASE_REPLICA_URLS";
  const replicas: DatabaseDriver[] = [];
  for (const address of addresses) replicas.push(await openDriver(variable, address, options));
  if (replicas.length > 0 && !primary.flags.multipleProcesses) {
    throw new StartError(
      "DATABASE_WITHOUT_REPLICAS",
      `${variable}: ${primary.name}, the embedded database, has no replicas; set DATABASE_URL to their primary, or leave them out.`,
    );
  }
  return replicas;
}

function createReplicated(
  primary: DatabaseDriver,
  replicas: readonly DatabaseDriver[],
  { clock, random, log }: DatabasesOptions,
): Replicas | undefined {
  if (replicas.length === 0) return undefined;
  const onChange = (stats: readonly ReplicaStats[]): void => {
    const states = stats.map(({ state, reason, lagMs }) => ({ state, reason, lagMs }));
    log.info({ replicas: states }, "a replica came or went");
  };
  return createReplicas({ primary, replicas, clock, random, onChange });
}

async function openShards(
  main: DatabaseDriver,
  options: DatabasesOptions,
): Promise<ReadonlyMap<string, DatabaseDriver>> {
  const shards = new Map([[mainShard, main]]);
  for (const [name, address] of options.settings.databaseShards ?? []) {
    if (name === mainShard) {
      throw new StartError(
        "SHARD_MAIN",
        `DATABASE_SHARDS: "${mainShard}" is the database of DATABASE_URL; leave it out.`,
      );
    }
    shards.set(name, await openDriver(`DATABASE_SHARDS: ${name}`, address, options));
  }
  return shards;
}
