import { randomUUID } from "node:crypto";

/**
 * What the three services of the comparison keep and reckon, in memory: the same code for Plinth and for its peers, so that
 * what differs is the platform. As the shop does it (`examples/shop`), with what its other services do left out: prices stand
 * beside the products, and a card is only looked at.
 */
export interface Money {
  readonly amount: number;
  readonly currency: string;
}

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly grams: number;
  readonly price: Money;
  readonly stock: "plenty" | "low" | "none";
}

export type Described = Pick<Product, "id" | "name" | "grams" | "price">;

export interface CartItem {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly grams: number;
  readonly unitPrice: Money;
  readonly price: Money;
}

export interface Cart {
  readonly items: readonly CartItem[];
  readonly total: Money;
}

export interface Address {
  readonly name: string;
  readonly street: string;
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

export interface Card {
  readonly number: string;
  readonly expiryMonth: number;
  readonly expiryYear: number;
  readonly cvc: string;
}

export interface Order extends Cart {
  readonly id: string;
  readonly status: "placed";
  readonly shipTo: Address;
  readonly createdAt: string;
}

export interface Filter {
  readonly category?: string | undefined;
  readonly search?: string | undefined;
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}

const categories = ["games", "garden", "home", "kitchen", "office", "travel"];
const euro = (amount: number): Money => ({ amount, currency: "EUR" });

/** By name. */
const products: readonly Product[] = Array.from({ length: 68 }, (_, i): Product => {
  const number = String(i + 1).padStart(2, "0");
  const category = categories[i % categories.length] as string;
  return {
    id: `${category}-thing-${number}`,
    name: `Article ${number} for the ${category}`,
    description: `Solid oak and brushed steel, made to last, number ${number}.`,
    category,
    grams: 500 + 10 * i,
    price: euro(1290 + 210 * i),
    stock: "plenty",
  };
});
const byId = new Map(products.map((product) => [product.id, product]));

/** A page by name, and where the next begins. */
export function listProducts({ category, search, limit = 20, after }: Filter) {
  const text = search?.toLowerCase();
  const from = after === undefined ? "" : Buffer.from(after, "base64url").toString();
  const found = products.filter(
    (product) =>
      product.name > from &&
      (category === undefined || product.category === category) &&
      (text === undefined || `${product.name} ${product.description}`.toLowerCase().includes(text)),
  );
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    products: page,
    ...(found.length > limit && last && { next: Buffer.from(last.name).toString("base64url") }),
  };
}

export function findProduct(id: string): Product | undefined {
  return byId.get(id);
}

/** What carts show of products; those that do not exist are left out. */
export function describeProducts(ids: readonly string[]): Described[] {
  return ids.flatMap((id) => {
    const product = byId.get(id);
    return product ? [{ id, name: product.name, grams: product.grams, price: product.price }] : [];
  });
}

/** Of each customer, how many of what. */
const carts = new Map<string, Map<string, number>>();
export const itemsMax = 50;

/** False when the cart is full. */
export function putIntoCart(customer: string, productId: string, quantity: number): boolean {
  const cart = carts.get(customer) ?? new Map<string, number>();
  if (cart.size >= itemsMax && !cart.has(productId)) return false;
  cart.set(productId, quantity);
  carts.set(customer, cart);
  return true;
}

export function idsInCart(customer: string): string[] {
  return [...(carts.get(customer)?.keys() ?? [])];
}

export function emptyCart(customer: string): void {
  carts.delete(customer);
}

/** At today's prices, without what is no longer sold. */
export function cartOf(customer: string, described: readonly Described[]): Cart {
  const byId = new Map(described.map((product) => [product.id, product]));
  let total = 0;
  const items: CartItem[] = [];
  for (const [productId, quantity] of carts.get(customer) ?? []) {
    const product = byId.get(productId);
    if (!product) continue;
    const { name, grams, price } = product;
    total += quantity * price.amount;
    items.push({ productId, name, quantity, grams, unitPrice: price, price: euro(quantity * price.amount) });
  }
  return { items, total: euro(total) };
}

/** By customer and Idempotency-Key: the same order sent twice is bought once. */
const orders = new Map<string, Order>();

export function findOrder(customer: string, key: string): Order | undefined {
  return orders.get(`${customer} ${key}`);
}

export function placeOrder(customer: string, key: string, { items, total }: Cart, shipTo: Address): Order {
  const createdAt = new Date().toISOString();
  const order: Order = { id: randomUUID(), status: "placed", items, total, shipTo, createdAt };
  orders.set(`${customer} ${key}`, order);
  return order;
}

export function countOrders(): number {
  return orders.size;
}

/** A well-known test number. */
export function isDeclined({ number }: Card): boolean {
  return number.replaceAll(" ", "") === "4000000000000002";
}
