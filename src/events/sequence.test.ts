import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { createDatabaseBroker } from "./database-broker.ts";
import type { EventMessage } from "./event.ts";
import { hashOf } from "./event.ts";
import type { Stage } from "./fixtures/stage.ts";
import { embeddedDriver, openStage, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import { createOutbox, hashInSql } from "./outbox.ts";
import { createPublisher } from "./publisher.ts";
import { createRelay } from "./relay.ts";
import { createGate, mail, messageOf, record, until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const drivers: Readonly<Record<string, () => DatabaseDriver | undefined>> = {
  pglite: embeddedDriver,
  postgres: () => postgres.ports.database?.(new URL(url ?? "")),
};

for (const [engine, driverOf] of Object.entries(drivers)) {
  const skip = engine === "postgres" && !url ? "PLINTH_TEST_POSTGRES_URL is not set" : false;
  describe(`the sequence of a key on ${engine}`, { skip }, () => {
    let stage: Stage;
    before(async () => {
      const driver = driverOf();
      assert.ok(driver);
      stage = await openStage(driver);
    });
    after(() => stage.close());

    const setUp = async () => {
      const database = await stage.service();
      const publisher = createPublisher({ service: "shop", database });
      const sell = (key: string, n: number) =>
        database.transaction((tx) => publisher.publish(Sold, { key, n }, { in: tx }));
      return { database, publisher, sell };
    };

    it("counts each key for itself, from 1, without gaps, whatever is rolled back in between", async () => {
      const { database, publisher, sell } = await setUp();
      await sell("a", 1);
      await sell("b", 1);
      await assert.rejects(
        database.transaction(async (tx) => {
          await publisher.publish(Sold, { key: "a", n: 9 }, { in: tx });
          throw new Error("no");
        }),
      );
      await sell("a", 2);
      await Promise.all(Array.from({ length: 20 }, (_, n) => sell("c", n)));
      const rows = await database.sql<{ key: string; sequences: number[] }>`
        select key, array_agg(sequence::int order by seq) as sequences from plinth_outbox group by key order by key`;
      assert.deepEqual(rows[0]?.sequences, [1, 2]);
      assert.deepEqual(rows[1]?.sequences, [1]);
      assert.deepEqual(
        rows[2]?.sequences,
        Array.from({ length: 20 }, (_, i) => i + 1),
        "and follows seq",
      );
    });

    it("comes to the subscriber, through a broker in the database and one elsewhere", async () => {
      for (const joins of [true, false]) {
        const { database, sell } = await setUp();
        const own = createDatabase({ driver: stage.driver, schema: `${database.schema}_b` });
        const broker = joins ? createDatabaseBroker({ database: own }) : createMemoryBroker();
        await broker.open();
        await broker.ensure([mail]);
        const recorder = await record(broker);
        // Written by a version before this one.
        await database.sql`
          insert into plinth_outbox (id, type, key, payload, at) values (gen_random_uuid(), 'shop.Sold', 'a', '{}', '')`;
        await sell("a", 1);
        await sell("a", 2);
        const relay = createRelay({ service: "shop", database, broker });
        relay.start();
        await until("all have come", 5000, () => recorder.seen.length === 3);
        assert.deepEqual(
          recorder.seen.map(({ message }) => message.sequence),
          [undefined, 1, 2],
        );
        await relay.drain();
        await broker.close();
        const left = await database.sql`select 1 as one from plinth_outbox`;
        assert.equal(left.length, joins ? 0 : 3, "what moved is gone, what was published elsewhere is marked");
        if (joins) await own.execute(sql`drop schema ${sql.id(own.schema)} cascade`);
      }
    });

    it("is forgotten with a key that was not used for 90 days, and then begins anew", async () => {
      const { database, sell } = await setUp();
      await sell("a", 1);
      await sell("b", 1);
      await database.sql`update plinth_event_keys set used_on = used_on - 91 where key = 'a'`;
      await database.sql`update plinth_event_keys set used_on = used_on - 90 where key = 'b'`;
      assert.equal(await createOutbox(database.schema).deleteKeys(database, 10), 1);
      await sell("a", 2);
      await sell("b", 2);
      const rows = await database.sql<{ key: string; sequence: number }>`
        select key, sequence::int as sequence from plinth_outbox order by seq offset 2`;
      assert.deepEqual(rows, [
        { key: "a", sequence: 1 },
        { key: "b", sequence: 2 },
      ]);
    });

    it("is hashed in SQL as in the program", async () => {
      const { database } = await setUp();
      const message: EventMessage = messageOf({ key: "ä€😀", payload: '{"a": "\\u0000€", "n":1.50}' });
      const [row] = await database
        .execute<{ hash: string }>(sql`
        select ${hashInSql} as hash from (
          select ${message.type} as type, ${message.source} as source, ${message.key} as key, ${message.payload}::text::json as payload
        ) given`)
        .then(({ rows }) => rows);
      assert.equal(row?.hash, hashOf(message));
    });
  });
}

describe("publishers of one key", { skip: url ? false : "PLINTH_TEST_POSTGRES_URL is not set" }, () => {
  it("wait for each other from the first event to the commit; others do not", async () => {
    const stage = await openStage(drivers.postgres?.());
    const database = await stage.service();
    const publisher = createPublisher({ service: "shop", database });
    const sell = (key: string) => database.transaction((tx) => publisher.publish(Sold, { key, n: 1 }, { in: tx }));
    const [gate, written] = [createGate(), createGate()];
    const first = database.transaction(async (tx) => {
      await publisher.publish(Sold, { key: "a", n: 1 }, { in: tx });
      written.open();
      await gate.opened;
    });
    await written.opened;
    let isOver = false;
    const second = sell("a").then(() => {
      isOver = true;
    });
    await sell("b");
    assert.equal(isOver, false);
    gate.open();
    await Promise.all([first, second]);
    const rows = await database.sql<{ sequence: number }>`
      select sequence::int as sequence from plinth_outbox where key = 'a' order by seq`;
    assert.deepEqual(rows, [{ sequence: 1 }, { sequence: 2 }]);
    await stage.close();
  });
});
