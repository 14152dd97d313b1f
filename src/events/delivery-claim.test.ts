import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createDatabase, type DatabaseDriver } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { createBrokerTables } from "./broker-tables.ts";
import { embeddedDriver } from "./fixtures/stage.ts";
import { migrateBroker } from "./migrations.ts";
import { mail } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const fromServer = () => postgres.ports.database?.(new URL(url ?? "")) ?? assert.fail("no database");

const engines: readonly [string, string | false, () => DatabaseDriver][] = [
  ["pglite", false, embeddedDriver],
  ["postgres", url ? false : "PLINTH_TEST_POSTGRES_URL is not set", fromServer],
];

for (const [engine, skip, driverOf] of engines) {
  describe(`a claim on ${engine}, where few keys of many that wait may be had`, { skip }, () => {
    const schema = `claim_${process.pid}`;
    let driver: DatabaseDriver;
    before(async () => {
      driver = driverOf();
      await driver.open();
    });
    after(async () => {
      await createDatabase({ driver, schema }).session((session) => session.script(`drop schema ${schema} cascade`));
      await driver.close();
    });

    /** `keys` in the order in which their messages came. */
    async function waiting(keys: readonly string[]) {
      const database = createDatabase({ driver, schema });
      await migrateBroker(database);
      const tables = createBrokerTables(database);
      await tables.ensure([mail]);
      await database.sql`delete from deliveries`;
      await database.sql`
        insert into messages (id, payload_hash, type, source, key, payload, at)
        select gen_random_uuid(), 'h', 'shop.Sold', 'shop', key, '{}', '2026-01-01T00:00:00Z'
        from unnest(${keys}::text[]) with ordinality as k(key, n) order by n`;
      await database.sql`
        insert into deliveries (subscription, seq, source, key)
        select ${mail.subscription}, seq, source, key from messages order by seq desc limit ${keys.length}::int`;
      const claim = async (limit: number): Promise<string[]> => {
        const wanted = [{ subscription: mail.subscription, limit }];
        const request = { wanted, suspects: false, owner: "p1/b1", leaseMs: 60_000, inHand: [] };
        return (await tables.claim(request)).map(({ delivery }) => delivery.message.key);
      };
      return claim;
    }

    const times = (count: number, keyOf: (i: number) => string) => Array.from({ length: count }, (_, i) => keyOf(i));

    it("finds a key behind thousands of others that wait for their turn", async () => {
      const claim = await waiting([...times(3000, (i) => (i % 2 === 0 ? "a" : "b")), "c", "c", "d"]);
      assert.deepEqual(await claim(2), ["a", "b"]);
      assert.deepEqual(await claim(1), ["c"]);
      assert.deepEqual(await claim(8), ["d"]);
      assert.deepEqual(await claim(8), []);
    });

    it("goes on behind the keys that it has looked at, and begins anew at their end", async () => {
      const name = (i: number) => `k${String(i).padStart(4, "0")}`;
      const claim = await waiting([...times(1500, name), ...times(1500, name), "z", "a"]);
      for (const each of [0, 500, 1000])
        assert.deepEqual(
          await claim(500),
          times(500, (i) => name(each + i)),
        );
      // The first thousand keys: "a" among them.
      assert.deepEqual(await claim(8), ["a"]);
      assert.deepEqual(await claim(8), ["z"]);
      assert.deepEqual(await claim(8), []);
    });
  });
}
