import { type Database, database, newId, service } from "plinth";
import { declineOf, digitsOf, isExpired, passesLuhn } from "./card.ts";
import { payment } from "./contract.ts";

interface ChargeRow {
  id: string;
  amount: number | null;
  currency: string | null;
  last4: string | null;
  refunded_at: string | null;
}

async function findCharge(db: Database, key: string): Promise<ChargeRow | undefined> {
  const [row] = await db.sql<ChargeRow>`
    select id, amount, currency, last4, refunded_at from charges where key = ${key}`;
  return row;
}

/** Of a card's number nothing stays but its last four digits, not even as a hash: there are too few cards for that. */
export default service(payment, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async charge({ key, amount: { amount, currency }, card }, { db, fail }) {
      const digits = digitsOf(card.number);
      const last4 = digits.slice(-4);
      const known = await findCharge(db, key);
      if (!known) {
        if (!passesLuhn(digits)) throw fail("CARD_INVALID", "This is no card number.");
        if (isExpired(card, new Date())) throw fail("CARD_EXPIRED", "The card is expired.");
        const decline = declineOf(digits);
        if (decline !== undefined) throw fail("CARD_DECLINED", decline);
        await db.sql`
          insert into charges (key, id, amount, currency, last4)
          values (${key}, ${newId()}, ${amount}, ${currency}, ${last4}) on conflict (key) do nothing`;
      }
      // The row of this call, of an earlier one with this key, or of a refund that was faster.
      const charge = known ?? (await findCharge(db, key));
      if (!charge || charge.refunded_at !== null) {
        throw fail("CHARGE_KEY_VOID", "This key has been given back and charges no more.");
      }
      if (charge.amount !== amount || charge.currency !== currency || charge.last4 !== last4) {
        throw fail("CHARGE_KEY_REUSED", "This key has already paid for something else.");
      }
      return { chargeId: charge.id, last4 };
    },

    async refund({ key }, { db }) {
      // Without a charge this leaves a void one behind, so that a charge still on its way finds the key taken.
      await db.sql`
        insert into charges (key, id, refunded_at) values (${key}, ${newId()}, now())
        on conflict (key) do update set refunded_at = coalesce(charges.refunded_at, now())`;
    },
  },
});
