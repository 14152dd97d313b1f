import type { CheckoutOutcome } from "./traffic/checkouts.ts";

/**
 * The shop's books, compared: what must be true of all services' tables together once everything has come to rest. Each
 * rule is a claim that one service alone cannot make. It trusts no constraint and no event: it reads rows, all of them, so
 * it is for proofs with some ten thousand orders, not for a shop with years of them.
 */

/** Runs SQL where a service keeps its data. Tables are named with the service's schema. */
export type Look = (service: string, text: string) => Promise<readonly Readonly<Record<string, any>>[]>;

export interface Violation {
  readonly rule: string;
  readonly what: string;
}

interface Item {
  readonly productId: string;
  readonly quantity: number;
  readonly unitPrice: { readonly amount: number };
  readonly price: { readonly amount: number };
}

interface Order {
  readonly id: string;
  readonly status: string;
  readonly request_key: string | null;
  readonly charge_id: string | null;
  readonly items: readonly Item[];
  readonly delivery: number;
  readonly amount: number;
  readonly currency: string;
}

interface Charge {
  readonly key: string;
  readonly id: string;
  readonly amount: number;
  readonly currency: string;
}

interface Reservation {
  readonly key: string;
  readonly status: string;
  readonly items: Readonly<Record<string, number>>;
}

interface Mail {
  readonly order_id: string;
  readonly kind: string;
  readonly written: boolean;
}

/** Everything that the rules look at, read once. */
interface Books {
  readonly orders: readonly Order[];
  readonly placed: ReadonlyMap<string, Order>;
  /** What was charged and not given back. */
  readonly charges: readonly Charge[];
  readonly reservations: readonly Reservation[];
  readonly stock: readonly Readonly<
    Record<"received" | "available" | "reserved" | "sold", number> & { product_id: string }
  >[];
  readonly shipments: readonly { readonly order_id: string }[];
  readonly mails: readonly Mail[];
  readonly bought: readonly { readonly product_id: string; readonly order_count: number }[];
}

type Rule = (books: Books, checkouts: readonly CheckoutOutcome[]) => Iterable<string>;

/** Every violation; none when all is well. `checkouts` is what customers were told, where somebody kept it. */
export async function audit(look: Look, checkouts: readonly CheckoutOutcome[] = []): Promise<Violation[]> {
  const books = await readBooks(look);
  return Object.entries(rules).flatMap(([rule, find]) => [...find(books, checkouts)].map((what) => ({ rule, what })));
}

async function readBooks(look: Look): Promise<Books> {
  const [orders, charges, reservations, stock, shipments, mails, bought] = await Promise.all([
    look(
      "checkout",
      `select id, status, request_key, charge_id, items, delivery_cents::float8 as delivery,
         total_amount::float8 as amount, total_currency as currency from checkout.orders`,
    ),
    look(
      "payment",
      `select key, id, amount::float8 as amount, currency from payment.charges
       where amount is not null and refunded_at is null`,
    ),
    look("inventory", "select key, status, items from inventory.reservations"),
    look(
      "inventory",
      `select product_id, received::float8 as received, available::float8 as available, reserved::float8 as reserved,
         sold::float8 as sold from inventory.stock`,
    ),
    look("shipping", "select order_id from shipping.shipments"),
    look("email", "select order_id, kind, written_at is not null as written from email.mails"),
    look("recommendation", "select product_id, order_count from recommendation.bought"),
  ]);
  const all = orders as unknown as Order[];
  return {
    orders: all,
    placed: new Map(all.filter((order) => order.status === "placed").map((order) => [order.id, order])),
    charges: charges as unknown as Charge[],
    reservations: reservations as unknown as Reservation[],
    stock: stock as unknown as Books["stock"],
    shipments: shipments as unknown as Books["shipments"],
    mails: mails as unknown as Mail[],
    bought: bought as unknown as Books["bought"],
  };
}

export const rules = {
  /** What a customer was told is so. */
  *"told otherwise"({ orders, placed }, checkouts) {
    const byKey = groupBy(orders, (order) => order.request_key ?? "");
    for (const { key, result, orderId, reason } of checkouts) {
      const found = byKey.get(key) ?? [];
      if (result === "ok" && !placed.has(orderId ?? "")) yield `${orderId} was said to be placed, and is not`;
      if (result === "fail" && found.some((order) => order.status === "placed")) {
        yield `${found[0]?.id} was refused (${reason}), and is placed`;
      }
      if (found.length > 1) yield `${found.length} orders for one key ${key}`;
    }
  },
  *"order left halfway"({ orders }) {
    for (const { id, status } of orders) if (status !== "placed" && status !== "failed") yield `${id} is ${status}`;
  },
  *"order that does not add up"({ orders }) {
    for (const { id, items, delivery, amount, currency } of orders) {
      const isLineWrong = items.some((item) => item.unitPrice.amount * item.quantity !== item.price.amount);
      const goods = items.reduce((sum, item) => sum + item.price.amount, 0);
      if (isLineWrong || (currency === "EUR" && goods + delivery !== amount)) yield `${id}: ${amount} ${currency}`;
    }
  },
  *"placed without its charge"({ placed, charges }) {
    const byKey = groupBy(charges, (charge) => charge.key);
    for (const { id, charge_id } of placed.values()) {
      if (!byKey.get(id)?.some((charge) => charge.id === charge_id)) yield id;
    }
  },
  *"charged without a placed order"({ placed, charges }) {
    for (const { key } of charges) if (!placed.has(key)) yield key;
  },
  *"charged twice"({ charges }) {
    for (const [key, found] of groupBy(charges, (charge) => charge.key)) if (found.length > 1) yield key;
  },
  *"charged something else"({ placed, charges }) {
    for (const { key, amount, currency } of charges) {
      const order = placed.get(key);
      if (order && (order.amount !== amount || order.currency !== currency)) {
        yield `${key}: ${amount} ${currency} for ${order.amount} ${order.currency}`;
      }
    }
  },
  *"money that does not balance"({ placed, charges }) {
    const owed = sumBy(placed.values(), (order) => [order.currency, order.amount]);
    const taken = sumBy(charges, (charge) => [charge.currency, charge.amount]);
    for (const currency of new Set([...owed.keys(), ...taken.keys()])) {
      const [sold, paid] = [owed.get(currency) ?? 0, taken.get(currency) ?? 0];
      if (sold !== paid) yield `${currency}: sold for ${sold}, charged ${paid}`;
    }
  },
  *"placed without its reservation"({ placed, reservations }) {
    const byKey = new Map(reservations.map((reservation) => [reservation.key, reservation]));
    for (const { id, items } of placed.values()) {
      const reservation = byKey.get(id);
      const wanted = sumBy(items, (item) => [item.productId, item.quantity]);
      if (reservation?.status !== "sold" || !isSame(wanted, new Map(Object.entries(reservation.items)))) yield id;
    }
  },
  *"reserved without a placed order"({ placed, reservations }) {
    for (const { key, status } of reservations) {
      if (status !== "released" && !placed.has(key)) yield `${key} is ${status}`;
    }
  },
  *"stock that does not balance"({ stock, reservations }) {
    const counted = (status: string) =>
      sumBy(
        reservations.filter((each) => each.status === status).flatMap((each) => Object.entries(each.items)),
        (entry) => entry,
      );
    const [kept, gone] = [counted("reserved"), counted("sold")];
    for (const { product_id, received, available, reserved, sold } of stock) {
      const isRight =
        available >= 0 &&
        available + reserved + sold === received &&
        reserved === (kept.get(product_id) ?? 0) &&
        sold === (gone.get(product_id) ?? 0);
      if (!isRight) yield `${product_id}: of ${received}, ${available} there, ${reserved} reserved, ${sold} sold`;
    }
  },
  *"sent without a placed order, twice, or not at all"({ placed, shipments }) {
    yield* compareOnce(
      placed,
      shipments.map((shipment) => shipment.order_id),
    );
  },
  *"order mail missing, twice, or for no order"({ placed, mails }) {
    yield* compareOnce(placed, idsOfMails(mails, "order"));
  },
  *"shipping mail missing, twice, or for no order"({ placed, mails }) {
    yield* compareOnce(placed, idsOfMails(mails, "shipping"));
  },
  *"mail that was never written"({ mails }) {
    for (const { order_id, kind, written } of mails) if (!written) yield `${kind} mail of ${order_id}`;
  },
  /** A counter is what shows an event that took effect twice, or never. */
  *"purchase counted otherwise than once"({ placed, bought }) {
    const expected = sumBy(
      [...placed.values()].flatMap((order) => order.items.slice(0, productsCountedMax)),
      (item) => [item.productId, 1],
    );
    const counted = new Map(bought.map((row) => [row.product_id, row.order_count]));
    for (const id of new Set([...expected.keys(), ...counted.keys()])) {
      const [orders, count] = [expected.get(id) ?? 0, counted.get(id) ?? 0];
      if (orders !== count) yield `${id}: in ${orders} orders, counted ${count} times`;
    }
  },
} satisfies Readonly<Record<string, Rule>>;

/** As many of an order's products as recommendation counts. */
const productsCountedMax = 12;

function idsOfMails(mails: readonly Mail[], kind: string): string[] {
  return mails.filter((mail) => mail.kind === kind).map((mail) => mail.order_id);
}

/** For each placed order exactly one, and for nothing else. */
function* compareOnce(placed: Books["placed"], ids: readonly string[]): Iterable<string> {
  const counts = sumBy(ids, (id) => [id, 1]);
  for (const id of placed.keys()) if (!counts.has(id)) yield `${id}: none`;
  for (const [id, count] of counts) {
    if (!placed.has(id)) yield `${id}: no placed order`;
    else if (count > 1) yield `${id}: ${count}`;
  }
}

function groupBy<T>(rows: readonly T[], keyOf: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}

function sumBy<T>(rows: Iterable<T>, entryOf: (row: T) => readonly [string, number]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const row of rows) {
    const [key, amount] = entryOf(row);
    sums.set(key, (sums.get(key) ?? 0) + amount);
  }
  return sums;
}

function isSame(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): boolean {
  return one.size === other.size && [...one].every(([key, count]) => other.get(key) === count);
}
