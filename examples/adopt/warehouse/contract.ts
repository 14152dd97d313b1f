import { contract, method, stream, t } from "plinth";

/** What the old warehouse service does, said as a contract. Its code is not touched. */
export const warehouse = contract("warehouse", {
  methods: {
    findShelf: method({
      http: "GET /shelves/:isbn",
      request: t.Object({ isbn: t.String({ pattern: "^[0-9]{13}$" }) }),
      response: t.Object({ isbn: t.String(), shelf: t.String() }),
      errors: ["not_found"],
    }),
    listMovements: stream({
      http: "GET /movements",
      item: t.Object({ at: t.Integer(), direction: t.Union([t.Literal("in"), t.Literal("out")]) }),
    }),
    takeInventory: method({
      http: "POST /inventories",
      response: t.Object({ copies: t.Integer() }),
      deadline: "100ms",
    }),
  },
});
