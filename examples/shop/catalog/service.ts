import { database, service, sql } from "plinth";
import { baseCurrency } from "../money.ts";
import { catalog, type Product } from "./contract.ts";

interface ProductRow {
  id: string;
  name: string;
  description: string;
  category: string;
  price_cents: number;
}

function toProduct(row: ProductRow): Product {
  const { id, name, description, category } = row;
  return { id, name, description, category, price: { amount: row.price_cents, currency: baseCurrency } };
}

/** The product's place in the order of pages: its name, then its id. */
function toCursor(row: ProductRow): string {
  return Buffer.from(JSON.stringify([row.name, row.id])).toString("base64url");
}

function fromCursor(cursor: string): { name: string; id: string } | undefined {
  try {
    const [name, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    return typeof name === "string" && typeof id === "string" ? { name, id } : undefined;
  } catch {
    return undefined;
  }
}

export default service(catalog, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async listProducts({ category, search, limit = 20, after }, { db }) {
      const cursor = after === undefined ? undefined : fromCursor(after);
      const conditions = [sql`true`];
      if (category !== undefined) conditions.push(sql`category = ${category}`);
      if (search !== undefined) {
        const pattern = `%${search.replaceAll(/[\\%_]/g, "\\$&")}%`;
        conditions.push(sql`(name ilike ${pattern} or description ilike ${pattern})`);
      }
      if (cursor) conditions.push(sql`(name, id) > (${cursor.name}, ${cursor.id})`);
      const rows = await db.sql<ProductRow>`
        select id, name, description, category, price_cents from products
        where ${sql.join(conditions, sql` and `)}
        order by name, id limit ${limit + 1}`;
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return { products: page.map(toProduct), ...(rows.length > limit && last ? { next: toCursor(last) } : {}) };
    },

    async getProduct({ id }, { db, fail }) {
      const [row] = await db.sql<ProductRow>`
        select id, name, description, category, price_cents from products where id = ${id}`;
      if (!row) throw fail("PRODUCT_UNKNOWN", `There is no product "${id}".`);
      return toProduct(row);
    },

    async getProducts({ ids }, { db }) {
      if (ids.length === 0) return { products: [] };
      const rows = await db.sql<ProductRow>`
        select id, name, description, category, price_cents from products where id = any(${ids})`;
      return { products: rows.map(toProduct) };
    },

    async listCategories(_request, { db }) {
      const categories = await db.sql<{ name: string; count: number }>`
        select category as name, count(*)::int as count from products group by category order by category`;
      return { categories };
    },
  },
});
