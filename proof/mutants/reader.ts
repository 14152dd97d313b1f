import { setTimeout as sleep } from "node:timers/promises";
import { createCache } from "../../src/cache/index.ts";
import { createDatabase } from "../../src/database/index.ts";
import redis from "../../src/engines/redis/index.ts";
import { openDriver, type Place } from "./market.ts";

/** Reads items through the cache, all that it is asked for at once; a load takes a while after it has read its row. */
export interface ReaderOptions extends Place {
  readonly cacheUrl: string;
  readonly fillWithoutLease: boolean;
  readonly loadMs: number;
}

/** Told when a load has read its row, and when an item was answered. */
export interface Seen {
  readonly id: string;
  readonly what: "loaded" | "read";
  readonly version: number;
}

const options: ReaderOptions = JSON.parse(process.argv[2] ?? "{}");
const driver = await openDriver(options.url);
const database = createDatabase({ driver, schema: options.schema });
const engine = redis.ports.cache(new URL(options.cacheUrl));
await engine.open();
const { fillWithoutLease, loadMs } = options;
const cache = createCache({ driver: engine, namespace: options.schema, fillWithoutLease });

process.on("message", async (ids: readonly string[]) => {
  await Promise.all(
    ids.map(async (id) => {
      const load = async (): Promise<number> => {
        const [row] = await database.sql<{ version: number }>`select version from item where id = ${id}`;
        const version = row?.version ?? 0;
        process.send?.({ id, what: "loaded", version } satisfies Seen);
        await sleep(loadMs);
        return version;
      };
      const version = await cache.getOrLoad(id, load, { tags: [id] });
      process.send?.({ id, what: "read", version } satisfies Seen);
    }),
  );
});
process.on("disconnect", () => process.exit());
process.send?.("up");
