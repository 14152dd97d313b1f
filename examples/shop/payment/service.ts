import { type Database, database, newId, service } from "plinth";
import { digitsOf, refusalOf } from "./card.ts";
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
    async charge({ key, amount: { amount, currency }, card }, { db, events, fail }) {
      const last4 = digitsOf(card.number).slice(-4);
      const refusal = refusalOf(card);
      if (!refusal) {
        const chargeId = newId();
        const isNew = await db.transaction(async (tx) => {
          const inserted = await tx.sql`
            insert into charges (key, id, amount, currency, last4)
            values (${key}, ${chargeId}, ${amount}, ${currency}, ${last4}) on conflict (key) do nothing returning id`;
          if (inserted.length === 0) return false;
          const captured = { orderId: key, chargeId, amount: { amount, currency } };
          await events.publish(payment.PaymentCaptured, captured, { in: tx });
          return true;
        });
        if (isNew) return { chargeId, last4 };
      }
      // The row of an earlier call with this key, or of a refund that was faster. It counts, whatever the card is now.
      const charge = await findCharge(db, key);
      if (!charge && refusal) throw fail(refusal.reason, refusal.message);
      if (!charge || charge.refunded_at !== null) {
        throw fail("CHARGE_KEY_VOID", "This key has been given back and charges no more.");
      }
      if (charge.amount !== amount || charge.currency !== currency || charge.last4 !== last4) {
        throw fail("CHARGE_KEY_REUSED", "This key has already paid for something else.");
      }
      return { chargeId: charge.id, last4 };
    },

    async refund({ key }, { db, events }) {
      await db.transaction(async (tx) => {
        // Without a charge this leaves a void one behind, so that a charge still on its way finds the key taken.
        await tx.sql`
          insert into charges (key, id, refunded_at) values (${key}, ${newId()}, now()) on conflict (key) do nothing`;
        const [refunded] = await tx.sql<{ id: string; amount: number; currency: string }>`
          update charges set refunded_at = now() where key = ${key} and refunded_at is null
          returning id, amount, currency`;
        if (!refunded) return;
        const { id: chargeId, amount, currency } = refunded;
        const given = { orderId: key, chargeId, amount: { amount, currency } };
        await events.publish(payment.PaymentRefunded, given, { in: tx });
      });
    },
  },
});
