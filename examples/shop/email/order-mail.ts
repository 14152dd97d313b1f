import type { Payload } from "plinth";
import type { checkout } from "../checkout/contract.ts";
import { baseCurrency, baseMinorDigits, format, sum } from "../money.ts";
import { escapeHtml, renderAddress, renderLetter } from "./html.ts";

export type OrderPlaced = Payload<typeof checkout.OrderPlaced>;

/** The mail that confirms an order. */
export function renderOrderMail(order: OrderPlaced): { subject: string; html: string } {
  const subject = `Your order ${order.orderId}`;
  const body = `    <p>We have your order <strong>${escapeHtml(order.orderId)}</strong> of ${escapeHtml(order.placedAt.slice(0, 10))}.</p>
    <table role="presentation" style="width:100%;border-collapse:collapse">
      <thead><tr>
        <th style="text-align:left">Product</th>
        <th style="text-align:right">Quantity</th>
        <th style="text-align:right">Price</th>
      </tr></thead>
      <tbody>${order.items.map(renderItem).join("")}
      </tbody>
    </table>
${renderTotals(order)}
    <p>It goes to:<br>${renderAddress(order.shipTo)}</p>`;
  const { name, email } = order.recipient;
  return { subject, html: renderLetter({ subject, greeting: `Thank you, ${name}`, body, to: email }) };
}

function renderItem({ name, quantity, price }: OrderPlaced["items"][number]): string {
  return `
        <tr>
          <td style="padding:8px 0">${escapeHtml(name)}</td>
          <td style="padding:8px 0;text-align:right">${quantity}</td>
          <td style="padding:8px 0;text-align:right">${escapeHtml(format(price, baseMinorDigits))}</td>
        </tr>`;
}

/** What was paid; and what it is made of, where that is more than one price in one currency. */
function renderTotals({ items, delivery, total, minorDigits }: OrderPlaced): string {
  const goods = items.map((item) => item.price);
  const lines = [`<strong>Paid: ${escapeHtml(format(total, minorDigits))}</strong>`];
  if (total.currency !== baseCurrency) {
    lines.unshift(`Total: ${escapeHtml(format(sum([...goods, delivery], baseCurrency), baseMinorDigits))}`);
  }
  if (delivery.amount > 0) lines.unshift(`Delivery: ${escapeHtml(format(delivery, baseMinorDigits))}`);
  return `    <p style="text-align:right">${lines.join("<br>")}</p>`;
}
