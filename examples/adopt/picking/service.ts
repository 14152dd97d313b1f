import { isError, service } from "plinth";
import { warehouse } from "../warehouse/contract.ts";
import { picking } from "./contract.ts";

/** Nothing here tells that the warehouse is an old HTTP service: it could be one of ours tomorrow. */
export default service(picking, {
  needs: { warehouse },
  methods: {
    async findBook({ isbn }, { warehouse, fail }) {
      try {
        const { shelf } = await warehouse.findShelf({ isbn });
        return { go: `to ${shelf}` };
      } catch (thrown) {
        if (isError(thrown, "not_found")) throw fail("BOOK_UNKNOWN", `There is no book ${isbn}.`);
        throw thrown;
      }
    },

    async countMovements(_request, { warehouse }) {
      const count = { in: 0, out: 0 };
      for await (const { direction } of warehouse.listMovements()) count[direction]++;
      return count;
    },
  },
});
