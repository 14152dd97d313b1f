/** What all candidates write: an order, of one of a thousand customers, and an entry in the books for it. */
export const ordersTable = "(n bigint primary key, customer text not null)";
/** What is read and changed in one transaction. */
export const accountsTable = "(id integer primary key, balance integer not null)";
export const accountCount = 1000;

export function customerOf(n: number): string {
  return `customer ${n % 1000}`;
}

/** One after another, far from each other: two transactions seldom want the same. */
export function createAccounts(): () => number {
  let next = 0;
  return () => {
    next = (next + 389) % accountCount;
    return next;
  };
}

/** Events for each second, where they come at a rate. */
export const pacePerSecond = 100;

/** Who reads from a cache at the same time. */
export const readerCount = 64;

/** What is read from caches, about 300 bytes as JSON. */
export const productCount = 1000;
export function productOf(n: number) {
  return {
    id: `product-${n}`,
    name: "Earl Grey, loose, in a tin of 250 g",
    priceCents: 1450,
    currency: "EUR",
    stock: { north: 17, south: 240 },
    tags: ["tea", "black", "bergamot"],
    description: "Black tea from Ceylon, scented with oil of bergamot. Three minutes in water that has just boiled.",
    updatedAt: "2026-11-21T08:30:00.000Z",
  };
}
