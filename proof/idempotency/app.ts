import { setTimeout as sleep } from "node:timers/promises";
import { app, contract, database, method, newId, service, t } from "plinth";

/** Takes payments, each under a key: two processes behind a gateway, with one database. */
const till = contract("till", {
  methods: {
    pay: method({
      http: "POST /payments",
      access: "public",
      idempotent: { key: "required" },
      // What a process that is killed leaves behind is in the way for so long, and a second.
      deadline: "1s",
      request: t.Object({ ref: t.String(), cents: t.Integer({ minimum: 1 }), holdMs: t.Optional(t.Integer()) }),
      response: t.Object({ id: t.String(), ref: t.String() }),
      status: 201,
      errors: { NOT_FUNDED: "failed_precondition" },
    }),
  },
});

const tillService = service(till, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {
    async pay({ ref, cents, holdMs = 5 }, { once, fail }) {
      await sleep(holdMs);
      if (cents === 13) throw fail("NOT_FUNDED", "There is no money behind this card.");
      return once(async (tx) => {
        const id = newId();
        await tx.sql`insert into payments values (${id}, ${ref}, ${cents})`;
        await sleep(holdMs);
        return { id, ref };
      });
    },
  },
});

export default app({
  name: "till",
  services: [tillService],
  gateway: { docs: false },
  placement: { edge: ["gateway"], core: ["till"] },
});
