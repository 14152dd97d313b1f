import { setImmediate, setTimeout } from "node:timers/promises";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import pg from "pg";
import { createRuntime } from "plinth";
import { announce } from "../child.ts";
import { definition, tables } from "./definition.ts";

/** The shop of the soak, on the database of the first argument. Looks at its own memory when it is asked. */
const [url = ""] = process.argv.slice(2);
const environment = { ...process.env, DATABASE_URL: url, PLINTH_LOG: "silent", PLINTH_MIGRATE: "true" };
const runtime = await createRuntime(definition, { environment, settings: { port: 0, managementPort: 0 } });
const { gateway } = await runtime.start();
const admin = new pg.Client(url);
await admin.connect();
for (const [table, columns] of Object.entries(tables)) await admin.query(`create table ${table} ${columns}`);

/** What is left when everything was collected that can be. */
export interface MemorySample {
  readonly heapMiB: number;
  /** Buffers and the like, outside of the heap. */
  readonly externalMiB: number;
  /** As the system counts it, without the nursery. */
  readonly residentMiB: number;
  /** Where V8 makes new objects. It takes up to 48 MiB for it while there is much to do, and gives it back when there is not. */
  readonly nurseryMiB: number;
  /** Sockets, timers, requests that run: whatever keeps a process alive. */
  readonly handles: number;
}

announce(
  { url: gateway },
  {
    async sample(): Promise<MemorySample> {
      globalThis.gc?.();
      await setImmediate();
      // Pages that are almost empty are no growth: how many there are is a matter of luck.
      setFlagsFromString("--compact-on-every-full-gc");
      globalThis.gc?.();
      setFlagsFromString("--no-compact-on-every-full-gc");
      const { heapUsed, external } = process.memoryUsage();
      // Another thread gives the pages back.
      await setTimeout(200);
      const { rss } = process.memoryUsage();
      const nursery = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
      const nurseryMiB = (nursery?.physical_space_size ?? 0) / 2 ** 20;
      const handles = process.getActiveResourcesInfo().length;
      return {
        heapMiB: heapUsed / 2 ** 20,
        externalMiB: external / 2 ** 20,
        residentMiB: rss / 2 ** 20 - nurseryMiB,
        nurseryMiB,
        handles,
      };
    },
    async counts() {
      const { rows } = await admin.query(
        "select (select count(*)::int from shop.orders) as orders, (select count(*)::int from books.entries) as entries",
      );
      return rows[0];
    },
  },
);
