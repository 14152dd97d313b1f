import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isError } from "plinth";
import { ask, refuse, take } from "../http.fixture.ts";
import { card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { reviews } from "./contract.ts";

describe("reviews", () => {
  let shop: TestShop;
  const tokens: string[] = [];
  before(async () => {
    shop = await startShop();
    for (const name of ["Ada", "Charles", "Mary"]) {
      const body = { email: `${name}@example.com`, password: "a long password", name };
      const { token } = await take(shop.url, "POST /accounts", { status: 201, body });
      await take(shop.url, "PUT /cart/items/candle", { token, body: { quantity: 1 } });
      await take(shop.url, "POST /orders", { token, status: 201, body: { card, shipTo } });
      tokens.push(token);
    }
    await shop.quiet();
  });
  after(() => shop.stop());

  const write = (token: string | undefined, stars: number, text: string) =>
    take(shop.url, "PUT /products/candle/review", { token, body: { stars, text } });
  const list = (request: object = {}) => shop.client(reviews).listReviews({ productId: "candle", ...request });

  it("has none at first, and so no average", async () => {
    assert.deepEqual(await list(), { rating: { count: 0 }, reviews: [] });
  });

  it("takes them from who has bought it, and shows the name of whoever wrote", async () => {
    const review = await write(tokens[0], 5, "Honey.");
    assert.deepEqual([review.author, review.stars, review.text], ["Ada", 5, "Honey."]);
    const body = { stars: 1, text: "I never had one." };
    const route = "PUT /products/kite/review";
    await refuse(shop.url, route, { token: tokens[0], body, status: 400, reason: "NOT_BOUGHT" });
    assert.equal((await ask(shop.url, route, { body })).status, 401);
  });

  it("has one of each customer: the later takes the place of the earlier, and the rating follows", async () => {
    await write(tokens[1], 2, "Dripped.");
    assert.deepEqual((await list()).rating, { count: 2, average: 3.5 });
    await write(tokens[1], 4, "Better than I thought.");
    assert.deepEqual((await list()).rating, { count: 2, average: 4.5 });
  });

  it("keeps the rating right when many write at once", async () => {
    await Promise.all(tokens.flatMap((token) => [1, 2, 3].map((stars) => write(token, stars, "Now this."))));
    const { rating, reviews: all } = await list();
    assert.equal(all.length, 3);
    const sum = all.reduce((stars, review) => stars + review.stars, 0);
    assert.deepEqual(rating, { count: 3, average: Math.round((10 * sum) / 3) / 10 });
  });

  it("shows the newest first, page by page", async () => {
    const { reviews: all } = await list();
    const first = await list({ limit: 2 });
    const second = await list({ limit: 2, after: first.next });
    assert.deepEqual([...first.reviews, ...second.reviews], all);
    assert.equal(second.next, undefined);
    assert.deepEqual(
      [...all.map((review) => review.id)].sort().reverse(),
      all.map((review) => review.id),
    );
  });

  it("forgets what is taken away, and does not mind losing it twice", async () => {
    for (const token of [tokens[0], tokens[0], tokens[1], tokens[2]]) {
      assert.equal((await ask(shop.url, "DELETE /products/candle/review", { token })).status, 204);
    }
    assert.deepEqual(await list(), { rating: { count: 0 }, reviews: [] });
  });

  it("refuses more than five stars, none, and no words", async () => {
    for (const [stars, text] of [
      [6, "x"],
      [0, "x"],
      [3, ""],
    ] as const) {
      await assert.rejects(shop.client(reviews).writeReview({ productId: "candle", stars, text }), (thrown) =>
        isError(thrown, "VALIDATION_FAILED"),
      );
    }
  });
});
