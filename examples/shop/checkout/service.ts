import { database, isError, newId, service } from "plinth";
import { accounts } from "../accounts/contract.ts";
import { cart } from "../cart/contract.ts";
import { currency } from "../currency/contract.ts";
import { inventory } from "../inventory/contract.ts";
import { baseCurrency, sum } from "../money.ts";
import { payment } from "../payment/contract.ts";
import { shipping } from "../shipping/contract.ts";
import { checkout } from "./contract.ts";
import * as orders from "./orders.ts";
import { giveUp, isRefusal, isTooLate, reserveAndCharge, withdraw } from "./purchase.ts";

/**
 * An order is written as `pending`, its things are reserved and paid for under its own id as key, and then it is made
 * `placed` in one transaction with `OrderPlaced`. A declined card, or a thing that is sold out, takes it away again.
 * Whatever else goes wrong is compensated (`purchase.ts`): the order becomes `failing`, so that nobody can place it any
 * more, then money and stock go back, then it is `failed`. When the process dies on the way, `OrderStarted` comes back to
 * do the same; and should that be lost too, inventory asks what became of its reservation.
 */

/** No request takes longer than the gateway's ten seconds; an order that is pending after this time was left behind. */
const pendingSecondsMax = 30;

export default service(checkout, {
  needs: {
    db: database({ migrations: new URL("./migrations/", import.meta.url) }),
    accounts,
    cart,
    currency,
    inventory,
    payment,
    shipping,
  },
  resources: {
    async order({ id }, { db }) {
      const row = await orders.findOrder(db, id);
      return row && { ...orders.toOrder(row), accountId: row.account_id };
    },
  },
  methods: {
    async placeOrder({ card, shipTo, currency: payIn = baseCurrency }, context) {
      const { db, accounts, cart, currency, inventory, payment, shipping } = context;
      const { principal, idempotencyKey, events, log, fail, once } = context;
      const accountId = principal.subject;
      const inProgress = () => fail("ORDER_IN_PROGRESS", "This order is being paid for; look again soon.");
      const tooLate = () => fail("ORDER_FAILED", "This order took too long and costs nothing. Try again.");

      const before =
        idempotencyKey === undefined ? undefined : await orders.findByRequestKey(db, accountId, idempotencyKey);
      if (before?.status === "placed") return orders.toOrder(before);
      if (before?.status === "pending") throw inProgress();
      if (before) throw fail("ORDER_FAILED", "This order failed and costs nothing. Try again with a new key.");

      const [account, { items, total: goods }] = await Promise.all([accounts.getMine(), cart.getCart({})]);
      if (items.length === 0) throw fail("CART_EMPTY", "There is nothing in the cart.");
      const grams = items.reduce((all, item) => all + item.grams * item.quantity, 0);
      const { price: delivery } = await shipping.quote({ country: shipTo.country, grams, value: goods.amount });
      const { money: total, minorDigits } = await currency
        .convert({ amount: sum([goods, delivery], baseCurrency).amount, from: baseCurrency, to: payIn })
        .catch((thrown: unknown) => {
          if (isError(thrown, "CURRENCY_UNKNOWN")) throw fail("CURRENCY_UNKNOWN", `We do not take "${payIn}".`);
          throw thrown;
        });

      const orderId = newId();
      const order = { id: orderId, accountId, requestKey: idempotencyKey, items, delivery, total, shipTo };
      const isNew = await db.transaction(async (tx) => {
        if (!(await orders.startOrder(tx, order))) return false;
        await events.publish(checkout.OrderStarted, { orderId }, { in: tx });
        return true;
      });
      // The same order, sent twice at once: the other one was faster.
      if (!isNew) throw inProgress();

      const means = { db, inventory, payment };
      try {
        const chargeId = await reserveAndCharge(order, card, means);
        // Placed, announced and answered, or none of it: whoever sends the same again gets this answer.
        return await once(async (tx) => {
          const row = await orders.placeOrder(tx, orderId, chargeId);
          if (!row?.placed_at) throw tooLate();
          const { name, email } = account;
          const placed = {
            orderId,
            accountId,
            recipient: { name, email },
            items,
            delivery,
            total,
            minorDigits,
            shipTo,
          };
          await events.publish(checkout.OrderPlaced, { ...placed, placedAt: row.placed_at }, { in: tx });
          return orders.toOrder(row);
        });
      } catch (thrown) {
        const undoing = isRefusal(thrown)
          ? withdraw(orderId, means)
          : giveUp(orderId, means, () => orders.markFailed(db, orderId));
        await undoing.catch((cause: unknown) => {
          log.warn({ err: cause, orderId }, "the order could not be cleaned up at once; OrderStarted will do it");
        });
        throw isTooLate(thrown) ? tooLate() : thrown;
      }
    },

    getOrder: async (_request, { resource }) => resource,

    async listOrders({ limit = 20, after }, { db, principal }) {
      const rows = await orders.listOrders(db, { accountId: principal.subject, limit, after });
      return { orders: rows.map(orders.toOrder) };
    },
  },
  subscriptions: {
    cleanUpAfterCrash: {
      event: checkout.OrderStarted,
      async handle({ orderId }, { db, inventory, payment, tx, log, postpone }) {
        const progress = await orders.findProgress(db, orderId);
        if (progress?.status !== "pending" && progress?.status !== "failing") return;
        // Somebody is at it still, or was a moment ago.
        if (progress.ageSeconds < pendingSecondsMax) throw postpone("10s");
        log.warn({ orderId }, "giving back what an interrupted order has reserved and charged");
        await giveUp(orderId, { db, inventory, payment }, () => orders.markFailed(tx, orderId));
      },
    },
    decideOverdueReservation: {
      event: inventory.ReservationOverdue,
      async handle({ orderId }, { db, inventory, payment, tx, log }) {
        const progress = await orders.findProgress(db, orderId);
        // It is sold: OrderPlaced is on its way and says so.
        if (progress?.status === "placed") return;
        log.warn({ orderId }, "giving back what was reserved for an order that nobody finished");
        if (progress?.status === "pending" || progress?.status === "failing") {
          await giveUp(orderId, { db, inventory, payment }, () => orders.markFailed(tx, orderId));
        } else await inventory.release({ key: orderId });
      },
    },
  },
});
