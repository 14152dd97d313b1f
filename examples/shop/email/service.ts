import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { database, newId, service, setting } from "plinth";
import { checkout } from "../checkout/contract.ts";
import { email } from "./contract.ts";
import { renderOrderMail } from "./order-mail.ts";

interface MailRow {
  id: string;
  recipient: string;
  subject: string;
  html: string;
  written_at: string | null;
}

/**
 * A mail goes out in two steps. `OrderPlaced` composes it: a row, written in the event's own transaction, so once.
 * `MailQueued` writes the file under the mail's id: doing that twice changes nothing.
 */
export default service(email, {
  needs: {
    db: database({ migrations: new URL("./migrations/", import.meta.url) }),
    folder: setting("SHOP_MAIL_FOLDER", { default: ".plinth/mail", description: "Where mails are written." }),
  },
  methods: {
    async listMails({ orderId }, { db, folder }) {
      const rows = await db.sql<MailRow>`
        select id, recipient, subject from mails where order_id = ${orderId} and written_at is not null order by id`;
      return {
        mails: rows.map(({ id, recipient, subject }) => ({ id, to: recipient, subject, file: fileOf(folder, id) })),
      };
    },
  },
  subscriptions: {
    composeOrderMail: {
      event: checkout.OrderPlaced,
      async handle(order, { tx, events }) {
        const mailId = newId();
        const { subject, html } = renderOrderMail(order);
        await tx.sql`
          insert into mails (id, order_id, recipient, subject, html)
          values (${mailId}, ${order.orderId}, ${order.recipient.email}, ${subject}, ${html})`;
        await events.publish(email.MailQueued, { mailId }, { in: tx });
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
