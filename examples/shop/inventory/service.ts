import { isDeepStrictEqual } from "node:util";
import { database, service, type Transaction } from "plinth";
import { checkout } from "../checkout/contract.ts";
import { inventory } from "./contract.ts";
import * as reservations from "./reservations.ts";
import * as stock from "./stock.ts";
import { type Level, levelOf, type Movement } from "./stock.ts";

/**
 * What there is of each product. An order first reserves, then pays, then is placed; `OrderPlaced` turns what is reserved
 * into what is sold. An order that breaks off releases instead, and a key that was released before it reserved anything
 * never reserves. What was neither for ten minutes is asked about with `ReservationOverdue`: by then the order is decided,
 * and only checkout knows how.
 */
export default service(inventory, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async getStock({ productId }, { db, fail }) {
      const [row] = await db.sql<{ available: number }>`select available from stock where product_id = ${productId}`;
      if (!row) throw fail("STOCK_UNKNOWN", `There never was a product "${productId}" here.`);
      return { productId, available: row.available, level: levelOf(row.available) };
    },

    async receive({ productId, deliveryId, quantity }, { db, events, fail }) {
      return db.transaction(async (tx) => {
        await tx.sql`insert into stock (product_id) values (${productId}) on conflict do nothing`;
        const isNew = await tx.sql`
          insert into deliveries (product_id, delivery_id, quantity) values (${productId}, ${deliveryId}, ${quantity})
          on conflict do nothing returning delivery_id`;
        if (isNew.length > 0) {
          const movement = await stock.receive(tx, { productId, quantity });
          await announceLevels([movement], (level) => events.publish(inventory.StockLevelChanged, level, { in: tx }));
          return { productId, available: movement.available };
        }
        const [known] = await tx.sql<{ quantity: number; available: number }>`
          select deliveries.quantity, available from deliveries join stock using (product_id)
          where product_id = ${productId} and delivery_id = ${deliveryId}`;
        if (known?.quantity !== quantity) {
          throw fail("DELIVERY_REUSED", "A delivery with this id brought another quantity.");
        }
        return { productId, available: known.available };
      });
    },

    async reserve({ key, items: asked }, { db, events, fail }) {
      const items = reservations.gather(asked);
      await db.transaction(async (tx) => {
        if (!(await reservations.begin(tx, key, items))) {
          const known = await reservations.find(tx, key);
          if (known?.status === "released") {
            throw fail("RESERVATION_VOID", "This key has been given back and reserves no more.");
          }
          if (!isDeepStrictEqual(known?.items, items)) {
            throw fail("RESERVATION_REUSED", "This key has already reserved something else.");
          }
          return;
        }
        const movements = await stock.reserve(tx, items);
        const had = new Set(movements.map((movement) => movement.productId));
        const missing = items.map((item) => item.productId).filter((productId) => !had.has(productId));
        if (missing.length > 0) {
          const details = { productIds: missing.slice(0, 10) };
          throw fail("OUT_OF_STOCK", `There is not enough of ${missing.slice(0, 10).join(", ")}.`, { details });
        }
        await events.publish(inventory.StockReserved, { orderId: key, items }, { in: tx });
        await announceLevels(movements, (level) => events.publish(inventory.StockLevelChanged, level, { in: tx }));
      });
    },

    async release({ key }, { db, events, fail }) {
      await db.transaction(async (tx) => {
        // Without a reservation this leaves a released one behind, so that one still on its way finds the key taken.
        if (await reservations.beginReleased(tx, key)) return;
        const items = await reservations.end(tx, key, "released");
        if (items) {
          const movements = await stock.release(tx, [...items]);
          await events.publish(inventory.StockReleased, { orderId: key, items: [...items] }, { in: tx });
          await announceLevels(movements, (level) => events.publish(inventory.StockLevelChanged, level, { in: tx }));
          return;
        }
        const known = await reservations.find(tx, key);
        if (known?.status === "sold") throw fail("RESERVATION_SOLD", "What this key has reserved is sold.");
      });
    },
  },
  subscriptions: {
    sellWhatWasReserved: {
      event: checkout.OrderPlaced,
      async handle({ orderId }, { tx }) {
        const items = await reservations.end(tx, orderId, "sold");
        if (items) {
          await stock.sell(tx, items);
          return;
        }
        const known = await reservations.find(tx, orderId);
        if (known?.status !== "sold") throw new Error(`order ${orderId} was placed, and nothing is reserved for it`);
      },
    },
  },
  schedules: {
    askAboutOverdueReservations: {
      every: "1m",
      async handle({ tx, events }) {
        await expireReservations(tx, (overdue) => events.publish(inventory.ReservationOverdue, overdue, { in: tx }));
      },
    },
  },
});

interface LevelChange {
  readonly productId: string;
  readonly level: Level;
  readonly available: number;
  readonly version: number;
}

/** Only what crosses a mark is worth an event: most movements do not. */
async function announceLevels(
  movements: readonly Movement[],
  announce: (change: LevelChange) => Promise<void>,
): Promise<void> {
  for (const { productId, before, available, version } of movements) {
    const level = levelOf(available);
    if (level !== levelOf(before)) await announce({ productId, level, available, version });
  }
}

/**
 * Asks about each reservation that is kept for too long. It does not release anything itself: the order may be placed, and
 * `OrderPlaced` be on its way still.
 */
export async function expireReservations(
  tx: Transaction,
  ask: (overdue: { readonly orderId: string }) => Promise<void>,
): Promise<void> {
  for (const orderId of await reservations.takeOverdue(tx)) await ask({ orderId });
}
