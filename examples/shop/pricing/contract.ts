import { contract, event, type Infer, method, t } from "plinth";
import { Money } from "../money.ts";
import { Id } from "../text.ts";

export const QuoteLine = t.Object({
  productId: Id,
  quantity: t.Integer({ minimum: 1, maximum: 99 }),
  unitPrice: Money,
  price: Money,
});

export const Quote = t.Object({
  lines: t.Array(QuoteLine, { description: "In the order of the request, without what has no price." }),
  total: Money,
  tax: Money,
  converted: t.Optional(Money),
});
export type Quote = Infer<typeof Quote>;

const Price = t.Object({
  productId: Id,
  base: Money,
  discountPercent: t.Integer(),
  taxPercent: t.Integer(),
});

export const pricing = contract("pricing", {
  methods: {
    quote: method({
      http: "POST /quotes",
      summary: "What these things cost today, discounts and tax included",
      request: t.Object({
        items: t.Array(t.Object({ productId: Id, quantity: t.Integer({ minimum: 1, maximum: 99 }) }), {
          maxItems: 200,
        }),
        currency: t.Optional(
          t.String({ pattern: "^[A-Z]{3}$", description: "In which to tell the total a second time, as `converted`." }),
        ),
      }),
      response: Quote,
      errors: { CURRENCY_UNKNOWN: "invalid_argument" },
      access: "public",
      // It changes nothing.
      idempotent: true,
    }),
    getPrice: method({
      http: "GET /prices/:productId",
      summary: "What the price of a product is made of",
      request: t.Object({ productId: Id }),
      response: Price,
      errors: { PRICE_UNKNOWN: "not_found" },
      access: "public",
    }),
    setPrice: method({
      http: "PUT /prices/:productId",
      summary: "Sets what a product costs",
      request: t.Object({
        productId: Id,
        cents: t.Integer({ minimum: 1, maximum: 100_000_000, description: "Euro cents, tax included." }),
        discountPercent: t.Optional(t.Integer({ minimum: 0, maximum: 90, default: 0 })),
        taxPercent: t.Optional(t.Integer({ minimum: 0, maximum: 30, default: 19 })),
      }),
      response: Price,
      access: { scope: "prices:write" },
    }),
  },
  events: {
    PriceChanged: event({
      key: "productId",
      description: "A product costs something else now. Who keeps prices looks again.",
      payload: t.Object({ productId: Id }),
    }),
  },
});
