import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { format, sum } from "./money.ts";

describe("money", () => {
  it("is written for people with as many decimals as its currency has", () => {
    assert.equal(format({ amount: 1999, currency: "EUR" }, 2), "19.99 EUR");
    assert.equal(format({ amount: 5, currency: "EUR" }, 2), "0.05 EUR");
    assert.equal(format({ amount: 0, currency: "EUR" }, 2), "0.00 EUR");
    assert.equal(format({ amount: 500, currency: "JPY" }, 0), "500 JPY");
  });

  it("is added up within one currency, and refuses another", () => {
    const [one, two] = [
      { amount: 1, currency: "EUR" },
      { amount: 2, currency: "EUR" },
    ];
    assert.deepEqual(sum([one, two], "EUR"), { amount: 3, currency: "EUR" });
    assert.deepEqual(sum([], "EUR"), { amount: 0, currency: "EUR" });
    assert.throws(() => sum([one, { amount: 1, currency: "USD" }], "EUR"), /cannot add USD to EUR/);
  });
});
