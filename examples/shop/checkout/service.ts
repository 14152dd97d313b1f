import { type Client, type Database, database, isError, newId, type PlinthError, service } from "plinth";
import { accounts } from "../accounts/contract.ts";
import { cart } from "../cart/contract.ts";
import { currency } from "../currency/contract.ts";
import { baseCurrency } from "../money.ts";
import { payment } from "../payment/contract.ts";
import { checkout, type Order } from "./contract.ts";

/**
 * An order is written as `pending`, paid for under its own id as key, and then made `placed` in one transaction with
 * `OrderPlaced`. Whatever goes wrong after it was written is compensated: the charge is given back and the order is
 * `failed`. When the process dies on the way, `OrderStarted` comes back to do the same.
 */

interface OrderRow {
  id: string;
  status: "pending" | "placed" | "failed";
  items: Order["items"];
  total_amount: number;
  total_currency: string;
  ship_to: Order["shipTo"];
  placed_at: string;
}

function toOrder(row: OrderRow): Order {
  return {
    id: row.id,
    status: row.status === "placed" ? "placed" : "failed",
    items: row.items,
    total: { amount: row.total_amount, currency: row.total_currency },
    shipTo: row.ship_to,
    placedAt: row.placed_at,
  };
}

/** No order takes longer than a gateway's request; after this time a pending one was left behind. */
const pendingSecondsMax = 30;

async function compensate(orderId: string, db: Database, payments: Client<typeof payment>): Promise<void> {
  await payments.refund({ key: orderId });
  await db.sql`update orders set status = 'failed' where id = ${orderId} and status = 'pending'`;
}

export default service(checkout, {
  needs: {
    db: database({ migrations: new URL("./migrations/", import.meta.url) }),
    accounts,
    cart,
    currency,
    payment,
  },
  methods: {
    async placeOrder(request, { db, accounts, cart, currency, payment, principal, events, log, fail }) {
      const { card, shipTo, currency: payIn = baseCurrency } = request;
      const [account, { items, total: inBase }] = await Promise.all([accounts.getMine(), cart.getCart()]);
      if (items.length === 0) throw fail("CART_EMPTY", "There is nothing in the cart.");
      const converted = await currency
        .convert({ amount: inBase.amount, from: baseCurrency, to: payIn })
        .catch((thrown: unknown) => {
          if (isError(thrown, "CURRENCY_UNKNOWN")) throw fail("CURRENCY_UNKNOWN", `We do not take "${payIn}".`);
          throw thrown;
        });
      const { money: total, minorDigits } = converted;
      const orderId = newId();
      await db.transaction(async (tx) => {
        await tx.sql`
          insert into orders (id, account_id, status, items, total_amount, total_currency, ship_to)
          values (${orderId}, ${principal.subject}, 'pending', ${JSON.stringify(items)}::jsonb, ${total.amount},
            ${total.currency}, ${JSON.stringify(shipTo)}::jsonb)`;
        await events.publish(checkout.OrderStarted, { orderId }, { in: tx });
      });

      try {
        const { chargeId } = await payment.charge({ key: orderId, amount: total, card });
        return await db.transaction(async (tx) => {
          const [row] = await tx.sql<OrderRow>`
            update orders set status = 'placed', charge_id = ${chargeId}, placed_at = now()
            where id = ${orderId} and status = 'pending' returning *`;
          // Nobody but the clean-up takes a pending order away, and it has given the charge back by then.
          if (!row) throw new Error(`order ${orderId} was cleaned up while it was being paid for`);
          const order = toOrder(row);
          const recipient = { name: account.name, email: account.email };
          const placed = { ...order, orderId, accountId: principal.subject, recipient, minorDigits };
          await events.publish(checkout.OrderPlaced, placed, { in: tx });
          return order;
        });
      } catch (thrown) {
        await compensate(orderId, db, payment).catch((cause: unknown) => {
          log.warn({ err: cause, orderId }, "the order could not be cleaned up at once; OrderStarted will do it");
        });
        if (isError(thrown, "CARD_INVALID")) throw fail("CARD_INVALID", thrown.message);
        if (isError(thrown, "CARD_EXPIRED")) throw fail("CARD_EXPIRED", thrown.message);
        if (isError(thrown, "CARD_DECLINED")) throw fail("CARD_DECLINED", (thrown as PlinthError).message);
        throw thrown;
      }
    },

    async getOrder({ id }, { db, principal, fail }) {
      const [row] = await db.sql<OrderRow>`
        select * from orders where id = ${id} and account_id = ${principal.subject} and status <> 'pending'`;
      if (!row) throw fail("ORDER_UNKNOWN", `You have no order "${id}".`);
      return toOrder(row);
    },

    async listOrders({ limit = 20 }, { db, principal }) {
      const rows = await db.sql<OrderRow>`
        select * from orders where account_id = ${principal.subject} and status <> 'pending'
        order by placed_at desc, id desc limit ${limit}`;
      return { orders: rows.map(toOrder) };
    },
  },
  subscriptions: {
    cleanUpAfterCrash: {
      event: checkout.OrderStarted,
      retries: ["1s", "5s", "30s", "1m", "5m", "30m"],
      async handle({ orderId }, { db, payment, eventId, log }) {
        const [order] = await db.sql<{ status: string; stale: boolean }>`
          select status, placed_at < now() - make_interval(secs => ${pendingSecondsMax}) as stale
          from orders where id = ${orderId}`;
        if (order?.status !== "pending") return;
        if (!order.stale) throw new Error(`order ${orderId} is still being paid for; looked at again later`);
        log.warn({ orderId, eventId }, "giving back what an interrupted order has charged");
        await compensate(orderId, db, payment);
      },
    },
  },
});
