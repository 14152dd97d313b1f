import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../base/index.ts";
import { createDatabase } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { createBrokerTables } from "./broker-tables.ts";
import { createDatabaseBroker } from "./database-broker.ts";
import type { Broker } from "./driver.ts";
import { enter, openBooks, sale } from "./fixtures/books.ts";
import type { Sale, Stage } from "./fixtures/stage.ts";
import { effects, openStage, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import { createPublisher } from "./publisher.ts";
import { createRelay } from "./relay.ts";
import { createGate, mail, messageOf, quiet, record, until } from "./suite-probe.ts";

/** What is right passes a check that what is wrong does not: each runs twice. The inbox's own is in `consumer.test.ts`. */
let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";

describe("a relay that remembers the last id", { skip }, () => {
  for (const idCursorRelay of [false, true]) {
    it(idCursorRelay ? "loses what commits late" : "is not ours: what commits late arrives", async () => {
      const driver = postgres.ports.database?.(new URL(url ?? ""));
      assert.ok(driver);
      const real = await openStage(driver);
      const database = await real.service();
      const broker = createMemoryBroker();
      await broker.ensure([mail]);
      const recorder = await record(broker);
      const relay = createRelay({ service: "shop", database, broker, idCursorRelay });
      const publisher = createPublisher({ service: "shop", database, wake: relay.wake });
      relay.start();
      const gate = createGate();
      const written = createGate();
      const slow = database.transaction(async (tx) => {
        await publisher.publish(Sold, { key: "slow", n: 1 }, { in: tx });
        written.open();
        await gate.opened;
      });
      await written.opened;
      await database.transaction((tx) => publisher.publish(Sold, { key: "fast", n: 2 }, { in: tx }));
      await until("the later one has come", 5000, () => recorder.seen.length === 1);
      gate.open();
      await slow;
      await quiet();
      await quiet();
      assert.equal(recorder.seen.length, idCursorRelay ? 1 : 2);
      assert.equal((await relay.stats()).unpublishedCount, idCursorRelay ? 1 : 0);
      await relay.drain();
      await real.close();
    });
  }
});

describe("a consumer that acknowledges before it commits", () => {
  for (const acknowledgeBeforeCommit of [false, true]) {
    it(acknowledgeBeforeCommit ? "loses what fails" : "is not ours: what fails comes again", async () => {
      const { database, broker, consumer } = await openBooks(
        stage,
        {
          async handle({ key, n }: Sale, { tx, attempt }) {
            if (attempt === 1) throw new Error("not yet");
            await enter(tx, key, n);
          },
        },
        { acknowledgeBeforeCommit },
      );
      await broker.publish([sale("a", 1)]);
      await until("nothing waits", 5000, async () => (await broker.stats())[0]?.pendingCount === 0);
      assert.equal((await effects(database)).length, acknowledgeBeforeCommit ? 0 : 1);
      await consumer.drain();
    });
  }
});

describe("a broker that does not check the epoch", () => {
  for (const epochCheck of [true, false]) {
    it(
      epochCheck ? "is not ours: who lost a delivery does not end it" : "loses what somebody else has now",
      async () => {
        const database = createDatabase({ driver: stage.driver, schema: `epoch_${epochCheck}` });
        const running = createDatabaseBroker({ database, epochCheck });
        await running.open();
        const gate = createGate();
        const recorder = await record(running, { then: () => gate.opened });
        await running.publish([messageOf()]);
        await until("it runs", 5000, () => recorder.seen.length === 1);
        // As if this process had been stopped until its lease was over, and another one had taken it.
        const tables = createBrokerTables(database);
        await tables.expireOthers("nobody");
        await systemClock.sleep(5);
        const request = {
          wanted: [{ subscription: mail.subscription, limit: 1 }],
          suspects: true,
          owner: "other/1",
          leaseMs: 60_000,
        };
        const [taken] = await tables.claim({ ...request, inHand: [] });
        assert.ok(taken);
        gate.open();
        await recorder.subscribed.stop();
        assert.equal((await running.stats())[0]?.pendingCount, epochCheck ? 1 : 0);
        assert.equal(await tables.refuse(taken, 0, true), epochCheck, "it could come again");
        await running.close();
      },
    );
  }
});

describe("a relay that does not check the epoch", () => {
  for (const epochCheck of [true, false]) {
    it(epochCheck ? "is not ours: what is another's stays unmarked" : "marks what is another's", async () => {
      const database = await stage.service();
      const memory = createMemoryBroker();
      await memory.ensure([mail]);
      let publishes = 0;
      const broker: Broker = {
        ...memory,
        async publish(messages) {
          await memory.publish(messages);
          if (publishes++ > 0) return;
          // Stopped here until its lease was over: another relay has the keys now.
          await database.sql`
            update plinth_relay_buckets set owner = 'other/1', epoch = epoch + 1, expires_at = now() + interval '1 hour'`;
        },
      };
      const relay = createRelay({ service: "shop", database, broker, epochCheck });
      const publisher = createPublisher({ service: "shop", database, wake: relay.wake });
      relay.start();
      await database.transaction((tx) => publisher.publish(Sold, { key: "a", n: 1 }, { in: tx }));
      await until("it published", 5000, () => publishes === 1);
      await quiet();
      const { publishedCount, unpublishedCount } = await relay.stats();
      assert.deepEqual(
        { publishedCount, unpublishedCount },
        epochCheck ? { publishedCount: 0, unpublishedCount: 1 } : { publishedCount: 1, unpublishedCount: 0 },
      );
      await relay.drain();
    });
  }
});
