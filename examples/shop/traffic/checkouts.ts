import { setTimeout as sleep } from "node:timers/promises";
import { type Customer, check, isTrouble, WrongAnswer } from "./customer.ts";
import { NoAnswer } from "./wire.ts";

/** What became of one checkout, for whoever compares it with the books. */
export interface CheckoutOutcome {
  /** The Idempotency-Key, sent with every attempt. */
  readonly key: string;
  /** ok: the shop said that it is placed. fail: the shop said that it is not. unknown: it said neither, to the end. */
  readonly result: "ok" | "fail" | "unknown";
  readonly orderId: string | undefined;
  /** What the shop refused it with, or why there was no answer. */
  readonly reason: string | undefined;
  readonly attempts: number;
}

/** Refusals that a customer may meet, and what is right about them. */
const refusals = new Set(["CARD_DECLINED", "OUT_OF_STOCK", "CART_EMPTY", "ORDER_FAILED"]);

const good = { number: "4242 4242 4242 4242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };
const declined = { ...good, number: "4000 0000 0000 0002" };
const shipTo = { name: "A Customer", street: "1 Road", city: "Town", postalCode: "12345" };

export interface CheckoutOptions {
  readonly key: string;
  readonly isDeclined: boolean;
  readonly currency: string;
  readonly country: string;
  /** How long it is sent again, under the same key, while the outcome is not known. */
  readonly patienceMs: number;
}

/** Somebody is at it: this process, or one that has died. */
const inProgress = new Set(["ORDER_IN_PROGRESS", "IDEMPOTENCY_IN_PROGRESS"]);

/** Sends one order until it is known what became of it: the key makes that safe. */
export async function checkOut(customer: Customer, options: CheckoutOptions): Promise<CheckoutOutcome> {
  const { key, isDeclined, currency, country, patienceMs } = options;
  const body = { card: isDeclined ? declined : good, shipTo: { ...shipTo, country }, currency };
  const sending = { route: "POST /orders", token: customer.token, body, idempotencyKey: key };
  const endAt = performance.now() + patienceMs;
  let reason: string | undefined;
  for (let attempts = 1; ; attempts++) {
    const answer = await customer.wire.send(sending).catch((thrown: unknown) => {
      if (!(thrown instanceof NoAnswer)) throw thrown;
      reason = thrown.reason;
      return undefined;
    });
    if (answer?.status === 201) {
      checkOrder(answer.body, { isDeclined, currency });
      return { key, result: "ok", orderId: answer.body.id, reason: undefined, attempts };
    }
    if (answer) {
      reason = String(answer.body?.reason);
      if (refusals.has(reason)) return { key, result: "fail", orderId: undefined, reason, attempts };
      if (!isTrouble(answer.status) && !inProgress.has(reason)) {
        throw new WrongAnswer(`POST /orders answered ${answer.status} ${reason}`);
      }
    }
    if (performance.now() >= endAt) return { key, result: "unknown", orderId: undefined, reason, attempts };
    await sleep(Math.min(50 * 2 ** attempts, 1000) * (0.5 + customer.dice.next() / 2));
  }
}

function checkOrder(order: any, { isDeclined, currency }: { isDeclined: boolean; currency: string }): void {
  check(!isDeclined, `order ${order?.id} was placed with a card that the bank declines`);
  check(
    order?.status === "placed" && typeof order.id === "string",
    `an order that is not one: ${JSON.stringify(order)}`,
  );
  check(order.total?.currency === currency && order.items?.length > 0, `order ${order.id} is not what was asked for`);
  if (currency !== "EUR") return;
  const goods = order.items.reduce((sum: number, item: { price: { amount: number } }) => sum + item.price.amount, 0);
  check(goods + order.delivery.amount === order.total.amount, `order ${order.id} does not add up`);
}
