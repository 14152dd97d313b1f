import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { CallContext } from "../base/index.ts";
import { createSeededRandom, error, StartError, systemClock } from "../base/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import type { ConsumerOptions } from "./consumer.ts";
import { createConsumer } from "./consumer.ts";
import { deadLetters } from "./dead-letters.ts";
import { createFaultyBroker } from "./faulty.ts";
import { enter, openBooks, sale } from "./fixtures/books.ts";
import type { Sale, Stage } from "./fixtures/stage.ts";
import { effects, openStage, pick, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import { Redeliver } from "./redeliver.ts";
import type { HandlerDelivery, Subscription } from "./subscription.ts";
import { createGate, until } from "./suite-probe.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());
const setUp = (subscription?: Partial<Subscription>, options?: Partial<ConsumerOptions>) =>
  openBooks(stage, subscription, options);

describe("consumer", () => {
  it("handles an event in a transaction of its own database, on behalf of the service and in the publisher's trace", async () => {
    let seen: { context: CallContext; delivery: HandlerDelivery } | undefined;
    const { database, broker, consumer } = await setUp({
      async handle({ key, n }: Sale, delivery) {
        seen = { context: delivery.scope, delivery };
        await enter(delivery.tx, key, n);
      },
    });
    const message = sale("a", 1, { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, tracestate: "x=1" });
    await broker.publish([message]);
    await until("the effect", 5000, async () => (await effects(database)).length === 1);
    assert.deepEqual(seen?.context.principal, { kind: "service", subject: "books", scopes: [], claims: {} });
    assert.equal(seen.context.knownPosition?.token, "*", "what it reads is no older than the event");
    assert.equal(seen?.context.caller, "shop");
    assert.equal(seen?.context.idempotencyKey, message.id);
    assert.equal(seen?.context.trace?.traceId, "a".repeat(32));
    assert.equal(seen?.context.trace?.traceparent(), message.traceparent);
    assert.equal(seen?.delivery.message.id, message.id);
    const left = (seen?.context.deadline ?? 0) - systemClock.now();
    assert.ok(left > 25_000 && left <= 30_000, `${left} ms`);
    await consumer.drain();
  });

  it("lets a repeat go without running it", async () => {
    const { database, broker, consumer, stats } = await setUp();
    const message = sale("a", 1);
    await broker.publish([message, message, message]);
    await until("all are over", 5000, () => stats().handledCount + stats().duplicateCount === 3);
    assert.deepEqual(await effects(database), [{ key: "a", n: 1 }]);
    assert.equal(stats().duplicateCount, 2);
    await consumer.drain();
  });

  it("with the inbox off, a repeat takes effect again: this is what the inbox is for", async () => {
    const { database, broker, consumer, stats } = await setUp({ inbox: false });
    const message = sale("a", 1);
    await broker.publish([message, message]);
    await until("both are over", 5000, () => stats().handledCount === 2);
    assert.equal((await effects(database)).length, 2);
    await consumer.drain();
  });

  it("has one effect for each event while deliveries are doubled, delayed and their acknowledgements lost", async () => {
    const broker = createFaultyBroker(createMemoryBroker(), {
      random: createSeededRandom(11),
      duplicateRate: 0.5,
      ackLossRate: 0.5,
      delayMsMax: 3,
    });
    const { database, consumer } = await setUp({}, { broker });
    const sales = Array.from({ length: 30 }, (_, n) => sale(`k${n % 4}`, n));
    await broker.publish(sales);
    await until("nothing waits", 20_000, async () => (await broker.stats())[0]?.pendingCount === 0);
    const numbers = (await effects(database)).map(({ n }) => n);
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 30 }, (_, n) => n),
    );
    await consumer.drain();
  });

  it("forgets the inbox row with the effect when the handler fails, and tries again", async () => {
    let attempts: number[] = [];
    const { database, broker, consumer, stats } = await setUp({
      async handle({ key, n }: Sale, { tx, attempt }) {
        attempts = [...attempts, attempt];
        await enter(tx, key, n);
        if (attempt < 3) throw new Error("not yet");
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is done", 5000, () => stats().handledCount === 1);
    assert.deepEqual(attempts, [1, 2, 3]);
    assert.equal((await effects(database)).length, 1);
    assert.equal(stats().retriedCount, 2);
    await consumer.drain();
  });

  it("waits as long as the error asks for, when that is longer", async () => {
    const at: number[] = [];
    const { broker, consumer, stats } = await setUp({
      async handle(_, { attempt }) {
        at.push(systemClock.now());
        if (attempt === 1) throw error("unavailable", "later", { retry: 300 });
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is done", 5000, () => stats().handledCount === 1);
    assert.ok((at[1] as number) - (at[0] as number) >= 290);
    await consumer.drain();
  });

  it("brings an event later, without counting, when its handler asks for that", async () => {
    const attempts: number[] = [];
    const { broker, consumer, stats } = await setUp({
      retries: [],
      async handle(_, { attempt }) {
        if (attempts.push(attempt) < 4) throw new Redeliver(1, { counted: false });
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is done", 5000, () => stats().handledCount === 1);
    assert.deepEqual(attempts, [1, 1, 1, 1]);
    assert.equal(stats().deadCount, 0);
    await consumer.drain();
  });

  it("does not blame the event when its transaction gets no session", async () => {
    let busy = false;
    const driver: DatabaseDriver = {
      ...pick(stage.driver),
      acquire: (options) =>
        busy ? Promise.reject(error("resource_exhausted", "busy")) : stage.driver.acquire(options),
    };
    const known = await stage.service();
    const { broker, consumer, stats } = await setUp(
      {
        retries: [],
        async handle({ key, n }: Sale, { tx }) {
          busy = true;
          await enter(tx, key, n);
        },
      },
      { database: createDatabase({ driver, schema: known.schema }) },
    );
    await broker.publish([sale("a", 1)]);
    await until("it was refused", 5000, () => stats().retriedCount === 1);
    busy = false;
    assert.equal(stats().deadCount, 0);
    await consumer.drain();
  });

  it("runs the handler anew after a conflict, within the attempt", async () => {
    let runs = 0;
    const { database, broker, consumer, stats } = await setUp({
      retries: [],
      async handle({ key, n }: Sale, { tx, attempt }) {
        await enter(tx, key, n);
        assert.equal(attempt, 1);
        if (++runs < 3) throw error("aborted", "in the way", { reason: "DEADLOCK" });
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is done", 5000, () => stats().handledCount === 1);
    assert.equal((await effects(database)).length, 1);
    assert.equal(runs, 3);
    await consumer.drain();
  });

  it("holds no session of its database before the handler uses the transaction", async () => {
    const { database, broker, consumer, stats } = await setUp({
      async handle({ key, n }: Sale, { tx }) {
        await database.transaction((other) => enter(other, "other", n));
        await enter(tx, key, n);
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is done", 5000, () => stats().handledCount === 1);
    assert.equal((await effects(database)).length, 2);
    await consumer.drain();
  });

  it("ends an attempt at its deadline, rolls it back, and lets the key's next attempt in", async () => {
    const gate = createGate();
    const { database, broker, consumer, stats } = await setUp({
      deadline: 100,
      async handle({ key, n }: Sale, { tx, attempt, scope }) {
        await enter(tx, key, n * attempt);
        if (attempt === 1) await gate.opened;
        assert.ok(attempt === 1 || !scope.cancelled);
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is done", 5000, () => stats().handledCount === 1);
    assert.deepEqual(await effects(database), [{ key: "a", n: 2 }]);
    gate.open();
    await consumer.drain();
  });

  it("drain cancels what still runs when its signal aborts, and the event is another's at once", async () => {
    const { database, broker, consumer, stats } = await setUp({
      retries: [],
      deadline: "10m",
      async handle(_, { scope }) {
        await new Promise((_resolve, reject) => scope.onCancel(reject));
      },
    });
    const redelivered: unknown[] = [];
    const abort = new AbortController();
    await broker.publish([sale("a", 1)]);
    await until("it waits", 5000, async () => (await broker.stats())[0]?.pendingCount === 1);
    await systemClock.sleep(100);
    const draining = [consumer.drain(), consumer.drain(abort.signal)];
    await systemClock.sleep(50);
    abort.abort();
    await Promise.all(draining);
    await broker.subscribe({ subscription: "books.enter", types: [Sold.name], concurrency: 1 }, async ({ attempt }) => {
      redelivered.push(attempt);
    });
    await until("another has it", 5000, () => redelivered.length === 1);
    assert.deepEqual(redelivered, [1], "the attempt was not the event's fault");
    assert.deepEqual(await effects(database), []);
    assert.equal(stats().deadCount, 0);
  });

  it("drain waits for what runs, and the rest is left to others", async () => {
    const gate = createGate();
    const { database, broker, consumer } = await setUp({
      concurrency: 1,
      async handle({ key, n }: Sale, { tx }) {
        await gate.opened;
        await enter(tx, key, n);
      },
    });
    await broker.publish([sale("a", 1), sale("b", 2)]);
    await systemClock.sleep(50);
    let drained = false;
    const draining = consumer.drain().then(() => {
      drained = true;
    });
    await systemClock.sleep(50);
    assert.equal(drained, false);
    gate.open();
    await draining;
    assert.equal((await effects(database)).length, 1);
    assert.equal((await broker.stats())[0]?.pendingCount, 1);
  });

  it("does not blame the event when its own database does not answer", async () => {
    const broken = createDatabase({
      driver: {
        ...stage.driver,
        flags: stage.driver.flags,
        acquire: async () => Promise.reject(error("unavailable", "down")),
      },
      schema: "x",
    });
    const broker = createMemoryBroker();
    const warnings: unknown[] = [];
    let ran = false;
    const consumer = createConsumer({
      service: "books",
      broker,
      database: broken,
      log: { warn: (fields) => warnings.push(fields), error: () => {} },
      subscriptions: [
        {
          name: "books.enter",
          types: [Sold],
          retries: [],
          handle: async () => {
            ran = true;
          },
        },
      ],
    });
    await consumer.start();
    await broker.publish([sale("a", 1)]);
    await until("it was refused", 5000, () => consumer.stats()[0]?.retriedCount === 1);
    assert.equal(ran, false);
    assert.equal(consumer.stats()[0]?.deadCount, 0, "no dead letter, although no attempt is left");
    await consumer.drain();
  });
});

describe("a service without a database", () => {
  const start = async (subscription: Partial<Subscription>, deadLetterDatabase?: Database) => {
    const broker = createMemoryBroker();
    const consumer = createConsumer({
      service: "mail",
      broker,
      ...(deadLetterDatabase && { deadLetterDatabase }),
      subscriptions: [{ name: "mail.send", types: [Sold], retries: [10], handle: async () => {}, ...subscription }],
    });
    await consumer.start();
    return { broker, consumer };
  };
  const refused = (reason: string, says: RegExp) => (thrown: unknown) =>
    thrown instanceof StartError && thrown.reason === reason && says.test(thrown.message);

  it("must say that its handlers are idempotent", async () => {
    const database = await stage.service();
    await assert.rejects(
      start({}, database),
      refused("SUBSCRIPTION_UNSAFE", /service "mail", subscription "mail.send".*idempotent: true/),
    );
  });

  it("must have a place for its dead letters", async () => {
    await assert.rejects(
      start({ idempotent: true }),
      refused("DEAD_LETTERS_HOMELESS", /service "mail".*deadLetterDatabase/),
    );
  });

  it("runs without a transaction, at least once, and keeps its dead letters elsewhere", async () => {
    const database = await stage.service();
    const seen: (HandlerDelivery["tx"] | "none")[] = [];
    const { broker, consumer } = await start(
      {
        idempotent: true,
        async handle({ n }: Sale, { tx }) {
          seen.push(tx ?? "none");
          if (n === 2) throw new Error("broken");
        },
      },
      database,
    );
    const message = sale("a", 1);
    await broker.publish([message, message, sale("b", 2)]);
    const dead = deadLetters(database, { inbox: false });
    await until("one is dead", 5000, async () => (await dead.count()) === 1);
    assert.deepEqual(seen, ["none", "none", "none", "none"]);
    assert.equal(await dead.discard([(await dead.list()).items[0]?.id ?? ""]), 1);
    assert.deepEqual(await database.sql`select 1 as one from plinth_inbox`, []);
    await consumer.drain();
  });

  it("refuses two subscriptions of one name, and deadlines that make no sense", async () => {
    const database = await stage.service();
    const subscription = { name: "mail.send", types: [Sold], handle: async () => {} };
    const create = (...subscriptions: Subscription[]) =>
      createConsumer({ service: "mail", broker: createMemoryBroker(), database, subscriptions });
    assert.throws(() => create(subscription, subscription), refused("SUBSCRIPTION_TWICE", /"mail.send"/));
    assert.throws(() => create({ ...subscription, deadline: "1h" }), refused("SUBSCRIPTION_UNUSABLE", /15 min/));
    assert.throws(() => create({ ...subscription, retries: ["9d"] }), refused("RETRIES_UNUSABLE", /mail.send/));
  });
});
