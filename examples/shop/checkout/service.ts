import { type Client, type Database, database, isError, newId, service } from "plinth";
import { accounts } from "../accounts/contract.ts";
import { cart } from "../cart/contract.ts";
import { currency } from "../currency/contract.ts";
import { baseCurrency } from "../money.ts";
import { payment } from "../payment/contract.ts";
import { checkout } from "./contract.ts";
import * as orders from "./orders.ts";

/**
 * An order is written as `pending`, paid for under its own id as key, and then made `placed` in one transaction with
 * `OrderPlaced`. A declined card takes it away again. Whatever else goes wrong is compensated: the order becomes
 * `failing`, so that nobody can place it any more, then the charge is given back, then it is `failed`. The refund also
 * takes a key that has not charged yet, so a charge that comes late is refused. When the process dies on the way,
 * `OrderStarted` comes back to do the same.
 */

/** No request takes longer than the gateway's ten seconds; an order that is pending after this time was left behind. */
const pendingSecondsMax = 30;

interface Compensation {
  readonly db: Database;
  readonly payments: Client<typeof payment>;
  /** Writes down that all of it is done. */
  readonly finish: () => Promise<void>;
}

/** Gives back what an order has charged, unless it is decided already. Each step may be done twice. */
async function giveUp(orderId: string, { db, payments, finish }: Compensation): Promise<void> {
  if (!(await orders.markFailing(db, orderId))) return;
  await payments.refund({ key: orderId });
  await finish();
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
    async placeOrder({ card, shipTo, currency: payIn = baseCurrency }, context) {
      const { db, accounts, cart, currency, payment, principal, idempotencyKey, events, log, fail } = context;
      const accountId = principal.subject;

      const answerAgain = async (key: string) => {
        const row = await orders.findByRequestKey(db, accountId, key);
        if (row?.status === "placed") return orders.toOrder(row);
        if (row?.status === "pending")
          throw fail("ORDER_IN_PROGRESS", "This order is being paid for; look again soon.");
        if (row) throw fail("ORDER_FAILED", "This order failed and costs nothing. Try again with a new key.");
        return undefined;
      };
      const before = idempotencyKey === undefined ? undefined : await answerAgain(idempotencyKey);
      if (before) return before;

      const [account, { items, total: inBase }] = await Promise.all([accounts.getMine(), cart.getCart()]);
      if (items.length === 0) throw fail("CART_EMPTY", "There is nothing in the cart.");
      const { money: total, minorDigits } = await currency
        .convert({ amount: inBase.amount, from: baseCurrency, to: payIn })
        .catch((thrown: unknown) => {
          if (isError(thrown, "CURRENCY_UNKNOWN")) throw fail("CURRENCY_UNKNOWN", `We do not take "${payIn}".`);
          throw thrown;
        });

      const orderId = newId();
      const order = { id: orderId, accountId, requestKey: idempotencyKey, items, total, shipTo };
      const isNew = await db.transaction(async (tx) => {
        if (!(await orders.startOrder(tx, order))) return false;
        await events.publish(checkout.OrderStarted, { orderId }, { in: tx });
        return true;
      });
      // The same order, sent twice at once: the other one was faster.
      if (!isNew) throw fail("ORDER_IN_PROGRESS", "This order is being paid for; look again soon.");

      try {
        const { chargeId } = await payment.charge({ key: orderId, amount: total, card });
        return await db.transaction(async (tx) => {
          const row = await orders.placeOrder(tx, orderId, chargeId);
          if (!row?.placed_at) throw fail("ORDER_FAILED", "This order took too long and costs nothing. Try again.");
          const { name, email } = account;
          const placed = { orderId, accountId, recipient: { name, email }, items, total, minorDigits, shipTo };
          await events.publish(checkout.OrderPlaced, { ...placed, placedAt: row.placed_at }, { in: tx });
          return orders.toOrder(row);
        });
      } catch (thrown) {
        if (isError(thrown, "CARD_INVALID") || isError(thrown, "CARD_EXPIRED") || isError(thrown, "CARD_DECLINED")) {
          await orders.dropOrder(db, orderId);
          throw thrown;
        }
        const finish = () => orders.markFailed(db, orderId);
        await giveUp(orderId, { db, payments: payment, finish }).catch((cause: unknown) => {
          log.warn({ err: cause, orderId }, "the order could not be cleaned up at once; OrderStarted will do it");
        });
        if (isError(thrown, "CHARGE_KEY_VOID")) {
          throw fail("ORDER_FAILED", "This order took too long and costs nothing. Try again.");
        }
        throw thrown;
      }
    },

    async getOrder({ id }, { db, principal, fail }) {
      const row = await orders.findOrder(db, principal.subject, id);
      if (!row) throw fail("ORDER_UNKNOWN", `You have no order "${id}".`);
      return orders.toOrder(row);
    },

    async listOrders({ limit = 20, after }, { db, principal }) {
      const rows = await orders.listOrders(db, { accountId: principal.subject, limit, after });
      return { orders: rows.map(orders.toOrder) };
    },
  },
  subscriptions: {
    cleanUpAfterCrash: {
      event: checkout.OrderStarted,
      async handle({ orderId }, { db, payment, tx, log, postpone }) {
        const progress = await orders.findProgress(db, orderId);
        if (progress?.status !== "pending" && progress?.status !== "failing") return;
        // Somebody is at it still, or was a moment ago.
        if (progress.ageSeconds < pendingSecondsMax) throw postpone("10s");
        log.warn({ orderId }, "giving back what an interrupted order has charged");
        await giveUp(orderId, { db, payments: payment, finish: () => orders.markFailed(tx, orderId) });
      },
    },
  },
});
