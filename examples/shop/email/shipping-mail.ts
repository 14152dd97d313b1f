import type { Payload } from "plinth";
import type { shipping } from "../shipping/contract.ts";
import { escapeHtml, renderAddress, renderLetter } from "./html.ts";

export type Shipped = Payload<typeof shipping.Shipped>;

/** The mail that tells where an order is. */
export function renderShippingMail(shipped: Shipped): { subject: string; html: string } {
  const subject = `Your order ${shipped.orderId} is on its way`;
  const body = `    <p>Your order <strong>${escapeHtml(shipped.orderId)}</strong> has left us and arrives in about ${shipped.days} days.</p>
    <p>Its tracking number is <strong>${escapeHtml(shipped.trackingId)}</strong>.</p>
    <p>It goes to:<br>${renderAddress(shipped.shipTo)}</p>`;
  const { name, email } = shipped.recipient;
  return { subject, html: renderLetter({ subject, greeting: `It is on its way, ${name}`, body, to: email }) };
}
