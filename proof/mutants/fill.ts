import { setTimeout as sleep } from "node:timers/promises";
import { createCache } from "../../src/cache/index.ts";
import { createDatabase } from "../../src/database/index.ts";
import redis from "../../src/engines/redis/index.ts";
import { checkCache, checkFaultsBit } from "../../src/verify/index.ts";
import type { ReaderOptions, Seen } from "./reader.ts";
import type { Ground } from "./run.ts";
import type { Scenario } from "./scenario.ts";
import { startWorker } from "./worker.ts";

export interface CacheGround extends Ground {
  readonly cacheUrl: string;
}

const quietMs = 1_000;
const loadMs = 300;

/** A reader is stopped between its load and its fill, while what it has loaded is changed and invalidated. */
export const fillWithoutLease: Scenario<CacheGround> = {
  mutant: "the cache is filled without a lease",
  async play({ driver, url, cacheUrl }, { isMutant, smoke }) {
    const schema = isMutant ? "fill_without" : "fill_with";
    const database = createDatabase({ driver, schema });
    await database.session((session) =>
      session.script(
        `create schema ${schema}; create table ${schema}.item (id text primary key, version int not null)`,
      ),
    );
    const ids = Array.from({ length: smoke ? 10 : 50 }, (_, i) => `item-${i}`);
    await database.sql`insert into item select id, 1 from unnest(${ids}::text[]) as one (id)`;
    const engine = redis.ports.cache(new URL(cacheUrl));
    await engine.open();
    const cache = createCache({ driver: engine, namespace: schema });
    const options: ReaderOptions = { url, schema, cacheUrl, fillWithoutLease: isMutant, loadMs };
    const stopped = await startWorker<Seen>("./reader.ts", options);
    const later = await startWorker<Seen>("./reader.ts", { ...options, loadMs: 0 });
    try {
      const loaded = hearAll(stopped, ids, "loaded");
      const read = hearAll(stopped, ids, "read");
      stopped.ask(ids);
      await loaded;
      stopped.signal("SIGSTOP");
      for (const id of ids) {
        await database.sql`update item set version = 2 where id = ${id}`;
        await cache.invalidate(id);
      }
      stopped.signal("SIGCONT");
      await read;
      await sleep(quietMs);
      // Somebody else asks: from the cache where there is something, from the database otherwise.
      const again = hearAll(later, ids, "read");
      later.ask(ids);
      await again;
      const samples = await Promise.all(
        ids.map(async (id) => {
          const [row] = await database.sql<{ version: number }>`select version from item where id = ${id}`;
          const cached = await cache.get<number>(id);
          return { key: id, cached: cached?.toString(), stored: row?.version.toString(), quietMs };
        }),
      );
      const versions = (await read).filter(({ version }) => version === 1).length;
      return [
        checkCache({ samples, quietMsMin: quietMs }),
        checkFaultsBit([{ fault: "loads that were overtaken by a change", bites: versions, bitesMin: ids.length }]),
      ];
    } finally {
      await Promise.all([stopped.kill(), later.kill()]);
      await cache.close();
      await engine.close();
    }
  },
};

/** What it tells of each of these, in whatever order. */
function hearAll(
  worker: Awaited<ReturnType<typeof startWorker<Seen>>>,
  ids: readonly string[],
  what: Seen["what"],
): Promise<Seen[]> {
  return Promise.all(ids.map((id) => worker.hears((seen) => seen.id === id && seen.what === what)));
}
