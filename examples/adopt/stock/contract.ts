import { contract, method, t } from "plinth";

const Isbn = t.String({ pattern: "^[0-9]{13}$" });

/** The endpoints that the team moves first. Their paths are those of before, so that no client notices. */
export const stock = contract("stock", {
  methods: {
    getLevel: method({
      http: "GET /stock/:isbn",
      summary: "How many copies there are",
      request: t.Object({ isbn: Isbn }),
      response: t.Object({ isbn: Isbn, copies: t.Integer() }),
      errors: { BOOK_UNKNOWN: "not_found" },
      access: "public",
    }),
    reserve: method({
      http: "POST /stock/:isbn/reservations",
      summary: "Puts copies aside",
      request: t.Object({ isbn: Isbn, copies: t.Integer({ minimum: 1, maximum: 20 }) }),
      response: t.Object({ copiesLeft: t.Integer(), reservedBy: t.String() }),
      status: 201,
      errors: { BOOK_UNKNOWN: "not_found", SOLD_OUT: "failed_precondition" },
    }),
    countShelves: method({
      http: "POST /stock/counts",
      summary: "Counts every shelf: takes longer than it may",
      response: t.Object({ copies: t.Integer() }),
      deadline: "100ms",
    }),
  },
});
