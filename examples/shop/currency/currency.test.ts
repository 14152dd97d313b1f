import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { app, isError } from "plinth";
import { startTestApp, type TestApp } from "plinth/testing";
import { amountMax } from "../money.ts";
import { currency } from "./contract.ts";
import { convert, findRate, type Rate, rates, ratesDate } from "./rates.ts";
import currencyService from "./service.ts";

const rate = (text: string, minorDigits = 2): Rate => ({ currency: "XXX", rate: text, minorDigits });
const rateOf = (code: string): Rate => findRate(code) ?? assert.fail(code);

describe("a conversion", () => {
  it("rounds half to even, once, at the end", () => {
    const halves: [amount: number, expected: bigint][] = [
      [1, 0n],
      [3, 2n],
      [5, 2n],
      [7, 4n],
      [9, 4n],
    ];
    for (const [amount, expected] of halves)
      assert.equal(convert(amount, rate("1"), rate("0.5")), expected, `${amount}`);
    assert.equal(convert(5, rate("1"), rate("0.500001")), 3n, "more than half goes up");
    assert.equal(convert(7, rate("1"), rate("0.499999")), 3n, "less than half goes down");
  });

  it("counts in the minor unit of each currency", () => {
    assert.equal(convert(100, rateOf("EUR"), rateOf("JPY")), 156n);
    assert.equal(convert(15_633, rateOf("JPY"), rateOf("EUR")), 10_000n);
    assert.equal(convert(100, rateOf("EUR"), rateOf("USD")), 110n, "110.5 goes to the even one");
  });

  it("changes nothing into the same currency, and is exact where a double is not", () => {
    for (const each of rates) assert.equal(convert(123_456_789, each, each), 123_456_789n, each.currency);
    assert.equal(convert(amountMax, rate("1"), rate("1.000001")), 9_000_009_000_000n);
    assert.equal(convert(9_007_199_254_740_991, rate("3"), rate("3")), 9_007_199_254_740_991n);
  });

  it("comes back within a minor unit of where it began", () => {
    for (const each of rates) {
      for (const amount of [1, 99, 1999, 88_888_888]) {
        const there = convert(amount, rateOf("EUR"), each);
        const back = Number(convert(Number(there), each, rateOf("EUR")));
        // Half of the other currency's minor unit is the most that is lost on the way there.
        const lost = (0.5 * 10 ** (2 - each.minorDigits)) / Number(each.rate) + 0.5;
        assert.ok(Math.abs(back - amount) <= lost, `${amount} EUR to ${each.currency} and back is ${back}`);
      }
    }
  });
});

describe("the table of rates", () => {
  it("has each currency once, with a rate of at most six decimals and the digits of ISO 4217", () => {
    assert.ok(rates.length >= 30);
    assert.equal(new Set(rates.map((each) => each.currency)).size, rates.length);
    for (const each of rates) {
      assert.match(each.rate, /^\d+(\.\d{1,6})?$/, each.currency);
      assert.ok(Number(each.rate) > 0);
      const { maximumFractionDigits } = new Intl.NumberFormat("en", {
        style: "currency",
        currency: each.currency,
      }).resolvedOptions();
      // CLDR writes two currencies without the decimals that ISO 4217 gives them.
      if (!["HUF", "IDR"].includes(each.currency)) assert.equal(each.minorDigits, maximumFractionDigits, each.currency);
    }
  });
});

describe("the currency service", () => {
  let running: TestApp;
  before(async () => {
    running = await startTestApp(app({ name: "currency", services: [currencyService] }));
  });
  after(() => running.stop());

  it("names the day and the source of its rates", async () => {
    const table = await running.client(currency).listRates();
    assert.equal(table.date, ratesDate);
    assert.match(table.source, /European Central Bank/);
    assert.deepEqual(table.rates[0], { currency: "EUR", rate: 1, minorDigits: 2 });
  });

  it("refuses a currency without a rate on either side", async () => {
    for (const [from, to] of [
      ["XXX", "EUR"],
      ["EUR", "XXX"],
    ] as const) {
      await assert.rejects(
        running.client(currency).convert({ amount: 1, from, to }),
        (thrown) => isError(thrown, "CURRENCY_UNKNOWN") && /XXX/.test(thrown.message),
      );
    }
  });

  it("refuses what would be more than an amount may be", async () => {
    await assert.rejects(
      running.client(currency).convert({ amount: amountMax, from: "EUR", to: "IDR" }),
      (thrown) => isError(thrown, "AMOUNT_TOO_LARGE") && thrown.code === "out_of_range",
    );
  });
});
