import { bytesOf } from "../load/open-loop.ts";
import type { Shot } from "../load/open-loop-shots.ts";

/**
 * The shop's journeys as requests for an open loop: what its own traffic sends (`examples/shop/traffic`), with its shares,
 * its pages, its rotation of products, and a new key for each order. Customers take turns at random; none buys twice at a
 * time, as none would.
 */
export interface MixPlan {
  /** Where each service is reached. In the shop all of them are one gateway. */
  readonly origins: Readonly<Record<"catalog" | "cart" | "checkout", string>>;
  /** Tokens of customers, who have a place to keep a cart. */
  readonly tokens: readonly string[];
  /** Operations and their shares, as the shop's traffic has them. */
  readonly shares: Readonly<Record<string, number>>;
  /** Only what the three services do: no reviews, recommendations and currencies. */
  readonly isSlice: boolean;
}

export interface Mix {
  draw(): Shot;
  /** Requests for one operation, on average. */
  readonly requestsEach: number;
}

/** Of the checkouts, with a card that the bank declines. Those are named "declined", and are to be refused. */
const declinedShare = 0.02;
/** Of the views, by somebody who reads on. */
const readsOnShare = 0.2;
/** Whoever begins to browse looks at one category; whoever does not goes through all pages. */
const categoryShare = 0.4;
const categories = ["kitchen", "office", "home", "garden", "travel", "games"];
const currencies = ["EUR", "USD", "JPY", "GBP", "TRY", "CAD"];
const countries = ["DE", "GB", "FR", "US", "JP"];
const quantities = [1, 1, 1, 2, 3, 5];
const good = { number: "4242 4242 4242 4242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };
const declined = { ...good, number: "4000 0000 0000 0002" };
const shipTo = { name: "A Customer", street: "1 Road", city: "Town", postalCode: "12345" };

interface Customer {
  readonly authorization: string;
  productAt: number;
  isBuying: boolean;
}

export async function createMix({ origins, tokens, shares, isSlice }: MixPlan): Promise<Mix> {
  const { pages, productIds } = await explore(origins.catalog);
  const customers = tokens.map((token): Customer => {
    return { authorization: `Bearer ${token}`, productAt: below(productIds.length), isBuying: false };
  });
  const hosts = { catalog: new URL(origins.catalog).host, cart: new URL(origins.cart).host };
  const shotOf = (name: string, path: string, headers?: Record<string, string>): Shot => {
    return { name, origin: origins.catalog, bytes: bytesOf({ path, ...(headers && { headers }) }, hosts.catalog) };
  };
  const pageShots = pages.map((path) => shotOf("browse", path));
  const categoryShots = categories.map((name) => shotOf("browse", `/products?limit=20&category=${name}`));
  const productShots = productIds.map((id) => shotOf("view", `/products/${id}`));
  // One beginning in a category is one request; one that is not goes through every page.
  const categoryOfRequests = categoryShare / (categoryShare + (1 - categoryShare) * pages.length);

  const nextProduct = (customer: Customer): string => {
    customer.productAt = (customer.productAt + 101) % productIds.length;
    return productIds[customer.productAt] as string;
  };
  const json = (customer: Customer) => ({
    authorization: customer.authorization,
    "content-type": "application/json",
  });
  const cartOf = (customer: Customer, query = ""): Shot => {
    const { authorization } = customer;
    const bytes = bytesOf({ path: `/cart${query}`, headers: { authorization } }, hosts.cart);
    return { name: "cart", origin: origins.cart, bytes };
  };
  const addOf = (customer: Customer): Shot => {
    const path = `/cart/items/${nextProduct(customer)}`;
    const body = `{"quantity":${pick(quantities)}}`;
    const bytes = bytesOf({ method: "PUT", path, headers: json(customer), body }, hosts.cart);
    return { name: "add", origin: origins.cart, bytes };
  };
  const orderOf = (customer: Customer): Shot => {
    const isDeclined = Math.random() < declinedShare;
    const key = crypto.randomUUID();
    const body = JSON.stringify({
      card: isDeclined ? declined : good,
      shipTo: { ...shipTo, country: pick(countries) },
      ...(isSlice ? { key } : { currency: pick(currencies) }),
    });
    const headers = { ...json(customer), ...(!isSlice && { "idempotency-key": `"${key}"` }) };
    return {
      name: isDeclined ? "declined" : "order",
      origin: origins.checkout,
      bytes: bytesOf({ method: "POST", path: "/orders", headers, body }, new URL(origins.checkout).host),
      onAnswer: () => {
        customer.isBuying = false;
        return undefined;
      },
    };
  };
  const buyer = (): Customer | undefined => {
    for (let tries = 0; tries < 20; tries++) {
      const customer = pick(customers);
      if (!customer.isBuying) return customer;
    }
    return undefined;
  };

  const operations: Record<string, () => Shot> = {
    browse: () => pick(Math.random() < categoryOfRequests ? categoryShots : pageShots),
    view() {
      const at = below(productIds.length);
      const shot = productShots[at] as Shot;
      if (isSlice || Math.random() >= readsOnShare) return shot;
      const others = () => shotOf("also bought", `/products/${productIds[at]}/also-bought`);
      const reviews = () => ({ ...shotOf("reviews", `/products/${productIds[at]}/reviews`), onAnswer: others });
      return { ...shot, onAnswer: reviews };
    },
    add: () => addOf(pick(customers)),
    cart: () => cartOf(pick(customers)),
    currency() {
      const to = pick(currencies);
      if (Math.random() < 0.5) return cartOf(pick(customers), `?currency=${to}`);
      return shotOf("convert", `/currencies/convert?amount=8900&from=EUR&to=${to}`);
    },
    checkout() {
      const customer = buyer();
      // All are buying: what a further one would do first.
      if (!customer) return addOf(pick(customers));
      customer.isBuying = true;
      return {
        ...addOf(customer),
        onAnswer(status) {
          if (status === 200) return orderOf(customer);
          customer.isBuying = false;
          return undefined;
        },
      };
    },
  };
  const wanted = Object.entries(shares).filter(([name]) => !isSlice || name !== "currency");
  const total = wanted.reduce((sum, [, share]) => sum + share, 0);
  const share = (name: string) => (shares[name] ?? 0) / total;
  return {
    requestsEach: 1 + share("checkout") + (isSlice ? 0 : 2 * readsOnShare * share("view")),
    draw() {
      let left = Math.random() * total;
      for (const [name, share] of wanted) {
        left -= share;
        if (left < 0) return (operations[name] as () => Shot)();
      }
      return (operations.browse as () => Shot)();
    },
  };
}

/** The pages as they follow each other, and every product. */
async function explore(origin: string): Promise<{ readonly pages: string[]; readonly productIds: string[] }> {
  const pages: string[] = [];
  const productIds: string[] = [];
  for (let path: string | undefined = "/products?limit=20"; path !== undefined; ) {
    pages.push(path);
    const response: Response = await fetch(new URL(path, origin));
    const { products, next } = (await response.json()) as { products: { id: string }[]; next?: string };
    productIds.push(...products.map(({ id }) => id));
    path = next === undefined ? undefined : `/products?limit=20&after=${encodeURIComponent(next)}`;
  }
  return { pages, productIds };
}

function below(count: number): number {
  return Math.floor(Math.random() * count);
}

function pick<T>(list: readonly T[]): T {
  return list[below(list.length)] as T;
}
