import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { database, newId, service, setting, type Transaction } from "plinth";
import { checkout } from "../checkout/contract.ts";
import { shipping } from "../shipping/contract.ts";
import { email } from "./contract.ts";
import { renderOrderMail } from "./order-mail.ts";
import { renderShippingMail } from "./shipping-mail.ts";

interface MailRow {
  id: string;
  kind: "order" | "shipping";
  recipient: string;
  subject: string;
  html: string;
  written_at: string | null;
}

interface NewMail extends Pick<MailRow, "kind" | "recipient" | "subject" | "html"> {
  readonly orderId: string;
}

/** Writes the row. What is to happen with the mail is the caller's to announce. */
async function compose(tx: Transaction, { kind, orderId, recipient, subject, html }: NewMail): Promise<string> {
  const mailId = newId();
  await tx.sql`
    insert into mails (id, kind, order_id, recipient, subject, html)
    values (${mailId}, ${kind}, ${orderId}, ${recipient}, ${subject}, ${html})`;
  return mailId;
}

/**
 * Two mails for each order: one that it is placed, one that it is on its way. Each goes out in two steps. `OrderPlaced` or
 * `Shipped` composes it: a row, written in the event's own transaction, so once. `MailQueued` writes the file under the
 * mail's id: doing that twice changes nothing.
 */
export default service(email, {
  needs: {
    db: database({ migrations: new URL("./migrations/", import.meta.url) }),
    folder: setting("SHOP_MAIL_FOLDER", { default: ".plinth/mail", description: "Where mails are written." }),
  },
  methods: {
    async listMails({ orderId }, { db, folder }) {
      const rows = await db.sql<MailRow>`
        select id, kind, recipient, subject from mails
        where order_id = ${orderId} and written_at is not null order by id`;
      const mails = rows.map(({ id, kind, recipient, subject }) => {
        return { id, kind, to: recipient, subject, file: fileOf(folder, id) };
      });
      return { mails };
    },
  },
  subscriptions: {
    composeOrderMail: {
      event: checkout.OrderPlaced,
      async handle(order, { tx, events }) {
        const { orderId, recipient } = order;
        const mail = { kind: "order", orderId, recipient: recipient.email, ...renderOrderMail(order) } as const;
        await events.publish(email.MailQueued, { mailId: await compose(tx, mail) }, { in: tx });
      },
    },
    composeShippingMail: {
      event: shipping.Shipped,
      async handle(shipped, { tx, events }) {
        const { orderId, recipient } = shipped;
        const mail = { kind: "shipping", orderId, recipient: recipient.email, ...renderShippingMail(shipped) } as const;
        await events.publish(email.MailQueued, { mailId: await compose(tx, mail) }, { in: tx });
      },
    },
    writeMail: {
      event: email.MailQueued,
      async handle({ mailId }, { db, tx, folder }) {
        const [mail] = await db.sql<MailRow>`select * from mails where id = ${mailId}`;
        if (!mail || mail.written_at !== null) return;
        await mkdir(folder, { recursive: true });
        const draft = `${fileOf(folder, mailId)}.draft`;
        await writeFile(draft, mail.html);
        await rename(draft, fileOf(folder, mailId));
        await tx.sql`update mails set written_at = now() where id = ${mailId}`;
      },
    },
  },
});

function fileOf(folder: string, mailId: string): string {
  return join(folder, `${mailId}.html`);
}
