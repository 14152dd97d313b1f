import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { isError, PlinthError } from "plinth";
import { cart } from "../cart/contract.ts";
import { inventory } from "../inventory/contract.ts";
import { payment } from "../payment/contract.ts";
import { accountsDouble, card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { until } from "../waiting.fixture.ts";
import { checkout } from "./contract.ts";

type Charge = { key: string; amount: { amount: number; currency: string }; card: typeof card };

type Reserve = { key: string; items: { productId: string; quantity: number }[] };

/** A candle, and its way to Great Britain. */
const paid = 1990 + 990;

/**
 * What becomes of money and stock when something breaks between the first statement and the last. Checkout's ways to
 * payment and inventory are doubles here that break in the way that a test asks for; behind them are the real ones.
 */
describe("an order that breaks off", () => {
  let shop: TestShop;
  const real = {
    charge: (request: Charge) => shop.client(payment).charge(request),
    refund: (request: { key: string }) => shop.client(payment).refund(request),
    reserve: (request: Reserve) => shop.client(inventory).reserve(request),
    release: (request: { key: string }) => shop.client(inventory).release(request),
  };
  let broken: Partial<typeof real> = {};
  const paymentDouble = {
    charge: (request: Charge) => (broken.charge ?? real.charge)(request),
    refund: (request: { key: string }) => (broken.refund ?? real.refund)(request),
  };
  const inventoryDouble = {
    reserve: (request: Reserve) => (broken.reserve ?? real.reserve)(request),
    release: (request: { key: string }) => (broken.release ?? real.release)(request),
  };

  before(async () => {
    const doubles = { accounts: accountsDouble, payment: paymentDouble, inventory: inventoryDouble };
    shop = await startShop({ doubles: { checkout: doubles } });
  });
  after(() => shop.stop());
  beforeEach(async () => {
    broken = {};
    await shop.quiet();
    await shop.run("delete from checkout.orders");
    await shop.run("delete from payment.charges");
    await shop.client(cart).setItem({ productId: "candle", quantity: 1 });
  });

  const buy = (idempotencyKey?: string) =>
    shop.client(checkout).placeOrder({ card, shipTo }, idempotencyKey === undefined ? undefined : { idempotencyKey });
  const orders = async () => (await shop.run("select status from checkout.orders")).map(({ status }) => status);
  const charges = async () =>
    (await shop.run("select amount, refunded_at is not null as refunded from payment.charges")).map(
      ({ amount, refunded }) => ({ amount, refunded }),
    );
  /** How many candles are kept for orders, and how many are sold. */
  const candles = async () => {
    const [row] = await shop.run("select reserved, sold from inventory.stock where product_id = 'candle'");
    return { reserved: Number(row?.reserved), sold: Number(row?.sold) };
  };
  const cleanUpOf = (orderId: string) =>
    shop.run(
      `select ready_at > now() as parked from plinth_broker.deliveries
        where subscription = 'checkout.cleanUpAfterCrash' and key = '${orderId}'`,
    );
  const timeOut = () => {
    throw new PlinthError("deadline_exceeded", "The bank did not answer in time.", { executed: "maybe" });
  };

  it("after the charge, because it cannot be placed, has its money back and counts as failed", async () => {
    await shop.run("alter table checkout.orders add constraint broken check (status <> 'placed') not valid");
    try {
      await assert.rejects(buy(), (thrown) => isError(thrown, "internal"));
    } finally {
      await shop.run("alter table checkout.orders drop constraint broken");
    }
    assert.deepEqual(await charges(), [{ amount: paid, refunded: true }]);
    const { orders: seen } = await shop.client(checkout).listOrders({});
    assert.deepEqual(
      seen.map((order) => order.status),
      ["failed"],
    );
    assert.equal((await shop.client(cart).getCart({})).items.length, 1, "the cart is as it was");
    assert.equal((await candles()).reserved, 0);
  });

  it("because the answer of the charge was lost, has its money back", async () => {
    broken.charge = async (request) => {
      await real.charge(request);
      return timeOut();
    };
    await assert.rejects(buy(), (thrown) => isError(thrown, "deadline_exceeded"));
    assert.deepEqual(await charges(), [{ amount: paid, refunded: true }]);
    assert.deepEqual(await orders(), ["failed"]);
  });

  it("before the charge arrives, is not charged when it arrives late", async () => {
    let late: Charge | undefined;
    broken.charge = async (request) => {
      late = request;
      return timeOut();
    };
    await assert.rejects(buy(), (thrown) => isError(thrown, "deadline_exceeded"));
    assert.deepEqual(await charges(), [{ amount: null, refunded: true }]);
    await assert.rejects(real.charge(late ?? assert.fail("nothing was charged")), (thrown) =>
      isError(thrown, "CHARGE_KEY_VOID"),
    );
    assert.deepEqual(await charges(), [{ amount: null, refunded: true }]);
  });

  it("tells whoever sends it again under its key that it failed", async () => {
    broken.charge = async () => timeOut();
    await assert.rejects(buy("again"), (thrown) => isError(thrown, "deadline_exceeded"));
    broken = {};
    await assert.rejects(buy("again"), (thrown) => isError(thrown, "ORDER_FAILED") && thrown.code === "aborted");
    assert.equal((await buy("another")).status, "placed");
  });

  it("and cannot be given back at once, is given back by the event that it left behind", async () => {
    broken.charge = async (request) => {
      await real.charge(request);
      return timeOut();
    };
    broken.refund = async () => timeOut();
    await assert.rejects(buy(), (thrown) => isError(thrown, "deadline_exceeded"));
    assert.deepEqual(await charges(), [{ amount: paid, refunded: false }]);
    assert.deepEqual(await orders(), ["failing"]);
    broken = {};
    await shop.passSeconds(60);
    await until("the refund", async () => (await charges())[0]?.refunded === true);
    await until("the order's end", async () => (await orders())[0] === "failed");
  });

  it("because the answer of the reservation was lost, keeps nothing and charges nothing", async () => {
    broken.reserve = async (request) => {
      await real.reserve(request);
      return timeOut();
    };
    const { sold } = await candles();
    await assert.rejects(buy(), (thrown) => isError(thrown, "deadline_exceeded"));
    assert.deepEqual(await charges(), [{ amount: null, refunded: true }]);
    assert.deepEqual(await candles(), { reserved: 0, sold });
    assert.deepEqual(await orders(), ["failed"]);
  });

  it("before the reservation arrives, keeps nothing when it arrives late", async () => {
    let late: Reserve | undefined;
    broken.reserve = async (request) => {
      late = request;
      return timeOut();
    };
    await assert.rejects(buy(), (thrown) => isError(thrown, "deadline_exceeded"));
    await assert.rejects(real.reserve(late ?? assert.fail("nothing was reserved")), (thrown) =>
      isError(thrown, "RESERVATION_VOID"),
    );
    assert.equal((await candles()).reserved, 0);
  });

  it("because the card is declined, gives the stock back", async () => {
    const declined = { ...card, number: "4000 0000 0000 0002" };
    await assert.rejects(shop.client(checkout).placeOrder({ card: declined, shipTo }), (thrown) =>
      isError(thrown, "CARD_DECLINED"),
    );
    assert.equal((await candles()).reserved, 0);
    assert.deepEqual(await orders(), []);
  });

  it("and whose stock cannot be given back at once, has it given back by the event that it left behind", async () => {
    broken.release = async () => timeOut();
    const declined = { ...card, number: "4000 0000 0000 0002" };
    await assert.rejects(shop.client(checkout).placeOrder({ card: declined, shipTo }), (thrown) =>
      isError(thrown, "CARD_DECLINED"),
    );
    assert.deepEqual([(await candles()).reserved, await orders()], [1, ["pending"]]);
    broken = {};
    await shop.passSeconds(60);
    await until("the order's end", async () => (await orders())[0] === "failed");
    assert.equal((await candles()).reserved, 0);
  });

  it("is left alone by the clean-up while it may still be paid for", async () => {
    broken.charge = async (request) => {
      await until("the clean-up to look and to come back later", async () => {
        const [cleanUp] = await cleanUpOf(request.key);
        return cleanUp?.parked === true;
      });
      assert.deepEqual(await orders(), ["pending"]);
      return real.charge(request);
    };
    assert.equal((await buy()).status, "placed");
    assert.deepEqual(await charges(), [{ amount: paid, refunded: false }]);
  });

  it("by taking too long to be paid for, is given up, and neither charged nor placed afterwards", async () => {
    broken.charge = async (request) => {
      await shop.passSeconds(60);
      await until("the clean-up", async () => (await orders())[0] === "failed");
      return real.charge(request);
    };
    await assert.rejects(buy(), (thrown) => isError(thrown, "ORDER_FAILED"));
    assert.deepEqual(await orders(), ["failed"]);
    assert.deepEqual(await charges(), [{ amount: null, refunded: true }]);
  });

  it("is not touched by the clean-up once it is placed", async () => {
    const { id } = await buy();
    await shop.quiet();
    await shop.passSeconds(60);
    await until("the clean-up to be over", async () => (await cleanUpOf(id)).length === 0);
    assert.deepEqual(await orders(), ["placed"]);
    assert.deepEqual(await charges(), [{ amount: paid, refunded: false }]);
  });
});
