import { type Client, type Database, database, service, sql } from "plinth";
import { catalog } from "../catalog/contract.ts";
import { checkout } from "../checkout/contract.ts";
import { baseCurrency, sum } from "../money.ts";
import { type Cart, cart } from "./contract.ts";

const itemsMax = 50;

interface ItemRow {
  product_id: string;
  quantity: number;
}

/** The cart with today's names and prices; products that are no longer sold are left out. */
async function priceCart(accountId: string, db: Database, products: Client<typeof catalog>): Promise<Cart> {
  const rows = await db.sql<ItemRow>`
    select product_id, quantity from items where account_id = ${accountId} order by added_at, product_id`;
  const found = await products.getProducts({ ids: rows.map((row) => row.product_id) });
  const byId = new Map(found.products.map((product) => [product.id, product]));
  const items = rows.flatMap(({ product_id, quantity }) => {
    const product = byId.get(product_id);
    if (!product) return [];
    const { id, name, price: unitPrice } = product;
    const price = { amount: unitPrice.amount * quantity, currency: unitPrice.currency };
    return [{ productId: id, name, quantity, unitPrice, price }];
  });
  const prices = items.map((item) => item.price);
  return { items, total: sum(prices, baseCurrency) };
}

export default service(cart, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), catalog },
  methods: {
    async getCart(_request, { db, catalog, principal }) {
      return priceCart(principal.subject, db, catalog);
    },

    async setItem({ productId, quantity }, { db, catalog, principal, fail }) {
      const { products } = await catalog.getProducts({ ids: [productId] });
      if (products.length === 0) throw fail("PRODUCT_UNKNOWN", `There is no product "${productId}".`);
      // Two at once may go one over. Nothing breaks then: the limit keeps carts small, not exact.
      const added = await db.sql`
        insert into items (account_id, product_id, quantity)
        select ${principal.subject}, ${productId}, ${quantity}
        where (select count(*) from items where account_id = ${principal.subject} and product_id <> ${productId}) < ${itemsMax}
        on conflict (account_id, product_id) do update set quantity = excluded.quantity
        returning product_id`;
      if (added.length === 0) throw fail("CART_FULL", `A cart holds ${itemsMax} different products.`);
      return priceCart(principal.subject, db, catalog);
    },

    async removeItem({ productId }, { db, catalog, principal }) {
      await db.sql`delete from items where account_id = ${principal.subject} and product_id = ${productId}`;
      return priceCart(principal.subject, db, catalog);
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
        await tx.sql`delete from items using ${bought} where ${same} and items.quantity <= bought.quantity`;
        await tx.sql`update items set quantity = items.quantity - bought.quantity from ${bought} where ${same}`;
      },
    },
  },
});
