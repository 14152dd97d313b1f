import { contract, database, method, service, sql, t } from "plinth";

/**
 * For tests alone: a service that runs any SQL, so that a test can look into the tables of others, break them, and turn
 * their clocks. In an app no service sees another's tables.
 */
export function createProbe(name = "probe") {
  const probe = contract(name, {
    methods: {
      run: method({
        request: t.Object({ text: t.String() }),
        response: t.Object({ rows: t.Array(t.Record(t.String(), t.Unknown())) }),
        // A server with much to do takes its time to make a database, and to drop one.
        deadline: "60s",
      }),
    },
  });
  const probeService = service(probe, {
    needs: { db: database() },
    methods: {
      async run({ text }, { db }) {
        const { rows } = await db.execute(sql.unsafe(text));
        return { rows };
      },
    },
  });
  return { contract: probe, service: probeService };
}
