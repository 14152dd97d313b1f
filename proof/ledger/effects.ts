import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Look } from "../../examples/shop/books.ts";

/**
 * What the shop did for each checkout, by the Idempotency-Key: read from the rows of each service by themselves, and from
 * the folder of mails, not from what checkout says of them. What belongs to no order is there under its own name.
 */
export type Effects = Readonly<
  Record<"placed" | "charged" | "reserved" | "sent" | "mailed" | "in the mail folder", readonly string[]>
>;

export async function readEffects(look: Look, mailFolder: string): Promise<Effects> {
  const keys = new Map(
    (await look("checkout", "select id, request_key from checkout.orders")).map((row) => [row.id, row.request_key]),
  );
  const of = async (service: string, text: string): Promise<string[]> =>
    (await look(service, text)).map(({ id }) => keys.get(id) ?? `no checkout: ${service} ${id}`);
  return {
    placed: await of("checkout", "select id from checkout.orders where status = 'placed'"),
    charged: await of(
      "payment",
      "select key as id from payment.charges where amount is not null and refunded_at is null",
    ),
    reserved: await of("inventory", "select key as id from inventory.reservations where status <> 'released'"),
    sent: await of("shipping", "select order_id as id from shipping.shipments"),
    mailed: await of("email", "select order_id as id from email.mails where kind = 'order' and written_at is not null"),
    "in the mail folder": (await readMails(mailFolder)).map((id) => keys.get(id) ?? `no checkout: file about ${id}`),
  };
}

/** The orders that the mails in the folder confirm, one for each file. */
async function readMails(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".html"));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  return texts.flatMap((text) => /We have your order <strong>([^<]+)</.exec(text)?.[1] ?? []);
}
