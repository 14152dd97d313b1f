import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isError, StartError, systemClock } from "../base/index.ts";
import { createDatabase } from "../database/index.ts";
import { createConsumer } from "./consumer.ts";
import { createDatabaseBroker } from "./database-broker.ts";
import { deadLetters } from "./dead-letters.ts";
import type { Broker, ReplayRequest } from "./driver.ts";
import { enter, sale } from "./fixtures/books.ts";
import type { Sale, Stage } from "./fixtures/stage.ts";
import { effects, openStage, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import type { Subscription } from "./subscription.ts";
import { messageOf, until } from "./suite-probe.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());

const from = new Date(systemClock.wallNow() - 6 * 86_400_000).toISOString();
const everything: ReplayRequest = { subscription: "books.enter", from, again: false };

const setUp = async (subscription: Partial<Subscription> = {}) => {
  const database = await stage.service();
  const own = createDatabase({ driver: stage.driver, schema: `${database.schema}_b` });
  const broker = createDatabaseBroker({ database: own, lease: "1s" });
  await broker.open();
  const replayed: boolean[] = [];
  const consumer = createConsumer({
    service: "books",
    broker,
    database,
    subscriptions: [
      {
        name: "books.enter",
        types: [Sold],
        retries: [],
        async handle({ key, n }: Sale, delivery) {
          replayed.push(delivery.replayed);
          await enter(delivery.tx, key, n);
        },
        ...subscription,
      },
    ],
  });
  await consumer.start();
  const settled = () =>
    until("nothing waits", 10_000, async () => (await broker.stats()).every(({ pendingCount }) => pendingCount === 0));
  const close = async () => {
    await consumer.drain();
    await broker.close();
  };
  return { database, own, broker, replayed, settled, close };
};

const replay = async (broker: Broker, request: ReplayRequest = everything) => {
  for (;;) {
    const progress = await broker.replay?.(request);
    if (!progress || progress.done) return progress;
  }
};

describe("replay of a subscription", () => {
  it("runs what was not handled, and lets go what was", async () => {
    const { database, broker, replayed, settled, close } = await setUp();
    await broker.publish([sale("a", 1), sale("b", 2)]);
    await settled();
    await database.sql`delete from plinth_inbox where message_id = (select message_id from plinth_inbox limit 1)`;
    assert.equal((await replay(broker))?.deliveredCount, 2);
    await settled();
    assert.equal((await effects(database)).length, 3);
    assert.deepEqual(replayed, [false, false, true]);
    await close();
  });

  it("runs all of them when it is to run them again, each once for each replay, whatever is delivered twice", async () => {
    const { database, own, broker, settled, close } = await setUp();
    await broker.publish([sale("a", 1), sale("a", 2)]);
    await settled();
    await replay(broker, { ...everything, again: true });
    await settled();
    assert.deepEqual(
      (await effects(database)).map(({ n }) => n),
      [1, 2, 1, 2],
    );
    // As if the acknowledgements had been lost: the same replay's deliveries once more.
    await own.sql`
      insert into deliveries (subscription, seq, source, key, message, replay, again)
      select 'books.enter', 1000 + m.seq, m.source, m.key, m.seq, r.id, true from messages m, replays r`;
    await settled();
    assert.equal((await effects(database)).length, 4);
    await replay(broker, { ...everything, again: true });
    await settled();
    assert.equal((await effects(database)).length, 6, "a later replay is another one");
    await close();
  });

  it("that makes a dead letter of what was handled before, replays that one for the same replay", async () => {
    let isBroken = false;
    const { database, broker, settled, close } = await setUp({
      async handle({ key, n }: Sale, { tx }) {
        if (isBroken) throw new Error("broken");
        await enter(tx, key, n);
      },
    });
    await broker.publish([sale("a", 1)]);
    await settled();
    isBroken = true;
    await replay(broker, { ...everything, again: true });
    await settled();
    const dead = deadLetters(database);
    const [letter] = (await dead.list()).items;
    isBroken = false;
    await dead.replay([letter?.id ?? ""]);
    await until("it is gone", 5000, async () => (await dead.count()) === 0);
    assert.equal((await effects(database)).length, 2);
    await close();
  });

  it("goes in bounded steps, and on from there after it was broken off", async () => {
    const { own, broker, close } = await setUp();
    await broker.ensure([{ subscription: "late.comer", types: ["shop.Sold"] }]);
    for (let i = 0; i < 25; i++) {
      await broker.publish(Array.from({ length: 100 }, () => messageOf({ payload: '{"key":"a","n":1}' })));
    }
    await own.sql`delete from deliveries`;
    const request = { ...everything, subscription: "late.comer" };
    const first = await broker.replay?.(request);
    assert.deepEqual({ ...first, id: "" }, { id: "", deliveredCount: 1000, resumed: false, done: false });
    const other = createDatabaseBroker({ database: own });
    const second = await other.replay?.(request);
    assert.deepEqual(second, { id: first?.id, deliveredCount: 2000, resumed: true, done: false });
    const third = await other.replay?.(request);
    assert.deepEqual(third, { id: first?.id, deliveredCount: 2500, resumed: true, done: true });
    const [row] = await own.sql<{ count: number; distinct: number }>`
      select count(*)::int as count, count(distinct message)::int as distinct from deliveries where subscription = 'late.comer'`;
    assert.deepEqual(row, { count: 2500, distinct: 2500 });
    let retired = 0;
    for (let step = await other.retire?.("late.comer"); step; step = await other.retire?.("late.comer")) {
      assert.ok(step <= 1000);
      retired += step;
    }
    assert.equal(retired, 2500);
    await close();
  });

  it("keeps the messages it is about, however old they are", async () => {
    const { own, broker, close } = await setUp();
    await broker.ensure([{ subscription: "late.comer", types: ["shop.Sold"] }]);
    await broker.publish([sale("a", 1)]);
    await until("it was handled", 5000, async () => (await own.sql`select 1 from deliveries`).length === 1);
    await own.sql`delete from deliveries`;
    await replay(broker, { ...everything, subscription: "late.comer" });
    await own.sql`update messages set published_at = now() - interval '30 days'`;
    const { createBrokerTables } = await import("./broker-tables.ts");
    const tables = createBrokerTables(own);
    assert.equal(await tables.deleteOld(86_400_000, 10), 0);
    await broker.retire?.("late.comer");
    await own.sql`delete from deliveries`;
    assert.equal(await tables.deleteOld(86_400_000, 10), 1);
    await close();
  });

  it("is remembered until it is done, and a day", async () => {
    const { own, broker, settled, close } = await setUp();
    await broker.publish([sale("a", 1)]);
    await settled();
    await replay(broker);
    const { createBrokerReplay } = await import("./broker-replay.ts");
    const { deleteDone } = createBrokerReplay(own);
    assert.equal(await deleteDone(10), 0);
    await own.sql`update replays set finished_at = finished_at - interval '2 days'`;
    assert.equal(await deleteDone(10), 1);
    await close();
  });

  it("refuses a time that is none", async () => {
    const { broker, close } = await setUp();
    await assert.rejects(
      async () => broker.replay?.({ ...everything, from: "yesterday" }),
      (thrown) => isError(thrown, "REPLAY_UNUSABLE"),
    );
    await close();
  });
});

describe("the window of the inbox", () => {
  const consumerOf = async (inboxRetention: `${number}d`, retentionMs?: number) =>
    createConsumer({
      service: "books",
      broker: { ...createMemoryBroker(), ...(retentionMs !== undefined && { retentionMs }) },
      database: await stage.service(),
      subscriptions: [{ name: "books.enter", types: [Sold], handle: async () => {} }],
      inboxRetention,
    });

  it("is 7 days at least, and as long as the broker keeps messages", async () => {
    const isShort = (thrown: unknown) => thrown instanceof StartError && thrown.reason === "INBOX_WINDOW_SHORT";
    await assert.rejects(consumerOf("6d"), isShort);
    await assert.rejects(
      consumerOf("7d", 8 * 86_400_000),
      (thrown) => isShort(thrown) && /at least 8d/.test(String(thrown)),
    );
    await consumerOf("7d");
    await consumerOf("8d", 8 * 86_400_000);
  });
});
