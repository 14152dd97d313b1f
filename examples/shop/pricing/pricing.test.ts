import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { app, isError } from "plinth";
import { startTestApp, type TestApp } from "plinth/testing";
import currencyService from "../currency/service.ts";
import { ask } from "../http.fixture.ts";
import { pricing } from "./contract.ts";
import { type PriceRow, quoteOf, taxIn, unitCents } from "./rules.ts";
import pricingService from "./service.ts";

const row = (base_cents: number, change: Partial<PriceRow> = {}): PriceRow => {
  return { product_id: "thing", base_cents, discount_percent: 0, tax_percent: 19, ...change };
};

describe("a price", () => {
  it("is the base price for one, less 5 % each from five on, less 10 % from twenty on", () => {
    const prices = [1, 4, 5, 19, 20, 99].map((quantity) => unitCents(row(1000), quantity));
    assert.deepEqual(prices, [1000, 1000, 950, 950, 900, 900]);
  });

  it("takes the discount first, and rounds to the cent each time, half up", () => {
    assert.equal(unitCents(row(1990, { discount_percent: 15 }), 1), 1692, "1691.5");
    assert.equal(unitCents(row(1990, { discount_percent: 15 }), 5), 1607, "1692 less 5 % is 1607.4");
    assert.equal(unitCents(row(1, { discount_percent: 90 }), 99), 1, "nothing is given away");
  });

  it("is a whole number of cents, grows with the base, and never with the quantity", () => {
    for (let base = 1; base < 3000; base += 7) {
      for (const discount_percent of [0, 3, 50, 90]) {
        const prices = [1, 5, 20].map((quantity) => unitCents(row(base, { discount_percent }), quantity));
        const more = [1, 5, 20].map((quantity) => unitCents(row(base + 1, { discount_percent }), quantity));
        prices.forEach((price, i) => {
          assert.ok(Number.isInteger(price) && price >= 1 && price <= base, `${base}`);
          assert.ok(price <= (more[i] ?? 0) && price <= (prices[i - 1] ?? price), `${base}`);
        });
      }
    }
  });

  it("holds its tax", () => {
    assert.equal(taxIn(11_900, 19), 1900);
    assert.equal(taxIn(1990, 19), 318, "317.7");
    assert.equal(taxIn(1990, 0), 0);
  });

  it("is asked for several things at once, whatever has none left out, in the order asked", () => {
    const items = [
      { productId: "b", quantity: 5 },
      { productId: "none", quantity: 1 },
      { productId: "a", quantity: 2 },
    ];
    const rows = [row(1000, { product_id: "a", tax_percent: 7 }), row(200, { product_id: "b" })];
    const quote = quoteOf(items, rows);
    assert.deepEqual(
      quote.lines.map(({ productId, unitPrice, price }) => [productId, unitPrice.amount, price.amount]),
      [
        ["b", 190, 950],
        ["a", 1000, 2000],
      ],
    );
    assert.deepEqual([quote.total.amount, quote.tax.amount], [2950, taxIn(950, 19) + taxIn(2000, 7)]);
    assert.deepEqual(quoteOf(items, [...rows].reverse()), quote);
  });
});

describe("pricing", () => {
  let running: TestApp;
  before(async () => {
    running = await startTestApp(app({ name: "pricing", services: [pricingService, currencyService] }));
  });
  after(() => running.stop());

  const items = [{ productId: "chef-knife", quantity: 1 }];

  it("tells the total in another currency too, where it is asked to", async () => {
    assert.equal((await running.client(pricing).quote({ items })).converted, undefined);
    const { total, converted } = await running.client(pricing).quote({ items, currency: "JPY" });
    assert.deepEqual([total.amount, converted], [8900, { amount: 13913, currency: "JPY" }]);
    await assert.rejects(running.client(pricing).quote({ items, currency: "XXX" }), (thrown) =>
      isError(thrown, "CURRENCY_UNKNOWN"),
    );
  });

  it("quotes nothing for nothing", async () => {
    const { lines, total } = await running.client(pricing).quote({ items: [] });
    assert.deepEqual([lines, total.amount], [[], 0]);
  });

  it("takes a new price at once, and shows what it is made of", async () => {
    const set = await running.client(pricing).setPrice({ productId: "kite", cents: 3000, discountPercent: 50 });
    assert.deepEqual(await running.client(pricing).getPrice({ productId: "kite" }), set);
    const quote = await running.client(pricing).quote({ items: [{ productId: "kite", quantity: 1 }] });
    assert.equal(quote.total.amount, 1500);
  });

  it("does not know a price that nobody set, and lets nobody set one without the scope", async () => {
    await assert.rejects(running.client(pricing).getPrice({ productId: "moon-dust" }), (thrown) =>
      isError(thrown, "PRICE_UNKNOWN"),
    );
    assert.equal((await ask(running.url, "PUT /prices/kite", { body: { cents: 1 } })).status, 401);
  });
});
