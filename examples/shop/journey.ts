import assert from "node:assert/strict";
import { ask, refuse, take } from "./http.fixture.ts";
import { mailsAbout } from "./mail.fixture.ts";
import { until } from "./waiting.fixture.ts";

/**
 * A customer's whole way through the shop, kept as data: steps in order, each a claim. It knows an address and the
 * folder of mails and nothing else, so it can be walked wherever the shop runs and however it is split.
 */
export interface Shop {
  readonly url: string;
  readonly mailFolder: string;
}

export interface Step {
  readonly name: string;
  run(visit: Visit): Promise<void>;
}

/** What the customer remembers from step to step. */
export interface Visit extends Shop {
  token: string;
  /** Somebody else, who must see nothing of it. */
  stranger: string;
  orderId: string;
}

export function beginVisit(shop: Shop): Visit {
  return { ...shop, token: "", stranger: "", orderId: "" };
}

const email = "Ada.Lovelace@example.com";
const password = "an engine of brass";
const card = { number: "4242 4242 4242 4242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };
const shipTo = {
  name: "Ada <Lovelace>",
  street: "12 St James's Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  country: "GB",
};

export const journey: readonly Step[] = [
  {
    name: "browses the whole range page by page, and meets each product once",
    async run({ url }) {
      const ids: string[] = [];
      for (let after = ""; ; ) {
        const page = await take(url, `GET /products?limit=25${after && `&after=${encodeURIComponent(after)}`}`);
        assert.ok(page.products.length <= 25);
        ids.push(...page.products.map((product: { id: string }) => product.id));
        if (page.next === undefined) break;
        after = page.next;
      }
      assert.ok(ids.length >= 60, `${ids.length} products`);
      assert.equal(new Set(ids).size, ids.length);
      const { categories } = await take(url, "GET /categories");
      const counted = categories.reduce((sum: number, category: { count: number }) => sum + category.count, 0);
      assert.equal(counted, ids.length);
    },
  },
  {
    name: "searches, within a category too, and finds signs that mean something in SQL as they are",
    async run({ url }) {
      const knives = await take(url, "GET /products?search=KNIFE");
      assert.deepEqual(knives.products.map((product: { id: string }) => product.id).sort(), [
        "chef-knife",
        "paring-knife",
        "pocket-knife",
      ]);
      const travel = await take(url, "GET /products?search=knife&category=travel");
      assert.deepEqual(
        travel.products.map((product: { id: string }) => product.id),
        ["pocket-knife"],
      );
      assert.deepEqual((await take(url, "GET /products?search=%25%25")).products, []);
    },
  },
  {
    name: "looks at one product, and is told of one that is not there",
    async run({ url }) {
      const product = await take(url, "GET /products/chef-knife");
      assert.deepEqual(product.price, { amount: 8900, currency: "EUR" });
      assert.equal(product.stock, "plenty");
      await refuse(url, "GET /products/moon-dust", { status: 404, reason: "PRODUCT_UNKNOWN" });
    },
  },
  {
    name: "sees prices in another currency, with the date and the source of the rate",
    async run({ url }) {
      const { date, source, rates } = await take(url, "GET /currencies");
      assert.match(date, /^\d{4}-\d{2}-\d{2}$/);
      assert.match(source, /European Central Bank/);
      assert.ok(rates.length >= 30);
      const yen = await take(url, "GET /currencies/convert?amount=8900&from=EUR&to=JPY");
      assert.deepEqual(yen, { money: { amount: 13913, currency: "JPY" }, minorDigits: 0, date });
      await refuse(url, "GET /currencies/convert?amount=1&from=EUR&to=XXX", {
        status: 404,
        reason: "CURRENCY_UNKNOWN",
      });
    },
  },
  {
    name: "is told what many of one thing cost, and what sending them costs",
    async run({ url }) {
      const body = { items: [{ productId: "candle", quantity: 5 }], currency: "JPY" };
      const quote = await take(url, "POST /quotes", { body });
      // Five for 5 % less each: 18.905 is 18.91.
      assert.deepEqual(quote.lines[0].unitPrice, { amount: 1891, currency: "EUR" });
      assert.deepEqual(quote.total, { amount: 9455, currency: "EUR" });
      assert.equal(quote.converted.currency, "JPY");
      const sending = await take(url, "GET /shipping/quote?country=GB&grams=1500&value=1990");
      assert.deepEqual(sending, { price: { amount: 990, currency: "EUR" }, days: 4 });
    },
  },
  {
    name: "has no cart before signing in",
    async run({ url }) {
      for (const route of ["GET /cart", "GET /orders", "GET /account"]) {
        assert.equal((await ask(url, route)).status, 401);
      }
    },
  },
  {
    name: "signs up, and so does somebody else",
    async run(visit) {
      const { url } = visit;
      const other = { email: "charles@example.com", password: "difference engine", name: "Charles" };
      const [mine, theirs] = await Promise.all([
        take(url, "POST /accounts", { status: 201, body: { email, password, name: "Ada" } }),
        take(url, "POST /accounts", { status: 201, body: other }),
      ]);
      assert.deepEqual(Object.keys(mine.account).sort(), ["createdAt", "email", "id", "name"]);
      visit.stranger = theirs.token;
    },
  },
  {
    name: "cannot sign up with a password that is too short, nor with an address that is taken",
    async run({ url }) {
      const weak = await refuse(url, "POST /accounts", {
        body: { email: "no address", password: "short", name: "" },
        status: 422,
        reason: "VALIDATION_FAILED",
      });
      const pointers = new Set(weak.violations.map((violation: { pointer: string }) => violation.pointer));
      assert.deepEqual(pointers, new Set(["/email", "/name", "/password"]));
      const body = { email: email.toUpperCase(), password: "another password", name: "Eve" };
      await refuse(url, "POST /accounts", { body, status: 409, reason: "EMAIL_TAKEN" });
    },
  },
  {
    name: "is refused with a wrong password exactly as somebody unknown is",
    async run({ url }) {
      const wrong = { status: 401, reason: "CREDENTIALS_WRONG" };
      const [mine, nobody] = await Promise.all([
        refuse(url, "POST /sessions", { ...wrong, body: { email, password: `${password}!` } }),
        refuse(url, "POST /sessions", { ...wrong, body: { email: "nobody@example.com", password } }),
      ]);
      assert.equal(mine.detail, nobody.detail);
    },
  },
  {
    name: "signs in, with an address in other letters",
    async run(visit) {
      const session = await take(visit.url, "POST /sessions", {
        status: 201,
        body: { email: email.toUpperCase(), password },
      });
      visit.token = session.token;
      const account = await take(visit.url, "GET /account", { token: visit.token });
      assert.deepEqual(account, session.account);
      assert.equal(
        (await ask(visit.url, "GET /account", { token: `${visit.token.slice(0, -8)}AAAAAAAA` })).status,
        401,
      );
    },
  },
  {
    name: "fills the cart, changes how many, takes out, and pays today's price",
    async run({ url, token }) {
      const put = (id: string, quantity: number) => take(url, `PUT /cart/items/${id}`, { token, body: { quantity } });
      assert.deepEqual(await take(url, "GET /cart", { token }), { items: [], total: { amount: 0, currency: "EUR" } });
      await put("chef-knife", 1);
      await put("candle", 5);
      await put("kite", 1);
      await put("candle", 2);
      const cart = await take(url, "DELETE /cart/items/kite", { token });
      assert.deepEqual(
        cart.items.map(({ productId, quantity }: { productId: string; quantity: number }) => [productId, quantity]),
        [
          ["chef-knife", 1],
          ["candle", 2],
        ],
      );
      assert.deepEqual(cart.total, { amount: 8900 + 2 * 1990, currency: "EUR" });
    },
  },
  {
    name: "cannot put in what is not sold, nor none, nor a hundred",
    async run({ url, token }) {
      const put = (id: string, quantity: number, status: number, reason: string) =>
        refuse(url, `PUT /cart/items/${id}`, { token, body: { quantity }, status, reason });
      await put("moon-dust", 1, 404, "PRODUCT_UNKNOWN");
      await put("candle", 0, 422, "VALIDATION_FAILED");
      await put("candle", 100, 422, "VALIDATION_FAILED");
    },
  },
  {
    name: "is alone in the cart",
    async run({ url, stranger }) {
      const { items } = await take(url, "GET /cart", { token: stranger });
      assert.deepEqual(items, []);
      const body = { card, shipTo };
      await refuse(url, "POST /orders", { token: stranger, body, status: 400, reason: "CART_EMPTY" });
    },
  },
  {
    name: "is declined without an order, and keeps the cart",
    async run({ url, token }) {
      const pay = (change: object, status: number, reason: string) =>
        refuse(url, "POST /orders", { token, body: { card: { ...card, ...change }, shipTo }, status, reason });
      await pay({ number: "4000 0000 0000 0002" }, 400, "CARD_DECLINED");
      await pay({ number: "4242 4242 4242 4241" }, 400, "CARD_INVALID");
      await pay({ expiryYear: 2020 }, 400, "CARD_EXPIRED");
      const body = { card, shipTo, currency: "XXX" };
      await refuse(url, "POST /orders", { token, body, status: 400, reason: "CURRENCY_UNKNOWN" });
      assert.deepEqual((await take(url, "GET /orders", { token })).orders, []);
      assert.equal((await take(url, "GET /cart", { token })).items.length, 2);
    },
  },
  {
    name: "pays in another currency, once, although the order is sent twice",
    async run(visit) {
      const { url, token } = visit;
      const options = { token, body: { card, shipTo, currency: "JPY" }, headers: { "idempotency-key": '"order-1"' } };
      const order = await take(url, "POST /orders", { ...options, status: 201 });
      assert.equal(order.status, "placed");
      assert.deepEqual(order.total, { amount: 20135, currency: "JPY" });
      assert.deepEqual(order.shipTo, shipTo);
      assert.deepEqual(await take(url, "POST /orders", { ...options, status: 201 }), order);
      const other = { ...options, body: { card, shipTo, currency: "USD" } };
      await refuse(url, "POST /orders", { ...other, status: 422, reason: "IDEMPOTENCY_KEY_REUSED" });
      visit.orderId = order.id;
    },
  },
  {
    name: "sees the order, and nobody else does",
    async run({ url, token, stranger, orderId }) {
      const order = await take(url, `GET /orders/${orderId}`, { token });
      assert.equal(order.id, orderId);
      assert.deepEqual((await take(url, "GET /orders", { token })).orders, [order]);
      await refuse(url, `GET /orders/${orderId}`, { token: stranger, status: 404, reason: "ORDER_UNKNOWN" });
      assert.deepEqual((await take(url, "GET /orders", { token: stranger })).orders, []);
      assert.equal((await ask(url, `GET /orders/${orderId}`)).status, 401);
    },
  },
  {
    name: "finds the cart empty",
    async run({ url, token }) {
      await until("an empty cart", async () => (await take(url, "GET /cart", { token })).items.length === 0);
    },
  },
  {
    name: "gets one mail, which tells what was bought, what was paid and where it goes",
    async run({ mailFolder, orderId }) {
      await until("the mail", async () => (await mailsAbout(orderId, mailFolder)).order.length > 0);
      const mails = await mailsAbout(orderId, mailFolder);
      assert.equal(mails.order.length, 1);
      const [mail = ""] = mails.order;
      const expected = ["Thank you, Ada", "Chef&#39;s knife 20 cm", "Beeswax candle", "39.80 EUR", "Paid: 20135 JPY"];
      for (const text of [...expected, "Ada &lt;Lovelace&gt;", "ada.lovelace@example.com"]) {
        assert.ok(mail.includes(text), `${text} is in the mail:\n${mail}`);
      }
    },
  },
  {
    name: "can follow the parcel, which a stranger cannot, and has one mail with its number",
    async run({ url, token, stranger, mailFolder, orderId }) {
      const route = `GET /orders/${orderId}/shipment`;
      const shipment = await until("the parcel", async () => {
        const { status, body } = await ask(url, route, { token });
        return status === 200 && body;
      });
      assert.equal(shipment.status, "shipped");
      await refuse(url, route, { token: stranger, status: 404, reason: "SHIPMENT_UNKNOWN" });
      await until("the mail", async () => (await mailsAbout(orderId, mailFolder)).shipping.length > 0);
      const { shipping } = await mailsAbout(orderId, mailFolder);
      assert.equal(shipping.length, 1);
      assert.ok(shipping[0]?.includes(shipment.trackingId));
    },
  },
  {
    name: "finds the stock smaller by what was bought",
    async run({ url }) {
      assert.deepEqual(await take(url, "GET /products/candle/stock"), {
        productId: "candle",
        available: 9998,
        level: "plenty",
      });
    },
  },
  {
    name: "writes about what was bought, and cannot about anything else",
    async run({ url, token, stranger }) {
      const body = { stars: 4, text: "Smells of honey." };
      const review = await until("the purchase to be known", async () => {
        const answer = await ask(url, "PUT /products/candle/review", { token, body });
        return answer.status === 200 && answer.body;
      });
      assert.equal(review.author, "Ada");
      const { rating, reviews } = await take(url, "GET /products/candle/reviews");
      assert.deepEqual([rating, reviews], [{ count: 1, average: 4 }, [review]]);
      const notBought = { body, status: 400, reason: "NOT_BOUGHT" };
      await refuse(url, "PUT /products/kite/review", { ...notBought, token });
      await refuse(url, "PUT /products/candle/review", { ...notBought, token: stranger });
    },
  },
  {
    name: "is shown what goes with what was bought",
    async run({ url }) {
      const ids = (answer: { products: { id: string }[] }) => answer.products.map((product) => product.id);
      await until("the order to be counted", async () => {
        return ids(await take(url, "GET /products/candle/also-bought")).includes("chef-knife");
      });
      assert.deepEqual(ids(await take(url, "GET /popular")).sort(), ["candle", "chef-knife"]);
    },
  },
];
