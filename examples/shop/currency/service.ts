import { service } from "plinth";
import { amountMax } from "../money.ts";
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
      const converted = convert(amount, source, target);
      if (converted > amountMax) throw fail("AMOUNT_TOO_LARGE", `This is more ${to} than we count.`);
      return {
        money: { amount: Number(converted), currency: to },
        minorDigits: target.minorDigits,
        date: ratesDate,
      };
    },
  },
});
