import { setTimeout as sleep } from "node:timers/promises";

interface Shown {
  readonly id: string;
  readonly token: string;
  readonly account: { readonly id: string };
}

/**
 * What `plinth verify access --samples` asks for: of each thing that belongs to somebody one that is there, and whose it is.
 *
 *     npx plinth verify access --samples access-samples.ts
 */
export default async function samples({ url }: { readonly url: string }) {
  const ask = async (verb: string, path: string, token: string | undefined, body?: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method: verb,
      headers: { "content-type": "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { isDone: answer.ok, body: (await answer.json()) as Shown };
  };
  const customer = { email: "ada@example.com", password: "an engine of brass", name: "Ada" };
  const { token, account } = (await ask("POST", "/accounts", undefined, customer)).body;
  await ask("PUT", "/cart/items/candle", token, { quantity: 1 });
  const card = { number: "4242424242424242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };
  const shipTo = { name: "Ada", street: "12 St James's Square", city: "London", postalCode: "SW1Y 4JH", country: "GB" };
  const { id } = (await ask("POST", "/orders", token, { card, shipTo })).body;
  // The parcel comes into being with an event.
  for (let tries = 0; tries < 100; tries++) {
    if ((await ask("GET", `/orders/${id}/shipment`, token)).isDone) break;
    await sleep(100);
  }
  const as = { subject: account.id };
  return {
    "accounts.signIn": { request: { email: customer.email, password: customer.password }, as },
    "accounts.getMine": { as },
    "checkout.getOrder": { request: { id }, as },
    "shipping.getShipment": { request: { orderId: id }, as },
  };
}
