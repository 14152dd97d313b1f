import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase } from "../../src/database/index.ts";
import { createPublisher, createRelay } from "../../src/events/index.ts";
import { brokerOf, lease, openDriver, type Place, Sold } from "./market.ts";

/**
 * Sells, several at a time, each the next of its own key, in transactions of very different lengths; tells each sale once
 * it is committed. Told "stop", it sells no more and says "stopped"; its relay goes on.
 */
export interface SellerOptions extends Place {
  readonly sellers: number;
  /** The longest that a transaction stays open. */
  readonly holdMsMax: number;
  readonly idCursorRelay: boolean;
}

const options: SellerOptions = JSON.parse(process.argv[2] ?? "{}");
const driver = await openDriver(options.url);
const database = createDatabase({ driver, schema: options.schema });
const broker = brokerOf(driver, options);
await broker.open();
const { idCursorRelay } = options;
const relay = createRelay({ service: "market", database, broker, lease, idCursorRelay });
relay.start();
const publisher = createPublisher({ service: "market", database, wake: relay.wake });
let isSelling = true;

async function sell(key: string): Promise<void> {
  for (let n = 1; isSelling; n++) {
    await database.transaction(async (tx) => {
      await tx.sql`insert into sale (key, n) values (${key}, ${n})`;
      await publisher.publish(Sold, { key, n }, { in: tx });
      await sleep(Math.random() * options.holdMsMax);
    });
    process.send?.({ key, n });
    await sleep(10);
  }
}

const selling = Promise.all(Array.from({ length: options.sellers }, (_, i) => sell(`key ${i}`)));
process.on("message", async () => {
  isSelling = false;
  await selling;
  process.send?.("stopped");
});
process.on("disconnect", () => process.exit());
process.send?.("up");
