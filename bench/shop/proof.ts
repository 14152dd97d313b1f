import type { MixPlan } from "./mix.ts";

/** Asks a three-service candidate for what its customers ask, and throws where an answer is not what it must be. */
export async function proveThree(name: string, origins: MixPlan["origins"], tokens: readonly string[]): Promise<void> {
  const [token = "", forged = ""] = [tokens.at(-1), `${tokens.at(-1)?.slice(0, -8)}AAAAAAAA`];
  const ask = async (service: keyof MixPlan["origins"], route: string, expected: number, sent: Asked = {}) => {
    const [method = "", path = ""] = route.split(" ");
    const response = await fetch(`${origins[service]}${path}`, {
      method,
      headers: {
        ...(sent.token !== undefined && { authorization: `Bearer ${sent.token}` }),
        ...(sent.body !== undefined && { "content-type": "application/json" }),
      },
      ...(sent.body !== undefined && { body: JSON.stringify(sent.body) }),
    });
    const text = await response.text();
    demand(response.status === expected, `${name}: ${route} answered ${response.status}, not ${expected}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  const page = await ask("catalog", "GET /products?limit=20", 200);
  demand(page.products.length === 20 && typeof page.next === "string", `${name}: no page of 20`);
  const rest = await ask("catalog", `GET /products?limit=100&after=${page.next}`, 200);
  demand(rest.products.length === 48 && rest.next === undefined, `${name}: no second page`);
  const [product] = page.products;
  const found = await ask("catalog", `GET /products/${product.id}`, 200);
  demand(JSON.stringify(found) === JSON.stringify(product), `${name}: another product`);
  await ask("catalog", "GET /products/none", 404);
  await ask("catalog", "GET /products?limit=1000", invalid(name));
  await ask("cart", "GET /cart", 401);
  await ask("cart", "GET /cart", 401, { token: forged });
  await ask("cart", `PUT /cart/items/${product.id}`, invalid(name), { token, body: { quantity: 100 } });
  await ask("cart", "PUT /cart/items/none", 404, { token, body: { quantity: 1 } });
  const order = { card, shipTo, key: crypto.randomUUID() };
  await ask("checkout", "POST /orders", 400, { token, body: order });
  const cart = await ask("cart", `PUT /cart/items/${product.id}`, 200, { token, body: { quantity: 3 } });
  demand(cart.total.amount === 3 * product.price.amount && cart.items.length === 1, `${name}: a cart that is wrong`);
  await ask("checkout", "POST /orders", invalid(name), { token, body: { ...order, card: { ...card, cvc: "x" } } });
  await ask("checkout", "POST /orders", 400, { token, body: { ...order, card: declined } });
  const placed = await ask("checkout", "POST /orders", 201, { token, body: order });
  demand(placed.status === "placed" && placed.total.amount === cart.total.amount, `${name}: an order that is wrong`);
  const again = await ask("checkout", "POST /orders", 201, { token, body: order });
  demand(again.id === placed.id, `${name}: the same order was bought twice`);
  demand((await ask("cart", "GET /cart", 200, { token })).items.length === 0, `${name}: the cart is not empty`);
}

interface Asked {
  readonly token?: string;
  readonly body?: unknown;
}

const card = { number: "4242 4242 4242 4242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };
const declined = { ...card, number: "4000 0000 0000 0002" };
const shipTo = { name: "A Customer", street: "1 Road", city: "Town", postalCode: "12345", country: "DE" };

/** Each framework's own word for what does not pass its validation. */
function invalid(name: string): number {
  return name.startsWith("Plinth") ? 422 : 400;
}

function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
