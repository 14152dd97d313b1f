import { type Client, database, isError, service, sql, type Transaction } from "plinth";
import { catalog } from "../catalog/contract.ts";
import { checkout } from "../checkout/contract.ts";
import { pricing } from "../pricing/contract.ts";
import { type Cart, cart } from "./contract.ts";

const itemsMax = 50;

/** A cart that nothing came into for so long is not wanted any more. */
const keptDays = 90;

interface ItemRow {
  product_id: string;
  quantity: number;
}

interface Means {
  readonly catalog: Client<typeof catalog>;
  readonly pricing: Client<typeof pricing>;
}

/** These things with today's names and prices; products that are no longer sold are left out. */
async function priceCart(rows: readonly ItemRow[], { catalog, pricing }: Means, currency?: string): Promise<Cart> {
  const { products } = await catalog.describeProducts({ ids: rows.map((row) => row.product_id) });
  const byId = new Map(products.map((product) => [product.id, product]));
  const sold = rows.flatMap(({ product_id: productId, quantity }) =>
    byId.has(productId) ? [{ productId, quantity }] : [],
  );
  const quote = await pricing.quote({ items: sold, ...(currency !== undefined && { currency }) });
  const items = quote.lines.flatMap((line) => {
    const product = byId.get(line.productId);
    return product ? [{ ...line, name: product.name, grams: product.grams }] : [];
  });
  return { items, total: quote.total, ...(quote.converted && { converted: quote.converted }) };
}

export default service(cart, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), catalog, pricing },
  methods: {
    async getCart({ currency }, { db, catalog, pricing, principal, fail }) {
      const rows = await db.sql<ItemRow>`
        select product_id, quantity from items where account_id = ${principal.subject} order by added_at, product_id`;
      return priceCart(rows, { catalog, pricing }, currency).catch((thrown: unknown) => {
        if (isError(thrown, "CURRENCY_UNKNOWN")) throw fail("CURRENCY_UNKNOWN", `There is no rate for "${currency}".`);
        throw thrown;
      });
    },

    async setItem({ productId, quantity }, { db, catalog, pricing, principal: { subject: accountId }, fail }) {
      const { products } = await catalog.describeProducts({ ids: [productId] });
      if (products.length === 0) throw fail("PRODUCT_UNKNOWN", `There is no product "${productId}".`);
      // Two at once may go one over. Nothing breaks then: the limit keeps carts small, not exact.
      const rows = await db.sql<ItemRow>`
        with others as (
          select product_id, quantity, added_at from items
          where account_id = ${accountId} and product_id <> ${productId}
        ),
        added as (
          insert into items (account_id, product_id, quantity)
          select ${accountId}, ${productId}, ${quantity} where (select count(*) from others) < ${itemsMax}
          on conflict (account_id, product_id) do update set quantity = excluded.quantity
          returning product_id, quantity, added_at
        )
        select product_id, quantity from (select * from others union all select * from added) cart
        order by added_at, product_id`;
      if (!rows.some((row) => row.product_id === productId)) {
        throw fail("CART_FULL", `A cart holds ${itemsMax} different products.`);
      }
      return priceCart(rows, { catalog, pricing });
    },

    async removeItem({ productId }, { db, catalog, pricing, principal: { subject: accountId } }) {
      const rows = await db.sql<ItemRow>`
        with removed as (delete from items where account_id = ${accountId} and product_id = ${productId})
        select product_id, quantity from items where account_id = ${accountId} and product_id <> ${productId}
        order by added_at, product_id`;
      return priceCart(rows, { catalog, pricing });
    },

    async emptyCart(_request, { db, principal }) {
      await db.sql`delete from items where account_id = ${principal.subject}`;
    },
  },
  subscriptions: {
    takeOutWhatWasBought: {
      event: checkout.OrderPlaced,
      async handle({ accountId, items }, { tx }) {
        // Only as many as were bought: what came into the cart meanwhile stays there.
        const bought = sql`unnest(${items.map((item) => item.productId)}::text[],
          ${items.map((item) => item.quantity)}::int[]) as bought (product_id, quantity)`;
        const same = sql`items.account_id = ${accountId} and items.product_id = bought.product_id`;
        await Promise.all([
          tx.sql`delete from items using ${bought} where ${same} and items.quantity <= bought.quantity`,
          tx.sql`update items set quantity = items.quantity - bought.quantity from ${bought} where ${same}`,
        ]);
      },
    },
  },
  schedules: {
    sweepOldCarts: {
      cron: "*/10 3 * * *",
      async handle({ tx, log }) {
        const count = await sweepOldCarts(tx, { days: keptDays });
        if (count > 0) log.info({ count }, "old carts were emptied");
      },
    },
  },
});

/** Empties carts that nobody has put anything into for so many days, a thousand things at a time. Answers how many. */
export async function sweepOldCarts(tx: Transaction, { days }: { readonly days: number }): Promise<number> {
  const swept = await tx.sql`
    delete from items where (account_id, product_id) in (
      select account_id, product_id from items as old
      where not exists (
        select 1 from items as young
        where young.account_id = old.account_id and young.added_at > now() - make_interval(days => ${days}))
      order by account_id, product_id limit 1000 for update skip locked)
    returning product_id`;
  return swept.length;
}
