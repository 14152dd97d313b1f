import { cache, database, service } from "plinth";
import { inventory } from "../inventory/contract.ts";
import { pricing } from "../pricing/contract.ts";
import { catalog } from "./contract.ts";
import { fromCursor, toCursor } from "./cursor.ts";
import { describeProducts, findProducts, listProducts } from "./products.ts";
import { pages, productTag } from "./tags.ts";

/**
 * What customers look at: names and descriptions of its own, prices from pricing, and how much there is as inventory
 * announced it. What is shown is cached, until a change of price or stock is heard of; what is bought is priced and
 * reserved anew.
 */
export default service(catalog, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), cache: cache(), pricing },
  methods: {
    async listProducts({ category, search, limit = 20, after }, { db, pricing, fail }) {
      const position = after === undefined ? undefined : fromCursor(after);
      if (after !== undefined && !position) {
        throw fail("CURSOR_INVALID", '"after" is not the "next" of a page; begin without it.');
      }
      const { products, last } = await listProducts({ db, pricing }, { category, search, limit, after: position });
      return { products, ...(last && { next: toCursor(last) }) };
    },

    async getProduct({ id }, { db, pricing, fail }) {
      const [product] = await findProducts({ db, pricing }, [id]);
      if (!product) throw fail("PRODUCT_UNKNOWN", `There is no product "${id}".`);
      return product;
    },

    async getProducts({ ids }, { db, pricing }) {
      return { products: await findProducts({ db, pricing }, ids) };
    },

    async describeProducts({ ids }, { db, cache }) {
      return { products: await describeProducts({ db, cache }, ids) };
    },

    async listCategories(_request, { db }) {
      const categories = await db.sql<{ name: string; count: number }>`
        select category as name, count(*)::int as count from products group by category order by category`;
      return { categories };
    },
  },
  subscriptions: {
    showNewPrice: {
      event: pricing.PriceChanged,
      async handle({ productId }, { cache, tx }) {
        await cache.invalidate([productTag(productId), pages], { in: tx });
      },
    },
    showStockLevel: {
      event: inventory.StockLevelChanged,
      async handle({ productId, level, version }, { cache, tx }) {
        await tx.sql`
          update products set stock_level = ${level}, stock_version = ${version}
          where id = ${productId} and stock_version < ${version}`;
        await cache.invalidate([productTag(productId), pages], { in: tx });
      },
    },
  },
});
