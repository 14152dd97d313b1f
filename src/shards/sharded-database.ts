import type { CallContext, Clock, Random } from "../base/index.ts";
import { assert, createIds, systemClock, systemRandom } from "../base/index.ts";
import type { Database, DatabaseDriver, DatabaseOptions, Fragment } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { assertKey, bucketOf } from "./bucket.ts";
import { createBucketMap } from "./bucket-map.ts";
import type { Directory } from "./claims.ts";
import { createDirectory } from "./claims.ts";
import { createFence, createOpenFence } from "./fence.ts";
import type { HotKey } from "./hot-keys.ts";
import { createHotKeys } from "./hot-keys.ts";
import { RoutedDriver } from "./routed-driver.ts";
import type { Router } from "./router.ts";
import type { Scattered, ScatterOptions } from "./scatter.ts";
import { scatter } from "./scatter.ts";
import type { ShardBy } from "./sharded-table.ts";

/**
 * One service's tables, spread over several databases by a key: 1,024 buckets, each of which lives on one shard, and can
 * move to another while the service works.
 *
 * **Promises.** `at(key)` is a whole `Database` in which the rows of that key live. Nothing is written to a shard that
 * does not have the key's bucket, and nothing is read from one, however old this process's idea of the map is: each
 * transaction holds the bucket's row in the fence of the data's own database, each read outside one is checked after it.
 * A row of another key than `at` was given is refused by the database (`SHARD_KEY_MISMATCH`). A move lets callers wait,
 * at most 2 s, and never makes a transaction's callback run twice.
 *
 * **Not promised.** No transaction over two keys: not even of one bucket, since what works by chance today breaks with
 * the next move. No foreign key to a table that is not sharded alike; no unique index without the shard key in it (use
 * `directory.claim`); no sequences (use `newId`). Tables that `shardBy` does not name are private to each shard. A
 * `select` outside a transaction that writes by way of a function may run again: write in a transaction. A read-only
 * transaction that a move overtakes runs again, as after a conflict.
 *
 * **Limits.** 64 shards; keys of 1,024 characters; 1,000 callers that wait for a move (`SHARD_MOVING`, as after 2 s).
 * A transaction costs one more round trip than without shards, a read outside one as well.
 */
export interface ShardedDatabase<Tables = any> {
  /** The database of this key, wherever it lives. Cheap: make one for each use. `open` and `close` do nothing. */
  at(key: string): Database<Tables>;
  /** The same for one call: its deadline, cancellation and trace hold for everything done through it. */
  bind(context: CallContext): ShardedDatabase<Tables>;
  /** One read on all shards, merged. See `ScatterOptions`. */
  scatter<Row = Record<string, any>>(fragment: Fragment, options?: ScatterOptions): Promise<Scattered<Row>>;
  /** Values that are unique over all shards. */
  readonly directory: Directory;
  /** A UUIDv7: sorts by time, also within a millisecond. CLOCK_REGRESSION when the clock went back more than 10 s. */
  newId(): string;
  /** The keys used most in this process lately, at most 64. */
  hotKeys(limit?: number): readonly HotKey[];
  readonly schema: string;
  readonly engine: string;
  readonly shardNames: readonly string[];
  readonly stats: ShardedDatabaseStats;
}

export interface ShardedDatabaseStats {
  /** Times the map was read from the directory, and times that failed in the background. */
  readonly mapRefreshes: number;
  readonly mapFailures: number;
  /** Times a shard said that the map was not right. */
  readonly staleUses: number;
  /** Callers that wait for a bucket on its way. */
  readonly waiting: number;
}

export interface ShardedDatabaseOptions {
  /** The schema of the service on every shard. */
  readonly schema: string;
  /** The service's name in the directory. */
  readonly service: string;
  /** The database of the directory's schema. */
  readonly directory: Database;
  /** The drivers of the shards, opened by whoever made them. */
  readonly shards: ReadonlyMap<string, DatabaseDriver>;
  readonly shardBy: ShardBy;
  readonly clock?: Clock;
  readonly random?: Random;
  /** For the databases that `at` makes. */
  readonly database?: Partial<Omit<DatabaseOptions, "driver" | "schema" | "clock" | "random">>;
  /** How long a map is used before it is read again. Default 30,000. */
  readonly refreshMs?: number;
  /** Longest wait for a bucket that is on its way. Default 2,000. */
  readonly moveWaitMs?: number;
  /** Default 1,000. */
  readonly moveWaitersMax?: number;
  /** @internal For proof only: no fence at all, or a map that never learns. */
  readonly mutant?: "fence off" | "map frozen";
}

export function createShardedDatabase<Tables = any>(options: ShardedDatabaseOptions): ShardedDatabase<Tables> {
  return new BoundShards(new Shards(options), undefined);
}

/** What all bound ones share. */
class Shards {
  readonly options: ShardedDatabaseOptions;
  readonly router: Router;
  readonly model: DatabaseDriver;
  readonly hot;
  readonly newId;
  /** Past the router. */
  readonly databases: ReadonlyMap<string, Database>;

  constructor(options: ShardedDatabaseOptions) {
    const { schema, service, directory, shards, mutant, clock = systemClock, random = systemRandom } = options;
    const [model] = shards.values();
    assert(model, "a sharded database has at least one shard");
    this.options = options;
    this.model = model;
    this.hot = createHotKeys(clock);
    this.newId = createIds(clock, random);
    this.databases = new Map(
      [...shards].map(([name, driver]) => [
        name,
        createDatabase({ ...options.database, driver, schema, clock, random }),
      ]),
    );
    this.router = {
      schema,
      map: createBucketMap({
        directory,
        service,
        clock,
        refreshMs: options.refreshMs ?? 30_000,
        isFrozen: mutant === "map frozen",
      }),
      fence: mutant === "fence off" ? createOpenFence() : createFence(schema),
      driverOf(shard) {
        const driver = shards.get(shard);
        assert(driver, `the directory says shard ${shard}, which this process has no address for`);
        return driver;
      },
      clock,
      random,
      moveWaitMs: options.moveWaitMs ?? 2_000,
      moveWaitersMax: options.moveWaitersMax ?? 1_000,
      waiting: 0,
    };
  }

  at(key: string): Database {
    assertKey(key);
    this.hot.note(key);
    const driver = new RoutedDriver(this.router, this.model, key, bucketOf(key));
    const { schema, database } = this.options;
    const { clock, random } = this.router;
    return createDatabase({ ...database, driver, schema, clock, random });
  }
}

class BoundShards implements ShardedDatabase {
  readonly #shards: Shards;
  readonly #context: CallContext | undefined;

  constructor(shards: Shards, context: CallContext | undefined) {
    this.#shards = shards;
    this.#context = context;
  }

  at(key: string): Database {
    const database = this.#shards.at(key);
    return this.#context ? database.bind(this.#context) : database;
  }

  bind(context: CallContext): ShardedDatabase {
    return new BoundShards(this.#shards, context);
  }

  scatter<Row>(fragment: Fragment, options?: ScatterOptions): Promise<Scattered<Row>> {
    const { databases, router } = this.#shards;
    return scatter<Row>({ shards: databases, clock: router.clock, context: this.#context }, fragment, options);
  }

  get directory(): Directory {
    const { directory, service } = this.#shards.options;
    return createDirectory({
      directory: this.#context ? directory.bind(this.#context) : directory,
      service,
      at: (key) => this.at(key),
      newId: this.#shards.newId,
    });
  }

  newId(): string {
    return this.#shards.newId();
  }

  hotKeys(limit = 10): readonly HotKey[] {
    return this.#shards.hot.top(limit);
  }

  get schema(): string {
    return this.#shards.options.schema;
  }

  get engine(): string {
    return this.#shards.model.name;
  }

  get shardNames(): readonly string[] {
    return [...this.#shards.options.shards.keys()];
  }

  get stats(): ShardedDatabaseStats {
    const { map, waiting } = this.#shards.router;
    const { refreshes, failures, staleUses } = map.stats;
    return { mapRefreshes: refreshes, mapFailures: failures, staleUses, waiting };
  }
}
