import { setTimeout as sleep } from "node:timers/promises";
import { app, contract, database, service } from "plinth";

export const everyMs = 1_000;
/** How long the transaction of a tick is open, so that faults find it so. */
const holdMs = 250;

const clockwork = contract("clockwork", { methods: {} });

const clockworkService = service(clockwork, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  methods: {},
  schedules: {
    strike: {
      every: everyMs,
      catchUp: "all",
      // Whoever is killed in many ticks needs many attempts.
      retries: ["10ms", "10ms", "10ms", "10ms", "10ms", "10ms", "10ms", "10ms"],
      async handle({ tx, scheduledAt }) {
        await tx.sql`insert into effects (tick, process) values (${scheduledAt}::text::timestamptz, ${process.pid})`;
        await sleep(holdMs);
      },
    },
  },
});

export default app({
  name: "clockwork",
  services: [clockworkService],
  placement: { workers: ["gateway", "clockwork"] },
});
