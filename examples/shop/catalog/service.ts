import { database, service, sql } from "plinth";
import { baseCurrency } from "../money.ts";
import { catalog, type Product } from "./contract.ts";
import { fromCursor, toCursor } from "./cursor.ts";

interface ProductRow {
  id: string;
  name: string;
  description: string;
  category: string;
  price_cents: number;
}

const columns = sql`id, name, description, category, price_cents`;

function toProduct(row: ProductRow): Product {
  const { id, name, description, category } = row;
  return { id, name, description, category, price: { amount: row.price_cents, currency: baseCurrency } };
}

export default service(catalog, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async listProducts({ category, search, limit = 20, after }, { db, fail }) {
      const conditions = [sql`true`];
      if (category !== undefined) conditions.push(sql`category = ${category}`);
      if (search !== undefined) {
        const pattern = `%${search.replaceAll(/[\\%_]/g, "\\$&")}%`;
        conditions.push(sql`(name ilike ${pattern} or description ilike ${pattern})`);
      }
      if (after !== undefined) {
        const position = fromCursor(after);
        if (!position) throw fail("CURSOR_INVALID", '"after" is not the "next" of a page; begin without it.');
        conditions.push(sql`(name, id) > (${position.name}, ${position.id})`);
      }
      // One more than asked for: it tells whether there is another page.
      const rows = await db.sql<ProductRow>`
        select ${columns} from products where ${sql.join(conditions, sql` and `)} order by name, id limit ${limit + 1}`;
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return { products: page.map(toProduct), ...(rows.length > limit && last && { next: toCursor(last) }) };
    },

    async getProduct({ id }, { db, fail }) {
      const [row] = await db.sql<ProductRow>`select ${columns} from products where id = ${id}`;
      if (!row) throw fail("PRODUCT_UNKNOWN", `There is no product "${id}".`);
      return toProduct(row);
    },

    async getProducts({ ids }, { db }) {
      if (ids.length === 0) return { products: [] };
      const rows = await db.sql<ProductRow>`select ${columns} from products where id = any(${ids})`;
      return { products: rows.map(toProduct) };
    },

    async listCategories(_request, { db }) {
      const categories = await db.sql<{ name: string; count: number }>`
        select category as name, count(*)::int as count from products group by category order by category`;
      return { categories };
    },
  },
});
