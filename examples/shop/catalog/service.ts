import { cache, database, service } from "plinth";
import { inventory } from "../inventory/contract.ts";
import { pricing } from "../pricing/contract.ts";
import { catalog } from "./contract.ts";
import { fromCursor, toCursor } from "./cursor.ts";
import { findProducts, listProducts } from "./products.ts";
import { forget, pageView, productView } from "./views.ts";

/**
 * What customers look at: names and descriptions of its own, prices from pricing, and how much there is as inventory
 * announced it. What is shown is kept for a while (`views.ts`); what is bought is priced and reserved anew.
 */
export default service(catalog, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), cache: cache(), pricing },
  methods: {
    async listProducts({ category, search, limit = 20, after }, { db, cache, pricing, fail }) {
      const position = after === undefined ? undefined : fromCursor(after);
      if (after !== undefined && !position) {
        throw fail("CURSOR_INVALID", '"after" is not the "next" of a page; begin without it.');
      }
      const filter = { category, search, limit, after: position };
      const { products, last } = await pageView(cache, filter, () => listProducts({ db, pricing }, filter));
      return { products, ...(last && { next: toCursor(last) }) };
    },

    async getProduct({ id }, { db, cache, pricing, fail }) {
      const product = await productView(cache, id, async () => (await findProducts({ db, pricing }, [id]))[0] ?? null);
      if (!product) throw fail("PRODUCT_UNKNOWN", `There is no product "${id}".`);
      return product;
    },

    async getProducts({ ids }, { db, pricing }) {
      return { products: await findProducts({ db, pricing }, ids) };
    },

    async describeProducts({ ids }, { db }) {
      if (ids.length === 0) return { products: [] };
      const products = await db.sql<{ id: string; name: string; grams: number }>`
        select id, name, grams from products where id = any(${ids})`;
      return { products };
    },

    async listCategories(_request, { db, cache }) {
      const categories = await pageView(
        cache,
        { categories: true },
        () => db.sql<{ name: string; count: number }>`
          select category as name, count(*)::int as count from products group by category order by category`,
      );
      return { categories };
    },
  },
  subscriptions: {
    showNewPrice: {
      event: pricing.PriceChanged,
      async handle({ productId }, { cache, tx }) {
        forget(cache, tx, productId);
      },
    },
    showStockLevel: {
      event: inventory.StockLevelChanged,
      async handle({ productId, level, version }, { cache, tx }) {
        await tx.sql`
          update products set stock_level = ${level}, stock_version = ${version}
          where id = ${productId} and stock_version < ${version}`;
        forget(cache, tx, productId);
      },
    },
  },
});
