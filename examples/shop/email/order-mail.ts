import type { Payload } from "plinth";
import type { checkout } from "../checkout/contract.ts";
import { format } from "../money.ts";

type OrderPlaced = Payload<typeof checkout.OrderPlaced>;

/** The mail that confirms an order: HTML that every mail program shows, all of it escaped. */
export function renderOrderMail(order: OrderPlaced): { subject: string; html: string } {
  const subject = `Your order ${order.orderId}`;
  const rows = order.items.map(
    (item) => `
      <tr>
        <td style="padding:8px 0">${escapeHtml(item.name)}</td>
        <td style="padding:8px 0;text-align:right">${item.quantity}</td>
        <td style="padding:8px 0;text-align:right">${escapeHtml(format(item.price, 2))}</td>
      </tr>`,
  );
  const address = [
    order.shipTo.name,
    order.shipTo.street,
    `${order.shipTo.postalCode} ${order.shipTo.city}`,
    order.shipTo.country,
  ];
  const html = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
  <body style="font-family:sans-serif;color:#222;max-width:40em;margin:auto">
    <h1 style="font-size:1.3em">Thank you, ${escapeHtml(order.recipient.name)}</h1>
    <p>We have your order <strong>${escapeHtml(order.orderId)}</strong> of ${escapeHtml(order.placedAt.slice(0, 10))}.</p>
    <table role="presentation" style="width:100%;border-collapse:collapse">
      <thead><tr><th style="text-align:left">Product</th><th style="text-align:right">Quantity</th><th style="text-align:right">Price</th></tr></thead>
      <tbody>${rows.join("")}
      </tbody>
    </table>
    <p style="text-align:right"><strong>Paid: ${escapeHtml(format(order.total, order.minorDigits))}</strong></p>
    <p>It goes to:<br>${address.map(escapeHtml).join("<br>")}</p>
  </body>
</html>
`;
  return { subject, html };
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
