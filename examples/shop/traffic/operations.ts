import { ask, type Customer, check, refusal, take } from "./customer.ts";

/** What a customer does in the shop, and what must be true of the answers. */
export const operationNames = ["browse", "view", "add", "cart", "checkout", "currency"] as const;
export type OperationName = (typeof operationNames)[number];

/** How often each, in percent: as in the load generators of well-known demo shops. */
export const usualMix: Readonly<Record<OperationName, number>> = {
  browse: 40,
  view: 25,
  add: 12,
  cart: 10,
  checkout: 5,
  currency: 8,
};

export const currencies = ["EUR", "USD", "JPY", "GBP", "TRY", "CAD"] as const;
export const countries = ["DE", "GB", "FR", "US", "JP"] as const;
const categories = ["kitchen", "office", "home", "garden", "travel", "games"];

export async function browse(customer: Customer): Promise<void> {
  const { wire, dice, nextPage } = customer;
  const query = nextPage === undefined ? "" : `&after=${encodeURIComponent(nextPage)}`;
  const category = nextPage === undefined && dice.next() < 0.4 ? `&category=${dice.pick(categories)}` : "";
  const page = await take(wire, { route: `GET /products?limit=20${category}${query}` });
  check(Array.isArray(page?.products) && page.products.length > 0, "a page without products");
  for (const product of page.products) checkProduct(product);
  // A category's pages are not gone through: its cursor would lead into all products.
  customer.nextPage = category === "" ? page.next : undefined;
}

export async function view(customer: Customer): Promise<void> {
  const { wire, dice, nextProduct } = customer;
  const id = nextProduct();
  const product = await take(wire, { route: `GET /products/${id}` });
  check(product?.id === id, `asked for ${id} and got ${product?.id}`);
  checkProduct(product);
  customer.lastPrice = product.price.amount;
  // One in five reads on.
  if (dice.next() >= 0.2) return;
  const [reviews, others] = await Promise.all([
    take(wire, { route: `GET /products/${id}/reviews` }),
    take(wire, { route: `GET /products/${id}/also-bought` }),
  ]);
  check(Number.isInteger(reviews?.rating?.count) && Array.isArray(reviews.reviews), `${id}: reviews that are none`);
  check(Array.isArray(others?.products), `${id}: no list of what was also bought`);
}

export async function add(customer: Customer): Promise<void> {
  const { wire, token, dice, nextProduct } = customer;
  const id = nextProduct();
  const quantity = dice.pick([1, 1, 1, 2, 3, 5]);
  const sending = { route: `PUT /cart/items/${id}`, token, body: { quantity } };
  const answer = await ask(wire, sending);
  if (answer.body?.reason === "CART_FULL") {
    await take(wire, { route: "DELETE /cart", token }, 204);
    return;
  }
  if (answer.status !== 200) throw refusal(sending.route, answer);
  const cart = answer.body;
  checkCart(cart);
  const item = cart.items.find((each: { productId: string }) => each.productId === id);
  check(item?.quantity === quantity, `put ${quantity} of ${id} into the cart, and ${item?.quantity} are in it`);
}

export async function viewCart({ wire, token }: Customer): Promise<void> {
  checkCart(await take(wire, { route: "GET /cart", token }));
}

/** Shows the cart, or the product looked at last, in another currency. */
export async function changeCurrency({ wire, token, dice, lastPrice }: Customer): Promise<void> {
  const to = dice.pick(currencies);
  if (dice.next() < 0.5) {
    const cart = await take(wire, { route: `GET /cart?currency=${to}`, token });
    checkCart(cart);
    check(cart.converted?.currency === to, `asked for the cart in ${to} and got ${cart.converted?.currency}`);
    return;
  }
  const { money } = await take(wire, { route: `GET /currencies/convert?amount=${lastPrice}&from=EUR&to=${to}` });
  check(money?.currency === to && Number.isInteger(money.amount), `${lastPrice} in ${to} is ${JSON.stringify(money)}`);
  check(to !== "EUR" || money.amount === lastPrice, "an amount that changed in its own currency");
}

function checkProduct(product: any): void {
  const { id, name, price, stock } = product ?? {};
  check(typeof id === "string" && typeof name === "string", `no product: ${JSON.stringify(product)}`);
  check(Number.isInteger(price?.amount) && price.amount > 0 && price.currency === "EUR", `${id}: no price`);
  check(["plenty", "low", "none"].includes(stock), `${id}: stock ${stock}`);
}

/** Whatever is in it: it adds up. */
function checkCart(cart: any): void {
  check(Array.isArray(cart?.items), `no cart: ${JSON.stringify(cart)}`);
  let sum = 0;
  for (const { productId, quantity, unitPrice, price } of cart.items) {
    check(
      price.amount === quantity * unitPrice.amount,
      `${productId}: ${quantity} × ${unitPrice.amount} is ${price.amount}`,
    );
    sum += price.amount;
  }
  check(cart.total?.amount === sum, `a cart of ${sum} that says ${cart.total?.amount}`);
}
