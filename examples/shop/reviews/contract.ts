import { contract, type Infer, method, t } from "plinth";
import { Id, line } from "../text.ts";

export const Review = t.Object({
  id: Id,
  productId: Id,
  author: t.String(),
  stars: t.Integer({ minimum: 1, maximum: 5 }),
  text: t.String(),
  createdAt: t.String({ format: "date-time" }),
});
export type Review = Infer<typeof Review>;

const Rating = t.Object({
  count: t.Integer(),
  average: t.Optional(t.Number({ description: "Of the stars, to one decimal. Absent without reviews." })),
});

export const reviews = contract("reviews", {
  methods: {
    listReviews: method({
      http: "GET /products/:productId/reviews",
      summary: "What customers say about a product, newest first, page by page, and how many stars they give",
      request: t.Object({
        productId: Id,
        limit: t.Optional(t.Integer({ minimum: 1, maximum: 100, default: 20 })),
        after: t.Optional(line({ max: 64, description: "The `next` of the page before." })),
      }),
      response: t.Object({
        rating: Rating,
        reviews: t.Array(Review),
        next: t.Optional(t.String({ description: "Absent on the last page." })),
      }),
      access: "public",
    }),
    writeReview: method({
      http: "PUT /products/:productId/review",
      summary: "Your review of something you bought; the one you wrote before is replaced",
      request: t.Object({
        productId: Id,
        stars: t.Integer({ minimum: 1, maximum: 5 }),
        text: line({ min: 1, max: 2000 }),
      }),
      response: Review,
      errors: { NOT_BOUGHT: "failed_precondition" },
    }),
    withdrawReview: method({
      http: "DELETE /products/:productId/review",
      summary: "Takes your review away",
      request: t.Object({ productId: Id }),
    }),
  },
});
