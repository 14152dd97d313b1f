import { setTimeout as sleep } from "node:timers/promises";
import { service } from "plinth";
import { stock } from "./contract.ts";

const levels = new Map([
  ["9780141439518", 12],
  ["9780486280615", 3],
]);

export default service(stock, {
  methods: {
    async getLevel({ isbn }, { fail }) {
      const copies = levels.get(isbn);
      if (copies === undefined) throw fail("BOOK_UNKNOWN", `There is no book ${isbn}.`);
      return { isbn, copies };
    },

    async reserve({ isbn, copies }, { principal, fail }) {
      const level = levels.get(isbn);
      if (level === undefined) throw fail("BOOK_UNKNOWN", `There is no book ${isbn}.`);
      if (level < copies) throw fail("SOLD_OUT", `There are only ${level} copies.`);
      levels.set(isbn, level - copies);
      return { copiesLeft: level - copies, reservedBy: principal.subject };
    },

    async countShelves(_request, { signal }) {
      let copies = 0;
      for (const level of levels.values()) {
        await sleep(60_000, undefined, { signal }); // somebody walks to the shelf
        copies += level;
      }
      return { copies };
    },
  },
});
