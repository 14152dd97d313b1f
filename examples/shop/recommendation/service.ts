import { type Client, cache, database, service } from "plinth";
import { catalog, type Product } from "../catalog/contract.ts";
import { productTag } from "../catalog/tags.ts";
import { checkout } from "../checkout/contract.ts";
import { popular, recommendation } from "./contract.ts";

/** Of a large order only so many products are counted: pairs grow with the square. */
const productsCountedMax = 12;

/** The products with these ids, in this order, without those that are not sold any more. */
async function productsOf(ids: readonly string[], catalogue: Client<typeof catalog>): Promise<Product[]> {
  if (ids.length === 0) return [];
  const { products } = await catalogue.getProducts({ ids: [...ids] });
  const byId = new Map(products.map((product) => [product.id, product]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

export default service(recommendation, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }), cache: cache(), catalog },
  methods: {
    async listAlsoBought({ id, limit = 5 }, { db, catalog }) {
      const rows = await db.sql<{ other_id: string }>`
        select other_id from bought_together where product_id = ${id} order by order_count desc, other_id limit ${limit}`;
      return {
        products: await productsOf(
          rows.map((row) => row.other_id),
          catalog,
        ),
      };
    },

    async listPopular({ limit = 5 }, { db, catalog }) {
      const rows = await db.sql<{ product_id: string }>`
        select product_id from bought order by order_count desc, product_id limit ${limit}`;
      return {
        products: await productsOf(
          rows.map((row) => row.product_id),
          catalog,
        ),
      };
    },
  },
  subscriptions: {
    countWhatWasBought: {
      event: checkout.OrderPlaced,
      async handle({ items }, { cache, tx }) {
        const ids = items.map((item) => item.productId).slice(0, productsCountedMax);
        // Both statements take their rows in the order of the ids, so that two orders never wait crosswise.
        await Promise.all([
          tx.sql`
          insert into bought (product_id, order_count)
          select id, 1 from unnest(${ids}::text[]) as one (id) order by id
          on conflict (product_id) do update set order_count = bought.order_count + 1`,
          tx.sql`
          insert into bought_together (product_id, other_id, order_count)
          select one.id, other.id, 1 from unnest(${ids}::text[]) as one (id), unnest(${ids}::text[]) as other (id)
          where one.id <> other.id order by one.id, other.id
          on conflict (product_id, other_id) do update set order_count = bought_together.order_count + 1`,
        ]);
        // Invalidations with the same first tag wait for each other: not what every order has.
        await cache.invalidate([...ids.map(productTag), popular], { in: tx });
      },
    },
  },
});
