import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Clock } from "../base/index.ts";
import { createManualClock, createSeededRandom, error, systemClock } from "../base/index.ts";
import type { Broker } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { createFaultyBroker } from "./faulty.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import { createOutbox } from "./outbox.ts";
import { createPublisher } from "./publisher.ts";
import { createRelay } from "./relay.ts";
import { createGate, mail, record, until } from "./suite-probe.ts";

describe("relay", () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage();
  });
  after(() => stage.close());

  const setUp = async (broker: Broker = createMemoryBroker(), clock: Clock = systemClock) => {
    const database = await stage.service();
    const warnings: string[] = [];
    const log = { warn: (_: unknown, text: string) => warnings.push(text), error: assert.fail };
    const relay = createRelay({ service: "shop", database, broker, clock, log });
    const publisher = createPublisher({ service: "shop", database, wake: relay.wake });
    const sell = (key: string, ...numbers: number[]) =>
      database.transaction(async (tx) => {
        for (const n of numbers) await publisher.publish(Sold, { key, n }, { in: tx });
      });
    await broker.ensure([mail]);
    return { database, relay, broker, sell, warnings };
  };
  const numbersOf = (messages: readonly EventMessage[]) => messages.map(({ payload }) => JSON.parse(payload).n);

  it("hands every committed event to the broker, in order, and marks it", async () => {
    const { database, relay, broker, sell } = await setUp();
    const recorder = await record(broker, { concurrency: 1 });
    await sell("a", 1, 2, 3);
    assert.equal((await relay.stats()).unpublishedCount, 3);
    relay.start();
    await until("they came", 5000, () => recorder.seen.length === 3);
    await sell("a", 4);
    await until("the next came", 5000, () => recorder.seen.length === 4);
    assert.deepEqual(numbersOf(recorder.seen.map(({ message }) => message)), [1, 2, 3, 4]);
    assert.equal(recorder.seen[0]?.message.source, "shop");
    await relay.drain();
    const stats = await relay.stats();
    assert.deepEqual(stats, {
      service: "shop",
      publishedCount: 4,
      failedCount: 0,
      bucketCount: 0,
      unpublishedCount: 0,
      oldestAgeMs: 0,
    });
    assert.equal((await database.sql`select 1 as one from plinth_outbox where published_at is null`).length, 0);
  });

  it("takes more than one batch", async () => {
    const { relay, broker, sell } = await setUp();
    const recorder = await record(broker);
    await sell("a", ...Array.from({ length: 230 }, (_, i) => i));
    relay.start();
    await until("they came", 10_000, () => recorder.seen.length === 230);
    assert.deepEqual(
      numbersOf(recorder.seen.map(({ message }) => message)),
      Array.from({ length: 230 }, (_, i) => i),
    );
    await relay.drain();
  });

  it("keeps events while the broker is away, and publishes them afterwards under the same ids", async () => {
    const memory = createMemoryBroker();
    let away = true;
    const seen: EventMessage[][] = [];
    const broker: Broker = {
      ...memory,
      async publish(messages) {
        seen.push([...messages]);
        if (away) throw error("unavailable", "away");
        await memory.publish(messages);
      },
    };
    const { relay, sell } = await setUp(broker);
    const recorder = await record(memory);
    relay.start();
    await sell("a", 1, 2);
    await until("it tried", 5000, () => seen.length >= 2);
    const stats = await relay.stats();
    assert.equal(stats.unpublishedCount, 2);
    assert.ok(stats.failedCount >= 1 && stats.oldestAgeMs > 0);
    away = false;
    await until("they came", 5000, () => recorder.seen.length === 2);
    assert.deepEqual(
      recorder.ids(),
      seen[0]?.map(({ id }) => id),
    );
    await relay.drain();
  });

  it("gives up on a broker that hangs after 10 s, and lets the claim go", async () => {
    const clock = createManualClock();
    const gate = createGate();
    let publishes = 0;
    const broker: Broker = {
      ...createMemoryBroker(),
      publish() {
        publishes++;
        return gate.opened;
      },
    };
    const { database, relay, sell, warnings } = await setUp(broker, clock);
    await sell("a", 1);
    relay.start();
    await until("it hangs", 5000, async () => {
      await clock.advance(1);
      return publishes === 1;
    });
    await clock.advance(9_000);
    assert.deepEqual(warnings, []);
    await clock.advance(1_000);
    await until("it gave up", 5000, () => warnings.length === 1);
    assert.equal((await database.sql`select 1 as one from plinth_outbox where published_at is null`).length, 1);
    gate.open();
    await relay.drain();
  });

  it("publishes again what was published and not marked, when it dies in between", async () => {
    const { database, relay, broker, sell } = await setUp();
    const recorder = await record(broker);
    await sell("a", 1);
    const dying = createRelay({
      service: "shop",
      database,
      broker,
      crashPoint: (name) => {
        if (name === "relay.published" && recorder.seen.length < 2) throw new Error("dead");
      },
    });
    dying.start();
    await until("it came twice", 5000, () => recorder.seen.length === 2);
    await dying.drain();
    assert.equal(new Set(recorder.ids()).size, 1);
    relay.start();
    await relay.drain();
  });

  it("loses nothing when publishing fails at random", async () => {
    const memory = createMemoryBroker();
    const broker = createFaultyBroker(memory, {
      random: createSeededRandom(7),
      publishFailureRate: 0.5,
      duplicateRate: 0.2,
      delayMsMax: 2,
    });
    const { relay, sell } = await setUp(broker);
    const recorder = await record(broker);
    relay.start();
    for (let n = 0; n < 10; n++) await sell(`k${n % 3}`, n);
    await until("all came", 20_000, () => new Set(recorder.ids()).size === 10);
    await relay.drain();
    await broker.close();
  });

  it("deletes what was published longer ago than the retention, and nothing else", async () => {
    const { database, sell } = await setUp();
    await sell("a", 1, 2, 3);
    const outbox = createOutbox(database.schema);
    await database.sql`update plinth_outbox set published_at = now() - interval '2 days' where seq = 1`;
    await database.sql`update plinth_outbox set published_at = now() where seq = 2`;
    assert.equal(await outbox.deletePublished(database, 86_400_000, 10), 1);
    const rows = await database.sql<{ seq: number }>`select seq from plinth_outbox order by seq`;
    assert.deepEqual(
      rows.map(({ seq }) => seq),
      [2, 3],
    );
  });

  it("cleans the outbox in the background", async () => {
    const clock = createManualClock();
    const { database, relay, sell } = await setUp(createMemoryBroker(), clock);
    await sell("a", 1);
    await database.sql`update plinth_outbox set published_at = now() - interval '2 days'`;
    relay.start();
    await clock.advance(60_000);
    await until("it is gone", 5000, async () => (await database.sql`select 1 as one from plinth_outbox`).length === 0);
    await relay.drain();
  });
});
