import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId, systemClock } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { createConsumer } from "./consumer.ts";
import { createDatabaseBroker } from "./database-broker.ts";
import { enter, openBooks, sale } from "./fixtures/books.ts";
import type { Sale, Stage } from "./fixtures/stage.ts";
import { effects, openStage, pick, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import { createPublisher } from "./publisher.ts";
import { createRelay } from "./relay.ts";
import type { HandlerDelivery } from "./subscription.ts";
import { brokerSuite } from "./suite.ts";
import { createGate, mail, record, until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";
let stage: Stage;

async function open(): Promise<void> {
  const driver = postgres.ports.database?.(new URL(url ?? ""));
  assert.ok(driver);
  stage = await openStage(driver);
}

describe("database broker on Postgres", { skip, concurrency: 4 }, () => {
  before(open);
  after(() => stage.close());
  const flags = { durable: true, multipleProcesses: true, ordered: true, replays: true };
  for (const { name, run } of brokerSuite({ flags, kills: true, make: () => stage.world() })) it(name, run);
});

describe("joining the broker on Postgres", { skip }, () => {
  before(open);
  after(() => stage.close());
  const role = `events_test_${newId().replaceAll("-", "")}`;

  it("publishes inside the service's transaction when it may write there, and beside it when it may not", async () => {
    const admin = createDatabase({ driver: stage.driver, schema: "public" });
    const own = createDatabase({ driver: stage.driver, schema: `${role}_broker` });
    const broker = createDatabaseBroker({ database: own });
    await broker.open();
    assert.ok(await broker.joins?.(admin), "the owner may");
    await admin.session((session) => session.script(`create role ${role} nologin`));
    try {
      const asRole: DatabaseDriver = {
        ...pick(stage.driver),
        async acquire(options) {
          const session = await stage.driver.acquire(options);
          await session.script(`set role ${role}`, { timeoutMs: 1000 });
          const release = () => void session.script("reset role", { timeoutMs: 1000 }).finally(() => session.release());
          return { query: session.query.bind(session), script: session.script.bind(session), release };
        },
      };
      const limited = createDatabase({ driver: asRole, schema: "public" });
      const grant = (text: string) => admin.session((session) => session.script(text));
      assert.equal(await broker.joins?.(limited), undefined, "no right to the schema");
      await grant(`grant usage on schema ${own.schema} to ${role}`);
      assert.equal(await broker.joins?.(limited), undefined, "no right to the tables");
      await grant(`grant select, insert on all tables in schema ${own.schema} to ${role}`);
      const joined = await broker.joins?.(limited);
      assert.ok(joined);
      await broker.ensure([mail]);
      const sold = sql`select 1 as seq, ${newId()}::text::uuid as id, 'hash' as hash, 'shop.Sold' as type, 'shop' as source,
        'a' as key, 1 as sequence, '{}' as payload, '' as at, null::text as traceparent, null::text as tracestate`;
      await limited.execute(sql`with ${joined.intake(sold)} select 1`);
      assert.equal((await broker.stats())[0]?.pendingCount, 1);
    } finally {
      await broker.close();
      await admin.session((session) =>
        session.script(`drop schema ${own.schema} cascade; drop owned by ${role}; drop role ${role}`),
      );
    }
  });
});

describe("outbox and inbox on Postgres", { skip }, () => {
  before(open);
  after(() => stage.close());

  it("loses no event whose transaction began earlier and commits later", async () => {
    const database = await stage.service();
    const broker = createMemoryBroker();
    await broker.ensure([mail]);
    const recorder = await record(broker);
    const relay = createRelay({ service: "shop", database, broker });
    const publisher = createPublisher({ service: "shop", database, wake: relay.wake });
    relay.start();
    const gate = createGate();
    const slow = database.transaction(async (tx) => {
      await publisher.publish(Sold, { key: "slow", n: 1 }, { in: tx });
      await gate.opened;
    });
    await systemClock.sleep(50);
    await database.transaction((tx) => publisher.publish(Sold, { key: "fast", n: 2 }, { in: tx }));
    await until("the later one has come", 5000, () => recorder.seen.length === 1);
    gate.open();
    await slow;
    await until("the earlier one has come", 5000, () => recorder.seen.length === 2);
    await relay.drain();
  });

  it("keeps the order of each key with three relays and four writers at work", async () => {
    const database = await stage.service();
    const broker = createMemoryBroker();
    await broker.ensure([mail]);
    const recorder = await record(broker);
    const relays = [1, 2, 3].map(() => createRelay({ service: "shop", database, broker }));
    const publisher = createPublisher({
      service: "shop",
      database,
      wake: () => relays.forEach((relay) => void relay.wake()),
    });
    for (const relay of relays) relay.start();
    const write = async (key: string) => {
      for (let n = 0; n < 25; n++) await database.transaction((tx) => publisher.publish(Sold, { key, n }, { in: tx }));
    };
    await Promise.all(["a", "b", "c", "d"].map(write));
    await until("all have come", 10_000, () => recorder.seen.length >= 100);
    for (const key of ["a", "b", "c", "d"]) {
      const numbers = recorder.seen
        .filter(({ message }) => message.key === key)
        .map(({ message }) => JSON.parse(message.payload).n);
      assert.deepEqual(
        numbers,
        Array.from({ length: 25 }, (_, n) => n),
      );
    }
    await Promise.all(relays.map((relay) => relay.drain()));
  });

  it("has one effect when two consumers handle the same message at the same time", async () => {
    const gate = createGate();
    let enteredCount = 0;
    const handle = async ({ key, n }: Sale, { tx }: HandlerDelivery) => {
      await enter(tx, key, n);
      enteredCount++;
      await gate.opened;
    };
    const first = await openBooks(stage, { handle });
    const broker = createMemoryBroker();
    const second = createConsumer({
      service: "books",
      broker,
      database: first.database,
      subscriptions: [{ name: "books.enter", types: [Sold], handle }],
    });
    await second.start();
    const message = sale("a", 1);
    await first.broker.publish([message]);
    await broker.publish([message]);
    await until("one has its effect", 5000, () => enteredCount === 1);
    await systemClock.sleep(200);
    assert.equal(enteredCount, 1, "the other one waits at the inbox row");
    gate.open();
    await Promise.all([first.consumer.drain(), second.drain()]);
    assert.deepEqual(await effects(first.database), [{ key: "a", n: 1 }]);
    assert.equal(first.stats().duplicateCount + (second.stats()[0]?.duplicateCount ?? 0), 1);
  });

  it("runs as many at a time as it was told, each in a transaction of its own", async () => {
    let running = 0;
    let runningMax = 0;
    const { database, broker, consumer } = await openBooks(stage, {
      concurrency: 4,
      async handle({ key, n }: Sale, { tx }) {
        runningMax = Math.max(runningMax, ++running);
        await enter(tx, key, n);
        await systemClock.sleep(20);
        running--;
      },
    });
    await broker.publish(Array.from({ length: 16 }, (_, n) => sale(newId(), n)));
    await until("all are done", 5000, async () => (await effects(database)).length === 16);
    assert.ok(runningMax > 1 && runningMax <= 4, `${runningMax}`);
    await consumer.drain();
  });
});
