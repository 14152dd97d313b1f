import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { contract, database, isError, newId, service, type Transaction } from "plinth";
import shopApp from "../app.ts";
import { ask } from "../http.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { until } from "../waiting.fixture.ts";
import { inventory } from "./contract.ts";
import inventoryService, { expireReservations } from "./service.ts";

/** The shop's inventory, but for one method: looking at the stock also does what the shop does from time to time. */
const services = shopApp.services.map((each) => {
  if (each.kind !== "service" || each.contract.name !== "inventory") return each;
  const { getStock } = inventoryService.methods;
  const methods: typeof inventoryService.methods = {
    ...inventoryService.methods,
    async getStock(request, context) {
      await context.db.transaction((tx: Transaction) =>
        expireReservations(tx, (overdue) => context.events.publish(inventory.ReservationOverdue, overdue, { in: tx })),
      );
      return getStock?.(request, context);
    },
  };
  return { ...inventoryService, methods };
});

/** What inventory has announced, as "event orderId". */
const heard: string[] = [];
const hear = (event: string) => async (payload: { readonly orderId: string }) => {
  heard.push(`${event} ${payload.orderId}`);
};
const listener = service(contract("listener", { methods: {} }), {
  needs: { db: database() },
  methods: {},
  subscriptions: {
    reserved: { event: inventory.StockReserved, handle: hear("StockReserved") },
    released: { event: inventory.StockReleased, handle: hear("StockReleased") },
    overdue: { event: inventory.ReservationOverdue, handle: hear("ReservationOverdue") },
  },
});

describe("inventory", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop({ services: [...services, listener] });
  });
  after(() => shop.stop());
  beforeEach(async () => {
    await shop.run("delete from inventory.reservations");
    await shop.run("update inventory.stock set received = 10, available = 10, reserved = 0, sold = 0");
  });

  const client = () => shop.client(inventory);
  const reserve = (key: string, quantity = 1, productId = "kite") =>
    client().reserve({ key, items: [{ productId, quantity }] });
  const stockOf = async (productId = "kite") => {
    const [row] = await shop.run(
      `select available, reserved, sold from inventory.stock where product_id = '${productId}'`,
    );
    return [row?.available, row?.reserved, row?.sold];
  };
  const countOf = (event: string, orderId: string) => heard.filter((each) => each === `${event} ${orderId}`).length;
  const reason = (name: string) => (thrown: unknown) => isError(thrown, name);

  it("keeps things for a key once, however often and however much at once it is asked to", async () => {
    const key = newId();
    await Promise.all([reserve(key, 2), reserve(key, 2), reserve(key, 2)]);
    await reserve(key, 2);
    assert.deepEqual(await stockOf(), [8, 2, 0]);
  });

  it("counts one thing that is listed twice as often as it is listed", async () => {
    const items = [1, 2].map((quantity) => ({ productId: "kite", quantity }));
    await client().reserve({ key: newId(), items });
    assert.deepEqual(await stockOf(), [7, 3, 0]);
  });

  it("refuses a key that has reserved something else", async () => {
    const key = newId();
    await reserve(key, 2);
    await assert.rejects(reserve(key, 3), reason("RESERVATION_REUSED"));
    assert.deepEqual(await stockOf(), [8, 2, 0]);
  });

  it("never sells more than there is, however many ask at once", async () => {
    const answers = await Promise.allSettled(Array.from({ length: 30 }, () => reserve(newId())));
    const refused = answers.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    assert.equal(refused.length, 20);
    for (const thrown of refused) assert.ok(isError(thrown, "OUT_OF_STOCK"), `${thrown}`);
    assert.deepEqual(await stockOf(), [0, 10, 0]);
  });

  it("keeps all of an order or nothing, and says what is missing", async () => {
    const items = ["kite", "candle", "moon-dust"].map((productId) => ({ productId, quantity: 1 }));
    await assert.rejects(client().reserve({ key: newId(), items }), (thrown) => {
      return isError(thrown, "OUT_OF_STOCK") && thrown.message === "There is not enough of moon-dust.";
    });
    assert.deepEqual(
      [await stockOf("kite"), await stockOf("candle")],
      [
        [10, 0, 0],
        [10, 0, 0],
      ],
    );
  });

  it("does not wait crosswise when orders want the same things in another order", async () => {
    const ids = ["kite", "candle", "vase", "mirror"];
    const orders = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? ids : [...ids].reverse()));
    await Promise.all(
      orders.map((order) =>
        client().reserve({ key: newId(), items: order.map((productId) => ({ productId, quantity: 1 })) }),
      ),
    );
    for (const id of ids) assert.deepEqual(await stockOf(id), [0, 10, 0], id);
  });

  it("gives back once, and the key reserves no more", async () => {
    const key = newId();
    await reserve(key, 4);
    await Promise.all([client().release({ key }), client().release({ key })]);
    assert.deepEqual(await stockOf(), [10, 0, 0]);
    await assert.rejects(reserve(key, 4), reason("RESERVATION_VOID"));
    await shop.quiet();
    assert.equal(countOf("StockReserved", key), 1);
    assert.equal(countOf("StockReleased", key), 1);
  });

  it("refuses a reservation that comes after its release", async () => {
    const key = newId();
    await client().release({ key });
    await assert.rejects(reserve(key), reason("RESERVATION_VOID"));
    assert.deepEqual(await stockOf(), [10, 0, 0]);
    await shop.quiet();
    assert.equal(countOf("StockReleased", key), 0);
  });

  it("does not give back what is sold", async () => {
    const key = newId();
    await reserve(key);
    await shop.run(`update inventory.reservations set status = 'sold' where key = '${key}'`);
    await assert.rejects(client().release({ key }), reason("RESERVATION_SOLD"));
  });

  it("takes a delivery in once", async () => {
    const delivery = { productId: "kite", deliveryId: newId(), quantity: 5 };
    await Promise.all([client().receive(delivery), client().receive(delivery)]);
    assert.deepEqual(await client().receive(delivery), { productId: "kite", available: 15 });
    await assert.rejects(client().receive({ ...delivery, quantity: 6 }), reason("DELIVERY_REUSED"));
  });

  it("begins to have what it never had with its first delivery", async () => {
    await assert.rejects(client().getStock({ productId: "yo-yo" }), reason("STOCK_UNKNOWN"));
    await client().receive({ productId: "yo-yo", deliveryId: "first", quantity: 30 });
    assert.deepEqual(await client().getStock({ productId: "yo-yo" }), {
      productId: "yo-yo",
      available: 30,
      level: "plenty",
    });
  });

  it("lets nobody bring anything without the scope, and reserve anything from outside", async () => {
    const body = { quantity: 1 };
    assert.equal((await ask(shop.url, "PUT /products/kite/deliveries/d-2", { body })).status, 401);
    for (const path of ["/reservations", "/inventory/reserve"]) {
      assert.equal((await ask(shop.url, `POST ${path}`, { body: {} })).status, 404, path);
    }
  });

  it("asks what became of a reservation that is kept for too long, and has back what nobody ordered", async () => {
    const [forgotten, fresh] = [newId(), newId()];
    await reserve(forgotten, 3);
    await reserve(fresh, 2);
    await shop.run(
      `update inventory.reservations set expires_at = now() - interval '1 second' where key = '${forgotten}'`,
    );
    await client().getStock({ productId: "kite" });
    await until("the release", async () => (await stockOf())[0] === 8);
    assert.deepEqual(await stockOf(), [8, 2, 0]);
  });

  it("keeps what is overdue but sold, until it hears of the sale", async () => {
    const key = newId();
    await reserve(key);
    await shop.run(
      `insert into checkout.orders (id, account_id, status, items, total_amount, total_currency, ship_to, charge_id, placed_at)
       values ('${key}', 'ada', 'placed', '[]', 1, 'EUR', '{}', 'a charge', now())`,
    );
    await shop.run("update inventory.reservations set expires_at = now() - interval '1 second'");
    await client().getStock({ productId: "kite" });
    await shop.quiet();
    assert.equal(countOf("ReservationOverdue", key), 1);
    assert.deepEqual(await stockOf(), [9, 1, 0]);
    await client().getStock({ productId: "kite" });
    await shop.quiet();
    assert.equal(countOf("ReservationOverdue", key), 1, "it is not asked about again at once");
  });
});
