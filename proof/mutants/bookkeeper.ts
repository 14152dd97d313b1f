import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase } from "../../src/database/index.ts";
import { crashPointsFromEnvironment, createConsumer } from "../../src/events/index.ts";
import { brokerOf, openDriver, type Place, type Sale, Sold, subscription } from "./market.ts";

/** Enters what was sold into the books. Dies where `PLINTH_CRASH_POINT` says. */
export interface BookkeeperOptions extends Place {
  readonly inbox: boolean;
  readonly acknowledgeBeforeCommit: boolean;
  readonly epochCheck: boolean;
  /** The books are not in the service's transaction: as with a foreign system, an entry is there when it is written. */
  readonly outside: boolean;
  readonly concurrency: number;
  /** How long the handler takes before the entry, and after it. */
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** What it tells: an event has come, and its entry is written. */
export interface Noted extends Sale {
  readonly what: "come" | "written";
}

const options: BookkeeperOptions = JSON.parse(process.argv[2] ?? "{}");
const { inbox, acknowledgeBeforeCommit, epochCheck, outside, concurrency, beforeMs, afterMs } = options;
const driver = await openDriver(options.url);
const database = createDatabase({ driver, schema: options.schema });
const crashPoint = crashPointsFromEnvironment(process.env);
const broker = brokerOf(driver, options, { epochCheck, crashPoint });
await broker.open();
const consumer = createConsumer({
  service: "books",
  broker,
  database,
  acknowledgeBeforeCommit,
  crashPoint,
  subscriptions: [
    {
      name: subscription,
      types: [Sold],
      inbox,
      concurrency,
      // More than a run has crashes: none of them may end in a dead letter.
      retries: Array.from({ length: 20 }, () => "50ms" as const),
      async handle({ key, n }: Sale, { tx }) {
        if (!tx) throw new Error("the books are in the database");
        process.send?.({ key, n, what: "come" } satisfies Noted);
        await sleep(beforeMs);
        await (outside ? database : tx).sql`insert into entry (key, n) values (${key}, ${n})`;
        process.send?.({ key, n, what: "written" } satisfies Noted);
        await sleep(afterMs);
      },
    },
  ],
});
process.on("disconnect", () => process.exit());
// Before it begins: it may be dead a moment later.
await new Promise((resolve) => process.send?.("up", resolve));
await consumer.start();
