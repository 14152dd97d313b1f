import { contract, type Infer, method, t } from "plinth";
import { StockLevel } from "../inventory/contract.ts";
import { Money } from "../money.ts";
import { Id, line } from "../text.ts";
import { pages, productTag } from "./tags.ts";

export const Product = t.Object({
  id: Id,
  name: t.String(),
  description: t.String(),
  category: t.String(),
  grams: t.Integer({ description: "What one weighs." }),
  price: Money,
  stock: StockLevel,
});
export type Product = Infer<typeof Product>;

export const catalog = contract("catalog", {
  methods: {
    listProducts: method({
      http: "GET /products",
      summary: "The products, by name, page by page",
      request: t.Object({
        category: t.Optional(line({ max: 60 })),
        search: t.Optional(line({ min: 2, max: 100, description: "Part of the name or description." })),
        limit: t.Optional(t.Integer({ minimum: 1, maximum: 100, default: 20 })),
        after: t.Optional(t.String({ maxLength: 1000, description: "The `next` of the page before." })),
      }),
      response: t.Object({
        products: t.Array(Product),
        next: t.Optional(t.String({ description: "Absent on the last page." })),
      }),
      errors: { CURSOR_INVALID: "invalid_argument" },
      access: "public",
      cache: { ttl: "30s", tags: () => [pages] },
    }),
    getProduct: method({
      http: "GET /products/:id",
      summary: "One product",
      request: t.Object({ id: Id }),
      response: Product,
      errors: { PRODUCT_UNKNOWN: "not_found" },
      access: "public",
      cache: { ttl: "30s", tags: ({ id }) => [productTag(id)] },
      slo: { latencyP99: "50ms", availability: 0.9995 },
    }),
    getProducts: method({
      summary: "Several products at once, for other services; those that do not exist are left out",
      request: t.Object({ ids: t.Array(Id, { maxItems: 200 }) }),
      response: t.Object({ products: t.Array(Product) }),
      access: "public",
      idempotent: true,
    }),
    describeProducts: method({
      summary: "What several products are called and weigh, for other services; those that do not exist are left out",
      request: t.Object({ ids: t.Array(Id, { maxItems: 200 }) }),
      response: t.Object({ products: t.Array(t.Object({ id: Id, name: t.String(), grams: t.Integer() })) }),
      access: "public",
      idempotent: true,
    }),
    listCategories: method({
      http: "GET /categories",
      summary: "The categories, with how many products each has",
      response: t.Object({ categories: t.Array(t.Object({ name: t.String(), count: t.Integer() })) }),
      access: "public",
      cache: { ttl: "5m", tags: () => [pages] },
    }),
  },
});
