import { root } from "../../scripts/source/tree.ts";
import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { startPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { RedisServer } from "../../src/engines/redis/redis-server.fixture.ts";
import { startRedis } from "../../src/engines/redis/redis-server.fixture.ts";
import type { Fleet } from "../fleet.ts";
import { startFleet } from "../fleet.ts";

/** The servers of this proof. Postgres counts statements. */
export interface Stage {
  readonly postgres: TestPostgres;
  readonly redis: RedisServer;
  /** The groups of the shop that its catalogue needs, on a database of this name. */
  startShop(options: ShopOptions): Promise<ReadingShop>;
  dispose(): Promise<void>;
}

export interface ShopOptions {
  readonly name: string;
  readonly isCached?: boolean;
  readonly hasNearTier?: boolean;
  /** Processes of the group that the catalogue lives in, and of the gateway's. Default: one each. */
  readonly processes?: number;
  readonly gateways?: number;
  /** What the processes are told, given the database's own address. */
  readonly databaseUrl?: (url: string) => string;
}

export interface ReadingShop {
  readonly fleet: Fleet;
  /** The first gateway. */
  readonly url: string;
  /** Statements that read the catalogue's products, of all its processes until now. */
  productReads(): Promise<number>;
  dispose(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const postgres = await startPostgres({
    settings: { shared_preload_libraries: "pg_stat_statements", max_connections: "300" },
  });
  const redis = await startRedis().catch(async (thrown: unknown) => {
    await postgres.dispose();
    throw thrown;
  });
  await postgres.adminQuery("create extension pg_stat_statements");
  return {
    postgres,
    redis,
    startShop: (options) => startShop(options, postgres, redis),
    async dispose() {
      await redis.kill();
      await postgres.dispose();
    },
  };
}

async function startShop(options: ShopOptions, postgres: TestPostgres, redis: RedisServer): Promise<ReadingShop> {
  const { name, isCached = true, hasNearTier = true, processes = 1, gateways = 1 } = options;
  const { databaseUrl = (url: string) => url } = options;
  const database = await postgres.database(name);
  const fleet = await startFleet({
    appFile: isCached ? `${root}examples/shop/app.ts` : `${root}proof/cache/uncached-shop.ts`,
    groups: { catalogue: processes, edge: gateways },
    edge: "edge",
    environment: {
      DATABASE_URL: databaseUrl(database.href),
      CACHE_URL: `${redis.url.href}?prefix=${name}`,
      PLINTH_LOG: "warn",
      ...(!hasNearTier && { PLINTH_CACHE_NEAR: "0" }),
    },
  });
  return {
    fleet,
    url: fleet.urls[0] as string,
    async productReads() {
      const [row] = await postgres.adminQuery<{ count: number }>(`
        select coalesce(sum(calls), 0)::int as count
        from pg_stat_statements s join pg_database d on d.oid = s.dbid
        where d.datname = '${name}' and s.query ~* 'from products'`);
      return row?.count ?? 0;
    },
    dispose: () => fleet.dispose(),
  };
}
