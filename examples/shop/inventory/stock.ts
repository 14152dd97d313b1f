import { sql, type Transaction } from "plinth";

/** The table of stock: every statement that moves something, and what each moves. */
export interface Item {
  readonly productId: string;
  readonly quantity: number;
}

export type Level = "plenty" | "low" | "none";

/** What a movement did to one product. */
export interface Movement {
  readonly productId: string;
  readonly before: number;
  readonly available: number;
  readonly version: number;
}

const lowMax = 20;

export function levelOf(available: number): Level {
  if (available === 0) return "none";
  return available <= lowMax ? "low" : "plenty";
}

interface MovementRow {
  product_id: string;
  before: number;
  available: number;
  version: number;
}

/** available → reserved, of each only if there is enough: what is not among the answers could not be had. */
export function reserve(tx: Transaction, items: readonly Item[]): Promise<Movement[]> {
  return move(tx, items, {
    change: sql`available = available - wanted.quantity, reserved = reserved + wanted.quantity`,
    condition: sql`available >= wanted.quantity`,
    before: sql`available + wanted.quantity`,
  });
}

/** reserved → available. */
export function release(tx: Transaction, items: readonly Item[]): Promise<Movement[]> {
  return move(tx, items, {
    change: sql`available = available + wanted.quantity, reserved = reserved - wanted.quantity`,
    condition: sql`true`,
    before: sql`available - wanted.quantity`,
  });
}

/** reserved → sold. */
export function sell(tx: Transaction, items: readonly Item[]): Promise<Movement[]> {
  return move(tx, items, {
    change: sql`reserved = reserved - wanted.quantity, sold = sold + wanted.quantity`,
    condition: sql`true`,
    before: sql`available`,
  });
}

/** From outside → available, of a product that has its row. */
export async function receive(tx: Transaction, item: Item): Promise<Movement> {
  const [movement] = await move(tx, [item], {
    change: sql`available = available + wanted.quantity, received = received + wanted.quantity`,
    condition: sql`true`,
    before: sql`available - wanted.quantity`,
  });
  if (!movement) throw new Error("a product that something is received of has a row");
  return movement;
}

interface Move {
  readonly change: ReturnType<typeof sql>;
  readonly condition: ReturnType<typeof sql>;
  readonly before: ReturnType<typeof sql>;
}

/** Rows are locked in the order of their ids first: two orders for the same things wait for each other, never crosswise. */
async function move(tx: Transaction, items: readonly Item[], { change, condition, before }: Move): Promise<Movement[]> {
  const ids = items.map((item) => item.productId);
  // Asked for together, they go together, one after the other.
  const [, rows] = await Promise.all([
    tx.sql`select product_id from stock where product_id = any(${ids}) order by product_id for update`,
    tx.sql<MovementRow>`
    update stock set ${change}, version = version + 1
    from unnest(${ids}::text[], ${items.map((item) => item.quantity)}::bigint[]) as wanted (id, quantity)
    where product_id = wanted.id and ${condition}
    returning product_id, ${before} as before, available, version`,
  ]);
  return rows.map(({ product_id, ...rest }) => ({ productId: product_id, ...rest }));
}
