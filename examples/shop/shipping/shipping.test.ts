import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isError, type Transaction } from "plinth";
import shopApp from "../app.ts";
import { cart } from "../cart/contract.ts";
import { checkout } from "../checkout/contract.ts";
import checkoutService from "../checkout/service.ts";
import { ask } from "../http.fixture.ts";
import { mailsAbout } from "../mail.fixture.ts";
import { accountsDouble, card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { shipping } from "./contract.ts";
import { freeFromCents, sendingCost } from "./tariff.ts";

describe("the cost of sending", () => {
  it("grows with each kilogram that is begun, and with the way", () => {
    const cost = (country: string, grams: number) => sendingCost(country, grams).price.amount;
    assert.deepEqual([cost("DE", 1), cost("DE", 1000), cost("DE", 1001)], [440, 440, 490]);
    assert.ok(cost("DE", 500) < cost("GB", 500) && cost("GB", 500) < cost("US", 500));
    assert.equal(cost("DE", 0), cost("DE", 1), "an empty parcel is a parcel");
  });

  it("is nothing for what is worth enough", () => {
    assert.equal(sendingCost("US", 5000, freeFromCents).price.amount, 0);
    assert.ok(sendingCost("US", 5000, freeFromCents - 1).price.amount > 0);
  });
});

/** The shop, whose checkout announces an order a second time, as a new event, when it is asked for those after it. */
const services = shopApp.services.map((each) => {
  if (each.kind !== "service" || each.contract.name !== "checkout") return each;
  const methods: typeof checkoutService.methods = {
    ...checkoutService.methods,
    async listOrders({ after: orderId }, { db, events }) {
      await db.transaction((tx: Transaction) => {
        const placed = { orderId, accountId: "ada", recipient: { name: "Ada", email: "ada@example.com" }, items: [] };
        const nothing = { amount: 0, currency: "EUR" };
        const rest = {
          delivery: nothing,
          total: nothing,
          minorDigits: 2,
          shipTo,
          placedAt: "2026-03-01T12:00:00.000Z",
        };
        return events.publish(checkout.OrderPlaced, { ...placed, ...rest }, { in: tx });
      });
      return { orders: [] };
    },
  };
  return { ...checkoutService, methods };
});

describe("shipping", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop({ services, doubles: { checkout: { accounts: accountsDouble } } });
  });
  after(() => shop.stop());

  const buy = async () => {
    await shop.client(cart).setItem({ productId: "candle", quantity: 1 });
    const { id } = await shop.client(checkout).placeOrder({ card, shipTo });
    await shop.quiet();
    return id;
  };
  const unknown = (thrown: unknown) => isError(thrown, "SHIPMENT_UNKNOWN");

  it("sends a placed order once, under one tracking id, also when it hears of it twice", async () => {
    const orderId = await buy();
    const shipment = await shop.client(shipping).getShipment({ orderId });
    assert.equal(shipment.status, "shipped");
    await shop.client(checkout).listOrders({ after: orderId });
    await shop.quiet();
    assert.deepEqual(await shop.client(shipping).getShipment({ orderId }), shipment);
    assert.equal((await mailsAbout(orderId, shop.mailFolder)).shipping.length, 1);
  });

  it("knows nothing of an order that was not placed", async () => {
    await assert.rejects(shop.client(shipping).getShipment({ orderId: "none" }), unknown);
  });

  it("learns that a parcel has arrived, once", async () => {
    const { trackingId } = await shop.client(shipping).getShipment({ orderId: await buy() });
    for (let i = 0; i < 2; i++) {
      assert.equal((await shop.client(shipping).markDelivered({ trackingId })).status, "delivered");
    }
    await assert.rejects(shop.client(shipping).markDelivered({ trackingId: "none" }), unknown);
    assert.equal((await ask(shop.url, `PUT /shipments/${trackingId}/delivery`, { body: {} })).status, 401);
  });
});
