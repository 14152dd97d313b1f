import type { Payload } from "plinth";
import type { checkout } from "../checkout/contract.ts";
import { baseCurrency, baseMinorDigits, format, sum } from "../money.ts";

export type OrderPlaced = Payload<typeof checkout.OrderPlaced>;

/** The mail that confirms an order: HTML that every mail program shows. Whatever a customer wrote is escaped. */
export function renderOrderMail(order: OrderPlaced): { subject: string; html: string } {
  const subject = `Your order ${order.orderId}`;
  const { recipient, shipTo } = order;
  const address = [shipTo.name, shipTo.street, `${shipTo.postalCode} ${shipTo.city}`, shipTo.country];
  const html = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
  <body style="font-family:sans-serif;color:#222;max-width:40em;margin:auto">
    <h1 style="font-size:1.3em">Thank you, ${escapeHtml(recipient.name)}</h1>
    <p>We have your order <strong>${escapeHtml(order.orderId)}</strong> of ${escapeHtml(order.placedAt.slice(0, 10))}.</p>
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
    <p>It goes to:<br>${address.map(escapeHtml).join("<br>")}</p>
    <p style="color:#666">This mail is for ${escapeHtml(recipient.email)}.</p>
  </body>
</html>
`;
  return { subject, html };
}

function renderItem({ name, quantity, price }: OrderPlaced["items"][number]): string {
  return `
        <tr>
          <td style="padding:8px 0">${escapeHtml(name)}</td>
          <td style="padding:8px 0;text-align:right">${quantity}</td>
          <td style="padding:8px 0;text-align:right">${escapeHtml(format(price, baseMinorDigits))}</td>
        </tr>`;
}

/** What was paid, and what the prices come to where that is another currency. */
function renderTotals({ items, total, minorDigits }: OrderPlaced): string {
  const prices = sum(
    items.map((item) => item.price),
    baseCurrency,
  );
  const lines = [`<strong>Paid: ${escapeHtml(format(total, minorDigits))}</strong>`];
  if (total.currency !== baseCurrency) lines.unshift(`Total: ${escapeHtml(format(prices, baseMinorDigits))}`);
  return `    <p style="text-align:right">${lines.join("<br>")}</p>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] as string);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
