import { contract, method, t } from "plinth";

/** A new service of ours. It asks the old one. */
export const picking = contract("picking", {
  methods: {
    findBook: method({
      http: "GET /picking/:isbn",
      request: t.Object({ isbn: t.String({ pattern: "^[0-9]{13}$" }) }),
      response: t.Object({ go: t.String() }),
      errors: { BOOK_UNKNOWN: "not_found" },
    }),
    countMovements: method({
      http: "GET /picking",
      response: t.Object({ in: t.Integer(), out: t.Integer() }),
    }),
  },
});
