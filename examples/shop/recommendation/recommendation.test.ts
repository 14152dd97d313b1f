import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cart } from "../cart/contract.ts";
import { catalog } from "../catalog/contract.ts";
import { checkout } from "../checkout/contract.ts";
import { accountsDouble, card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { recommendation } from "./contract.ts";

describe("recommendation", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop({ doubles: { checkout: { accounts: accountsDouble } } });
  });
  after(() => shop.stop());

  const buy = async (...ids: string[]) => {
    for (const productId of ids) await shop.client(cart).setItem({ productId, quantity: 1 });
    await shop.client(checkout).placeOrder({ card, shipTo });
    await shop.quiet();
  };
  const alsoBought = async (id: string, limit?: number) => {
    const { products } = await shop.client(recommendation).listAlsoBought({ id, ...(limit && { limit }) });
    return products.map((product) => product.id);
  };
  const popular = async () => (await shop.client(recommendation).listPopular({})).products.map((product) => product.id);

  it("knows nothing before anybody has bought anything", async () => {
    assert.deepEqual([await popular(), await alsoBought("candle")], [[], []]);
  });

  it("shows what was bought together, the most frequent first, and what is bought most", async () => {
    await buy("candle", "vase");
    await buy("candle", "kite");
    await buy("candle", "kite", "mirror");
    assert.deepEqual(await alsoBought("candle"), ["kite", "mirror", "vase"]);
    assert.deepEqual(await alsoBought("candle", 1), ["kite"]);
    assert.deepEqual(await alsoBought("vase"), ["candle"]);
    assert.deepEqual((await popular()).slice(0, 2), ["candle", "kite"]);
  });

  it("shows them with today's price, and not what is sold no more", async () => {
    await shop.run("update pricing.prices set base_cents = 100 where product_id = 'kite'");
    await shop.run("delete from pricing.prices where product_id = 'mirror'");
    // A limit that nobody has asked with: other answers are kept for a while.
    const { products } = await shop.client(recommendation).listAlsoBought({ id: "candle", limit: 9 });
    assert.deepEqual(
      products.map(({ id, price }) => [id, price.amount]),
      [
        ["kite", 100],
        ["vase", 4490],
      ],
    );
  });

  it("counts only the first twelve products of a large order", async () => {
    const { products } = await shop.client(catalog).listProducts({ category: "office" });
    await buy(...products.map((product) => product.id), "backpack");
    const [row] = await shop.run("select count(*)::int as count from recommendation.bought where order_count > 0");
    assert.equal(row?.count, 4 + 12);
  });
});
