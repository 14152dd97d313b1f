import { contract, method, t } from "plinth";
import { amountMax, Money } from "../money.ts";

const Code = t.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217 code." });

export const currency = contract("currency", {
  methods: {
    listRates: method({
      http: "GET /currencies",
      summary: "The reference rates of the euro, with their date and source",
      response: t.Object({
        base: Code,
        date: t.String({ format: "date" }),
        source: t.String(),
        rates: t.Array(t.Object({ currency: Code, rate: t.Number(), minorDigits: t.Integer() })),
      }),
      access: "public",
      cache: { ttl: "1h" },
    }),
    convert: method({
      http: "GET /currencies/convert",
      summary: "An amount in another currency, rounded half to even",
      request: t.Object({
        amount: t.Integer({ minimum: 0, maximum: amountMax, description: "In the minor unit of `from`." }),
        from: Code,
        to: Code,
      }),
      response: t.Object({ money: Money, minorDigits: t.Integer(), date: t.String({ format: "date" }) }),
      errors: { CURRENCY_UNKNOWN: "not_found", AMOUNT_TOO_LARGE: "out_of_range" },
      access: "public",
    }),
  },
});
