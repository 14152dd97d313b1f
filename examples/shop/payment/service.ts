import { createHash } from "node:crypto";
import { database, newId, service } from "plinth";
import { declineOf, digitsOf, isExpired, passesLuhn } from "./card.ts";
import { payment } from "./contract.ts";

interface ChargeRow {
  id: string;
  fingerprint: string;
  last4: string;
  voided: boolean;
}

export default service(payment, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async charge({ key, amount, card }, { db, fail }) {
      const digits = digitsOf(card.number);
      if (!passesLuhn(digits)) throw fail("CARD_INVALID", "This is no card number.");
      if (isExpired(card, new Date())) throw fail("CARD_EXPIRED", "The card is expired.");
      const decline = declineOf(digits);
      if (decline !== undefined) throw fail("CARD_DECLINED", decline);

      const fingerprint = createHash("sha256").update(`${digits}/${amount.amount}/${amount.currency}`).digest("hex");
      const last4 = digits.slice(-4);
      await db.sql`
        insert into charges (id, key, fingerprint, amount, currency, last4)
        values (${newId()}, ${key}, ${fingerprint}, ${amount.amount}, ${amount.currency}, ${last4})
        on conflict (key) do nothing`;
      const [charge] =
        await db.sql<ChargeRow>`select id, fingerprint, last4, refunded_at is not null as voided from charges where key = ${key}`;
      if (charge?.voided) throw fail("CHARGE_KEY_VOID", "This key has been given back and charges no more.");
      if (charge?.fingerprint !== fingerprint) {
        throw fail("CHARGE_KEY_REUSED", "This key has already paid for something else.");
      }
      return { chargeId: charge.id, last4: charge.last4 };
    },

    async refund({ key }, { db }) {
      // Without a charge this leaves a void one behind, so that a charge still on its way finds the key taken.
      await db.sql`
        insert into charges (id, key, fingerprint, amount, currency, last4, refunded_at)
        values (${newId()}, ${key}, '', 0, '', '', now())
        on conflict (key) do update set refunded_at = coalesce(charges.refunded_at, now())`;
    },
  },
});
