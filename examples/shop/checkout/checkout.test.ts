import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { isError } from "plinth";
import { cart } from "../cart/contract.ts";
import { ask } from "../http.fixture.ts";
import { mailsAbout } from "../mail.fixture.ts";
import { accountsDouble, card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { checkout } from "./contract.ts";

describe("checkout", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop({ doubles: { checkout: { accounts: accountsDouble } } });
  });
  after(() => shop.stop());
  beforeEach(async () => {
    // Else an order of the test before could still take its things out of the cart.
    await shop.quiet();
    await shop.client(cart).setItem({ productId: "candle", quantity: 1 });
  });

  const buy = (request: object = {}, idempotencyKey?: string) =>
    shop
      .client(checkout)
      .placeOrder({ card, shipTo, ...request }, idempotencyKey === undefined ? undefined : { idempotencyKey });
  const goodsAndDelivery = { amount: 1990 + 990, currency: "EUR" };
  const ordersInTable = async () => (await shop.run("select id, status from checkout.orders")).length;
  const chargesInTable = async () => (await shop.run("select key from payment.charges")).length;
  const reason = (name: string) => (thrown: unknown) => isError(thrown, name);

  it("places an order at the prices that the cart shows, paid for under the order's own id", async () => {
    const shown = await shop.client(cart).getCart({});
    const order = await buy();
    assert.deepEqual([order.status, order.items], ["placed", shown.items]);
    assert.deepEqual([shown.total.amount, order.delivery.amount, order.total], [1990, 990, goodsAndDelivery]);
    const charges = await shop.run(
      `select amount, currency, refunded_at from payment.charges where key = '${order.id}'`,
    );
    assert.deepEqual(charges, [{ ...goodsAndDelivery, refunded_at: null }]);
  });

  it("keeps an order as it was bought, whatever prices do later", async () => {
    const order = await buy();
    await shop.run("update pricing.prices set base_cents = base_cents + 100 where product_id = 'candle'");
    assert.deepEqual(await shop.client(checkout).getOrder({ id: order.id }), order);
    await shop.run("update pricing.prices set base_cents = base_cents - 100 where product_id = 'candle'");
  });

  it("leaves no order, no charge and a full cart behind when the card is no good", async () => {
    const before = [await ordersInTable(), await chargesInTable()];
    const bad: [change: object, expected: string][] = [
      [{ number: "4000000000009995" }, "CARD_DECLINED"],
      [{ number: "4242424242424241" }, "CARD_INVALID"],
      [{ expiryYear: 2020 }, "CARD_EXPIRED"],
    ];
    for (const [change, expected] of bad) {
      await assert.rejects(buy({ card: { ...card, ...change } }), reason(expected));
    }
    assert.deepEqual([await ordersInTable(), await chargesInTable()], before);
    assert.equal((await shop.client(cart).getCart({})).items.length, 1);
  });

  it("begins nothing with an empty cart, nor in a currency that it does not take", async () => {
    const before = await ordersInTable();
    await assert.rejects(buy({ currency: "XTS" }), reason("CURRENCY_UNKNOWN"));
    await shop.client(cart).emptyCart();
    await assert.rejects(buy(), reason("CART_EMPTY"));
    assert.equal(await ordersInTable(), before);
  });

  it("buys once what is sent twice under one key, and answers the same", async () => {
    const first = await buy({}, "twice");
    await shop.quiet();
    assert.deepEqual((await shop.client(cart).getCart({})).items, []);
    assert.deepEqual(await buy({}, "twice"), first);
  });

  it("buys once what is sent twice under one key at the same time", async () => {
    const before = await chargesInTable();
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => buy({}, "at once")));
    const placed = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value.id] : []));
    assert.ok(placed.length >= 1);
    assert.equal(new Set(placed).size, 1);
    for (const answer of answers) {
      if (answer.status === "rejected")
        assert.ok(isError(answer.reason, "IDEMPOTENCY_IN_PROGRESS"), `${answer.reason}`);
    }
    assert.equal(await chargesInTable(), before + 1);
  });

  it("remembers a declined card under its key, and refuses the key to another card", async () => {
    const declined = { card: { ...card, number: "4000000000000002" } };
    const before = [await ordersInTable(), await chargesInTable()];
    for (let i = 0; i < 2; i++) await assert.rejects(buy(declined, "declined"), reason("CARD_DECLINED"));
    await assert.rejects(buy({}, "declined"), reason("IDEMPOTENCY_KEY_REUSED"));
    assert.deepEqual([await ordersInTable(), await chargesInTable()], before);
    assert.equal((await buy({}, "a new one")).status, "placed");
  });

  it("lists orders newest first, page by page", async () => {
    const { orders: all } = await shop.client(checkout).listOrders({});
    assert.ok(all.length >= 4);
    assert.deepEqual(
      all
        .map((order) => order.createdAt)
        .sort()
        .reverse(),
      all.map((order) => order.createdAt),
    );
    const { orders: first } = await shop.client(checkout).listOrders({ limit: 2 });
    const { orders: rest } = await shop.client(checkout).listOrders({ limit: 100, after: first.at(-1)?.id ?? "" });
    assert.deepEqual([...first, ...rest], all);
  });

  it("refuses an address that would break a mail", async () => {
    await assert.rejects(buy({ shipTo: { ...shipTo, city: "London\nBcc: everybody" } }), reason("VALIDATION_FAILED"));
    await assert.rejects(buy({ shipTo: { ...shipTo, country: "gb" } }), reason("VALIDATION_FAILED"));
  });

  it("is closed to whoever is not signed in", async () => {
    for (const route of ["POST /orders", "GET /orders", "GET /orders/x"]) {
      assert.equal((await ask(shop.url, route, route.startsWith("POST") ? { body: {} } : {})).status, 401, route);
    }
  });

  it("sends one mail that an order is placed, and one that it is on its way", async () => {
    const { id } = await buy();
    await shop.quiet();
    const { order, shipping } = await mailsAbout(id, shop.mailFolder);
    assert.deepEqual([order.length, shipping.length], [1, 1]);
  });

  it("sends much free, and says what the sending of little costs", async () => {
    assert.deepEqual((await buy()).delivery, { amount: 990, currency: "EUR" });
    await shop.quiet();
    await shop.client(cart).setItem({ productId: "chef-knife", quantity: 1 });
    const { delivery, total } = await buy();
    assert.deepEqual([delivery.amount, total.amount], [0, 8900]);
  });

  it("sells what it has kept for the order", async () => {
    const stock = async () => (await shop.run("select * from inventory.stock where product_id = 'candle'"))[0];
    const before = await stock();
    await buy();
    await shop.quiet();
    const after = await stock();
    assert.deepEqual(
      [after?.available, after?.reserved, after?.sold],
      [Number(before?.available) - 1, 0, Number(before?.sold) + 1],
    );
  });

  it("neither charges nor keeps anything when one thing is sold out, which a new key gets past later", async () => {
    const before = [await ordersInTable(), await chargesInTable()];
    await shop.client(cart).setItem({ productId: "kite", quantity: 3 });
    const set = (available: number) =>
      shop.run(`update inventory.stock set available = ${available}, received = ${available} + reserved + sold
        where product_id = 'kite'`);
    await set(2);
    await assert.rejects(buy({}, "sold out"), (thrown) => {
      return isError(thrown, "OUT_OF_STOCK") && thrown.code === "failed_precondition" && /kite/.test(thrown.message);
    });
    assert.deepEqual([await ordersInTable(), await chargesInTable()], before);
    const kept = await shop.run("select key from inventory.reservations where status = 'reserved'");
    assert.deepEqual(kept, [], "not even of what there was enough of");
    await set(3);
    await assert.rejects(buy({}, "sold out"), reason("OUT_OF_STOCK"));
    assert.equal((await buy({}, "there again")).status, "placed");
    await set(10_000);
  });
});
