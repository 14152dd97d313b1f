import { join } from "node:path";
import type { Look } from "../../examples/shop/books.ts";
import { root } from "../../scripts/source/tree.ts";
import { startPostgres, type TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { type RedisServer, startRedis } from "../../src/engines/redis/redis-server.fixture.ts";
import { type Fleet, startFleet } from "../fleet.ts";

/** The shop in four processes, on a Postgres and a Redis of its own that may be broken. */
export interface Stage {
  readonly fleet: Fleet;
  readonly postgres: TestPostgres;
  readonly redis: RedisServer;
  /** Of the gateway. */
  readonly url: string;
  readonly mailFolder: string;
  /** Past everything that is broken: straight to the server. */
  readonly look: Look;
  dispose(): Promise<void>;
}

export const groups = ["edge", "catalogue", "orders", "workers"] as const;

export interface StageOptions {
  /** What the processes are told, given the server's own address. Default: that. */
  readonly databaseUrl?: (url: string) => Promise<string>;
}

export async function openStage({ databaseUrl = async (url) => url }: StageOptions = {}): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = [];
  const dispose = async (): Promise<void> => {
    for (const one of undo.reverse()) await one();
  };
  try {
    // The time of each commit is kept: it tells the order in which effects came to be.
    const postgres = await startPostgres({ settings: { max_connections: "200", track_commit_timestamp: "on" } });
    undo.push(() => postgres.dispose());
    const redis = await startRedis();
    undo.push(() => redis.kill());
    const fleet = await startFleet({
      appFile: `${root}proof/ledger/app.ts`,
      groups: Object.fromEntries(groups.map((group) => [group, 1])),
      edge: "edge",
      environment: {
        DATABASE_URL: await databaseUrl(postgres.url.href),
        CACHE_URL: redis.url.href,
        // Below the folder in which the processes run.
        SHOP_MAIL_FOLDER: "mail",
        PLINTH_LOG: "warn",
      },
    });
    undo.push(() => fleet.dispose());
    return {
      fleet,
      postgres,
      redis,
      url: fleet.urls[0] ?? "",
      mailFolder: join(fleet.folder, "mail"),
      look: (_service, text) => postgres.adminQuery(text),
      dispose,
    };
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
}
