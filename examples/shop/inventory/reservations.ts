import { type Database, sql, type Transaction } from "plinth";
import type { Item } from "./stock.ts";

/** The table of reservations: every statement that touches it. reserved → sold, or reserved → released. */
export type Status = "reserved" | "sold" | "released";

export interface Reservation {
  readonly status: Status;
  readonly items: readonly Item[];
}

interface ReservationRow {
  status: Status;
  items: Readonly<Record<string, number>>;
}

/** An order that is neither placed nor given up after so many minutes has been forgotten by somebody. */
const minutesMax = 10;
const keptFor = sql.unsafe(`interval '${minutesMax} minutes'`);

/** Makes one, reserved. False when the key is known; who made it at the same time is waited for. */
export async function begin(tx: Transaction, key: string, items: readonly Item[]): Promise<boolean> {
  const rows = await tx.sql`
    insert into reservations (key, status, items, expires_at)
    values (${key}, 'reserved', ${sql.json(toRecord(items))}, now() + ${keptFor})
    on conflict (key) do nothing returning key`;
  return rows.length > 0;
}

/** Takes the key, so that nothing is ever reserved with it. False when it is known. */
export async function beginReleased(tx: Transaction, key: string): Promise<boolean> {
  const rows = await tx.sql`
    insert into reservations (key, status, expires_at) values (${key}, 'released', now())
    on conflict (key) do nothing returning key`;
  return rows.length > 0;
}

/** reserved → sold, or reserved → released: its items. Undefined when it is not reserved any more, or never was. */
export async function end(
  tx: Transaction,
  key: string,
  status: "sold" | "released",
): Promise<readonly Item[] | undefined> {
  const [row] = await tx.sql<ReservationRow>`
    update reservations set status = ${status} where key = ${key} and status = 'reserved' returning status, items`;
  return row && toItems(row.items);
}

export async function find(db: Database | Transaction, key: string): Promise<Reservation | undefined> {
  const [row] = await db.sql<ReservationRow>`select status, items from reservations where key = ${key}`;
  return row && { status: row.status, items: toItems(row.items) };
}

/** Those that are kept for too long, a hundred at most. They come again after as long, if nobody has decided by then. */
export async function takeOverdue(tx: Transaction): Promise<string[]> {
  const rows = await tx.sql<{ key: string }>`
    update reservations set expires_at = now() + ${keptFor}
    where key in (
      select key from reservations where status = 'reserved' and expires_at < now()
      order by expires_at limit 100 for update skip locked)
    returning key`;
  return rows.map((row) => row.key);
}

/** Every product once, in the order of their ids: the same things are the same list. */
export function gather(items: readonly Item[]): Item[] {
  return toItems(toRecord(items));
}

function toRecord(items: readonly Item[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { productId, quantity } of items) counts.set(productId, (counts.get(productId) ?? 0) + quantity);
  return Object.fromEntries(counts);
}

function toItems(record: Readonly<Record<string, number>>): Item[] {
  return Object.entries(record)
    .map(([productId, quantity]) => ({ productId, quantity }))
    .sort((one, other) => (one.productId < other.productId ? -1 : 1));
}
