import { type Cache, type Client, type Database, sql } from "plinth";
import type { pricing } from "../pricing/contract.ts";
import type { Product } from "./contract.ts";

/** The table of products: every statement that reads it, and the prices that go with its rows. */
interface ProductRow {
  id: string;
  name: string;
  description: string;
  category: string;
  grams: number;
  stock_level: Product["stock"];
}

const columns = sql`id, name, description, category, grams, stock_level`;

export interface Shelf {
  readonly db: Database;
  readonly pricing: Client<typeof pricing>;
}

export interface Filter {
  readonly category?: string | undefined;
  readonly search?: string | undefined;
  /** The last of the page before. */
  readonly after?: { readonly name: string; readonly id: string } | undefined;
  readonly limit: number;
}

/** A page, by name. `last` is where the next one begins, if there is one. */
export async function listProducts(shelf: Shelf, { category, search, after, limit }: Filter) {
  const conditions = [sql`true`];
  if (category !== undefined) conditions.push(sql`category = ${category}`);
  if (search !== undefined) {
    const pattern = `%${search.replaceAll(/[\\%_]/g, "\\$&")}%`;
    conditions.push(sql`(name ilike ${pattern} or description ilike ${pattern})`);
  }
  if (after !== undefined) conditions.push(sql`(name, id) > (${after.name}, ${after.id})`);
  // One more than asked for: it tells whether there is another page.
  const rows = await shelf.db.sql<ProductRow>`
    select ${columns} from products where ${sql.join(conditions, sql` and `)} order by name, id limit ${limit + 1}`;
  const page = rows.slice(0, limit);
  return { products: await withPrices(page, shelf), last: rows.length > limit ? page.at(-1) : undefined };
}

export async function findProducts(shelf: Shelf, ids: readonly string[]): Promise<Product[]> {
  if (ids.length === 0) return [];
  const rows = await shelf.db.sql<ProductRow>`select ${columns} from products where id = any(${[...ids]})`;
  return withPrices(rows, shelf);
}

export type Description = Pick<Product, "id" | "name" | "grams">;

/** How long a product may be called what it was called before. */
const describedFor = "30s";
/** Of one question to the cache. */
const keptMax = 100;

/** What carts show of products. It hardly ever changes, and every look at a cart asks for it: it is kept, one by one. */
export async function describeProducts(
  { db, cache }: { readonly db: Database; readonly cache: Cache },
  ids: readonly string[],
): Promise<Description[]> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return [];
  const keyOf = (id: string) => `description:${id}`;
  const kept = wanted.length > keptMax ? [] : await cache.getMany<Description>(wanted.map(keyOf));
  const missing = wanted.filter((_, at) => kept[at] === undefined);
  const found = kept.filter((each) => each !== undefined);
  if (missing.length === 0) return found;
  const rows = await db.sql<Description>`select id, name, grams from products where id = any(${missing})`;
  await Promise.all(rows.map((row) => cache.set(keyOf(row.id), row, { ttl: describedFor })));
  return [...found, ...rows];
}

/** What pricing says one of each costs today. What has no price is not sold, and so not shown. */
async function withPrices(rows: readonly ProductRow[], { pricing }: Shelf): Promise<Product[]> {
  if (rows.length === 0) return [];
  const { lines } = await pricing.quote({ items: rows.map((row) => ({ productId: row.id, quantity: 1 })) });
  const byId = new Map(lines.map((line) => [line.productId, line.unitPrice]));
  return rows.flatMap(({ stock_level, ...row }) => {
    const price = byId.get(row.id);
    return price ? [{ ...row, price, stock: stock_level }] : [];
  });
}
