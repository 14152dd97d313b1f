import { type Client, type Database, isError } from "plinth";
import type { inventory } from "../inventory/contract.ts";
import type { Card, payment } from "../payment/contract.ts";
import * as orders from "./orders.ts";

/**
 * The steps of a purchase between `pending` and `placed`, and the way back. Everything is done under the order's own id as
 * key, so each step may be done twice, forward and back:
 *
 *     forward   reserve the stock  →  charge the card  →  place the order (placed, and OrderPlaced, in one transaction)
 *     back      release the stock  ←  refund the card  ←  mark it failing (nobody can place it any more)
 *
 * Release and refund also take a key that has not been used yet: a reservation or a charge that comes late is refused.
 */
export interface Means {
  readonly db: Database;
  readonly inventory: Pick<Client<typeof inventory>, "reserve" | "release">;
  readonly payment: Pick<Client<typeof payment>, "charge" | "refund">;
}

/** Everything that must hold before an order is placed. Answers the charge. */
export async function reserveAndCharge(
  { id, items, total }: Pick<orders.NewOrder, "id" | "items" | "total">,
  card: Card,
  { inventory, payment }: Means,
): Promise<string> {
  const wanted = items.map(({ productId, quantity }) => ({ productId, quantity }));
  await inventory.reserve({ key: id, items: wanted });
  const { chargeId } = await payment.charge({ key: id, amount: total, card });
  return chargeId;
}

/** What is the customer's to mend. Nothing has been charged then. */
export function isRefusal(thrown: unknown): boolean {
  return refusals.some((reason) => isError(thrown, reason));
}

const refusals = ["OUT_OF_STOCK", "CARD_INVALID", "CARD_EXPIRED", "CARD_DECLINED"];

/** The order was given up by somebody else while it was on its way: it took too long. */
export function isTooLate(thrown: unknown): boolean {
  return isError(thrown, "RESERVATION_VOID") || isError(thrown, "CHARGE_KEY_VOID");
}

/** After a refusal: the stock goes back, and the order as if it had never been, so that its request key may be used again. */
export async function withdraw(orderId: string, { db, inventory }: Means): Promise<void> {
  await inventory.release({ key: orderId });
  await orders.dropOrder(db, orderId);
}

/** After anything else: all the way back, unless the order is decided already. `finish` writes down that it is done. */
export async function giveUp(
  orderId: string,
  { db, inventory, payment }: Means,
  finish: () => Promise<void>,
): Promise<void> {
  if (!(await orders.markFailing(db, orderId))) return;
  await payment.refund({ key: orderId });
  await inventory.release({ key: orderId });
  await finish();
}
