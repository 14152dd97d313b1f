import { contract, method, t } from "plinth";
import { Product } from "../catalog/contract.ts";
import { productTag } from "../catalog/tags.ts";
import { Id } from "../text.ts";

/** By what answers are found again, to be forgotten when an order changes them. */
export const popular = "popular";

const limit = t.Optional(t.Integer({ minimum: 1, maximum: 20, default: 5 }));
const response = t.Object({ products: t.Array(Product) });

export const recommendation = contract("recommendation", {
  methods: {
    listAlsoBought: method({
      http: "GET /products/:id/also-bought",
      summary: "What those who bought this bought with it, the most frequent first",
      request: t.Object({ id: Id, limit }),
      response,
      access: "public",
      cache: { ttl: "30s", tags: ({ id }) => [productTag(id)] },
    }),
    listPopular: method({
      http: "GET /popular",
      summary: "What is bought most",
      request: t.Object({ limit }),
      response,
      access: "public",
      cache: { ttl: "30s", tags: () => [popular] },
    }),
  },
});
