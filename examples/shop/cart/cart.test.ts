import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { isError, type Transaction } from "plinth";
import shopApp from "../app.ts";
import { catalog } from "../catalog/contract.ts";
import { checkout } from "../checkout/contract.ts";
import { accountsDouble, card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { until } from "../waiting.fixture.ts";
import { cart } from "./contract.ts";
import cartService, { sweepOldCarts } from "./service.ts";

/** The shop's cart, but that looking into it also sweeps old ones, when a test wants it to. */
let sweep = false;
const services = shopApp.services.map((each) => {
  if (each.kind !== "service" || each.contract.name !== "cart") return each;
  const { getCart } = cartService.methods;
  const methods: typeof cartService.methods = {
    ...cartService.methods,
    async getCart(request, context) {
      if (sweep) await context.db.transaction((tx: Transaction) => sweepOldCarts(tx, { days: 90 }));
      return getCart?.(request, context);
    },
  };
  return { ...cartService, methods };
});

describe("a cart", () => {
  let shop: TestShop;
  let whilePaying = async () => {};
  before(async () => {
    const payment = {
      async charge() {
        await whilePaying();
        return { chargeId: "a charge", last4: "4242" };
      },
    };
    shop = await startShop({ services, doubles: { checkout: { accounts: accountsDouble, payment } } });
  });
  after(() => shop.stop());
  beforeEach(() => shop.client(cart).emptyCart());

  const set = (productId: string, quantity: number) => shop.client(cart).setItem({ productId, quantity });
  const contents = async () =>
    (await shop.client(cart).getCart({})).items.map(({ productId, quantity }) => [productId, quantity]);

  it("is empty at first and costs nothing", async () => {
    assert.deepEqual(await shop.client(cart).getCart({}), { items: [], total: { amount: 0, currency: "EUR" } });
  });

  it("keeps the order in which things came in, and the last quantity of each", async () => {
    await set("kite", 1);
    await set("candle", 3);
    await set("kite", 2);
    assert.deepEqual(await contents(), [
      ["kite", 2],
      ["candle", 3],
    ]);
  });

  it("adds up today's prices, and leaves out what is not sold any more", async () => {
    await set("kite", 2);
    await set("candle", 1);
    await shop.run("update pricing.prices set base_cents = 3000 where product_id = 'kite'");
    await shop.run("insert into cart.items (account_id, product_id, quantity) values ('shop', 'sold-out', 1)");
    const { items, total } = await shop.client(cart).getCart({});
    assert.deepEqual(
      items.map(({ productId, unitPrice, price }) => [productId, unitPrice.amount, price.amount]),
      [
        ["kite", 3000, 6000],
        ["candle", 1990, 1990],
      ],
    );
    assert.deepEqual(total, { amount: 7990, currency: "EUR" });
  });

  it("loses one thing, and does not mind losing it twice", async () => {
    await set("kite", 1);
    await set("candle", 1);
    for (let i = 0; i < 2; i++) {
      const { items } = await shop.client(cart).removeItem({ productId: "kite" });
      assert.deepEqual(
        items.map((item) => item.productId),
        ["candle"],
      );
    }
  });

  it("holds fifty different products, and then changes those only", async () => {
    const { products } = await shop.client(catalog).listProducts({ limit: 51 });
    const ids = products.map((product) => product.id);
    for (const id of ids.slice(0, 50)) await set(id, 1);
    const [first = "", last = ""] = [ids[0], ids[50]];
    await assert.rejects(set(last, 1), (thrown) => isError(thrown, "CART_FULL"));
    assert.equal((await set(first, 9)).items[0]?.quantity, 9);
  });

  it("does not take what the catalog does not know", async () => {
    await assert.rejects(set("moon-dust", 1), (thrown) => isError(thrown, "PRODUCT_UNKNOWN"));
  });

  it("tells its total in another currency, if asked to", async () => {
    await set("chef-knife", 1);
    const { total, converted } = await shop.client(cart).getCart({ currency: "JPY" });
    assert.deepEqual([total.amount, converted], [8900, { amount: 13913, currency: "JPY" }]);
    await assert.rejects(shop.client(cart).getCart({ currency: "XXX" }), (thrown) =>
      isError(thrown, "CURRENCY_UNKNOWN"),
    );
  });

  it("costs less for each from five of a thing on", async () => {
    await set("candle", 5);
    const [item] = (await shop.client(cart).getCart({})).items;
    assert.deepEqual([item?.unitPrice.amount, item?.price.amount], [1891, 9455]);
  });

  it("is emptied when nothing came into it for a long time, and not while something did", async () => {
    const [young, old] = ["now()", "now() - interval '91 days'"];
    await shop.run(
      `insert into cart.items (account_id, product_id, quantity, added_at) values
        ('gone', 'kite', 1, ${old}), ('gone', 'vase', 1, ${old}), ('here', 'kite', 1, ${old}), ('here', 'vase', 1, ${young})`,
    );
    sweep = true;
    await contents();
    sweep = false;
    const left = await shop.run("select account_id, product_id from cart.items order by product_id");
    assert.deepEqual(left, [
      { account_id: "here", product_id: "kite" },
      { account_id: "here", product_id: "vase" },
    ]);
    await shop.run("delete from cart.items");
  });

  it("loses what was bought, and keeps what came in while it was being paid for", async () => {
    await set("kite", 1);
    await set("candle", 2);
    whilePaying = async () => {
      await set("candle", 5);
      await set("vase", 1);
    };
    await shop.client(checkout).placeOrder({ card, shipTo });
    await until("the kite to leave", async () => (await contents()).length === 2);
    assert.deepEqual(await contents(), [
      ["candle", 3],
      ["vase", 1],
    ]);
  });
});
