import { service } from "plinth";
import { currency } from "./contract.ts";
import { convert, findRate, rates, ratesDate, ratesSource } from "./rates.ts";

export default service(currency, {
  methods: {
    async listRates() {
      return {
        base: "EUR",
        date: ratesDate,
        source: ratesSource,
        rates: rates.map(({ currency, rate, minorDigits }) => ({ currency, rate: Number(rate), minorDigits })),
      };
    },

    async convert({ amount, from, to }, { fail }) {
      const [source, target] = [findRate(from), findRate(to)];
      if (!source) throw fail("CURRENCY_UNKNOWN", `There is no rate for "${from}".`);
      if (!target) throw fail("CURRENCY_UNKNOWN", `There is no rate for "${to}".`);
      return {
        money: { amount: convert(amount, source, target), currency: to },
        minorDigits: target.minorDigits,
        date: ratesDate,
      };
    },
  },
});
