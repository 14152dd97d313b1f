import { contract, event, method, t } from "plinth";
import { Id } from "../text.ts";

const MailKind = t.Union([t.Literal("order"), t.Literal("shipping")]);

export const email = contract("email", {
  methods: {
    listMails: method({
      summary: "Mails written for an order, for other services and for tests",
      request: t.Object({ orderId: Id }),
      response: t.Object({
        mails: t.Array(t.Object({ id: Id, kind: MailKind, to: t.String(), subject: t.String(), file: t.String() })),
      }),
      idempotent: true,
    }),
  },
  events: {
    MailQueued: event({
      key: "mailId",
      description: "A mail is composed and waits to be written.",
      payload: t.Object({ mailId: Id }),
    }),
  },
});
