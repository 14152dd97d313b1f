import { database, isError, service } from "plinth";
import { currency } from "../currency/contract.ts";
import { baseCurrency } from "../money.ts";
import { pricing } from "./contract.ts";
import { type PriceRow, quoteOf } from "./rules.ts";

function toPrice({ product_id, base_cents, discount_percent, tax_percent }: PriceRow) {
  return {
    productId: product_id,
    base: { amount: base_cents, currency: baseCurrency },
    discountPercent: discount_percent,
    taxPercent: tax_percent,
  };
}

export default service(pricing, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), currency },
  methods: {
    async quote({ items, currency: to }, { db, currency, fail }) {
      const ids = items.map((item) => item.productId);
      const rows = ids.length === 0 ? [] : await db.sql<PriceRow>`select * from prices where product_id = any(${ids})`;
      const quote = quoteOf(items, rows);
      if (to === undefined) return quote;
      const { money } = await currency
        .convert({ amount: quote.total.amount, from: baseCurrency, to })
        .catch((thrown: unknown) => {
          if (isError(thrown, "CURRENCY_UNKNOWN")) throw fail("CURRENCY_UNKNOWN", `There is no rate for "${to}".`);
          throw thrown;
        });
      return { ...quote, converted: money };
    },

    async getPrice({ productId }, { db, fail }) {
      const [row] = await db.sql<PriceRow>`select * from prices where product_id = ${productId}`;
      if (!row) throw fail("PRICE_UNKNOWN", `There is no price for "${productId}".`);
      return toPrice(row);
    },

    async setPrice({ productId, cents, discountPercent = 0, taxPercent = 19 }, { db, events }) {
      return db.transaction(async (tx) => {
        const [row] = await tx.sql<PriceRow>`
          insert into prices (product_id, base_cents, discount_percent, tax_percent)
          values (${productId}, ${cents}, ${discountPercent}, ${taxPercent})
          on conflict (product_id) do update set base_cents = excluded.base_cents,
            discount_percent = excluded.discount_percent, tax_percent = excluded.tax_percent, changed_at = now()
          returning *`;
        if (!row) throw new Error("an upsert gives its row");
        await events.publish(pricing.PriceChanged, { productId }, { in: tx });
        return toPrice(row);
      });
    },
  },
});
