import { type Database, sql, type Transaction } from "plinth";
import { baseCurrency, type Money } from "../money.ts";
import type { Order } from "./contract.ts";

/** The table of orders: every statement that touches it, and what each may change. */
export interface OrderRow {
  readonly id: string;
  readonly account_id: string;
  readonly status: "pending" | "placed" | "failing" | "failed";
  readonly items: Order["items"];
  readonly delivery_cents: number;
  readonly total_amount: number;
  readonly total_currency: string;
  readonly ship_to: Order["shipTo"];
  readonly created_at: string;
  readonly placed_at: string | null;
}

export interface NewOrder {
  readonly id: string;
  readonly accountId: string;
  readonly requestKey: string | undefined;
  readonly items: Order["items"];
  /** In euro. */
  readonly delivery: Money;
  readonly total: Money;
  readonly shipTo: Order["shipTo"];
}

/** What a customer sees of an order: one that is given up counts as failed while its money is still on the way back. */
export function toOrder(row: OrderRow): Order {
  return {
    id: row.id,
    status: row.status === "placed" ? "placed" : "failed",
    items: row.items,
    delivery: { amount: row.delivery_cents, currency: baseCurrency },
    total: { amount: row.total_amount, currency: row.total_currency },
    shipTo: row.ship_to,
    createdAt: row.created_at,
  };
}

/** Writes a pending order. False when the account has used this request key before. */
export async function startOrder(tx: Transaction, order: NewOrder): Promise<boolean> {
  const { id, accountId, requestKey = null, items, delivery, total, shipTo } = order;
  const rows = await tx.sql`
    insert into orders (id, account_id, request_key, status, items, delivery_cents, total_amount, total_currency, ship_to)
    values (${id}, ${accountId}, ${requestKey}, 'pending', ${sql.json(items)}, ${delivery.amount}, ${total.amount},
      ${total.currency}, ${sql.json(shipTo)})
    on conflict (account_id, request_key) do nothing returning id`;
  return rows.length > 0;
}

/** pending → placed. Undefined when the order is not pending any more: somebody gave it up. */
export async function placeOrder(tx: Transaction, id: string, chargeId: string): Promise<OrderRow | undefined> {
  const [row] = await tx.sql<OrderRow>`
    update orders set status = 'placed', charge_id = ${chargeId}, placed_at = now()
    where id = ${id} and status = 'pending' returning *`;
  return row;
}

/** Takes a pending order away, as if it had never been. */
export async function dropOrder(db: Database, id: string): Promise<void> {
  await db.sql`delete from orders where id = ${id} and status = 'pending'`;
}

/** pending → failing: from here on it is never placed. True when it is to be compensated, now or already before. */
export async function markFailing(db: Database, id: string): Promise<boolean> {
  const rows = await db.sql`
    update orders set status = 'failing' where id = ${id} and status in ('pending', 'failing') returning id`;
  return rows.length > 0;
}

/** failing → failed: the money is back, and the things can be sold to others. */
export async function markFailed(db: Database | Transaction, id: string): Promise<void> {
  await db.sql`update orders set status = 'failed' where id = ${id} and status = 'failing'`;
}

/** How far an order has come, and since how many seconds it is there. */
export async function findProgress(
  db: Database,
  id: string,
): Promise<{ readonly status: OrderRow["status"]; readonly ageSeconds: number } | undefined> {
  const [row] = await db.sql<{ status: OrderRow["status"]; age: number }>`
    select status, extract(epoch from now() - created_at)::float8 as age from orders where id = ${id}`;
  return row && { status: row.status, ageSeconds: row.age };
}

export async function findByRequestKey(db: Database, accountId: string, key: string): Promise<OrderRow | undefined> {
  const [row] = await db.sql<OrderRow>`
    select * from orders where account_id = ${accountId} and request_key = ${key}`;
  return row;
}

/** An order of this account that is decided; one that is being paid for is not there yet. */
export async function findOrder(db: Database, id: string): Promise<OrderRow | undefined> {
  const [row] = await db.sql<OrderRow>`select * from orders where id = ${id} and status <> 'pending'`;
  return row;
}

/** Newest first: an id begins with the time at which it was made. */
export async function listOrders(
  db: Database,
  { accountId, limit, after }: { accountId: string; limit: number; after: string | undefined },
): Promise<OrderRow[]> {
  const older = after === undefined ? sql`true` : sql`id < ${after}`;
  return db.sql<OrderRow>`
    select * from orders where account_id = ${accountId} and status <> 'pending' and ${older}
    order by id desc limit ${limit}`;
}
