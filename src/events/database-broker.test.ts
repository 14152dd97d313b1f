import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock, systemClock } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import { createBrokerTables } from "./broker-tables.ts";
import { createDatabaseBroker } from "./database-broker.ts";
import type { EventMessage } from "./event.ts";
import { hashOf } from "./event.ts";
import type { Stage } from "./fixtures/stage.ts";
import { embeddedDriver, openStage } from "./fixtures/stage.ts";
import { migrateBroker } from "./migrations.ts";
import { Redeliver } from "./redeliver.ts";
import { brokerSuite } from "./suite.ts";
import { createGate, mail, messageOf, numbered, record, until } from "./suite-probe.ts";

describe("database broker on the embedded engine", { concurrency: 3 }, () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage();
  });
  after(() => stage.close());
  // Several brokers of one process stand for several processes: to the tables they are the same.
  const flags = { durable: true, multipleProcesses: true, ordered: true, replays: true };
  for (const { name, run } of brokerSuite({ flags, kills: true, make: () => stage.world() })) it(name, run);
});

describe("database broker", () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage();
  });
  after(() => stage.close());

  const tables = async (schema: string) => {
    const database = createDatabase({ driver: stage.driver, schema });
    await migrateBroker(database);
    return { database, tables: createBrokerTables(database) };
  };
  const claim = {
    wanted: [{ subscription: mail.subscription, limit: 8 }],
    suspects: false,
    owner: "p1/b1",
    leaseMs: 60_000,
    inHand: [],
  };

  it("says what the engine under it can", () => {
    const { flags } = createDatabaseBroker({ database: createDatabase({ driver: embeddedDriver(), schema: "b" }) });
    assert.deepEqual(flags, { durable: false, multipleProcesses: false, ordered: true, replays: true });
  });

  it("lets nobody who lost the lease change anything", async () => {
    const { tables: broker } = await tables("late");
    await broker.ensure([mail]);
    await broker.publish([messageOf()]);
    const [first] = await broker.claim({ ...claim, leaseMs: 0 });
    assert.ok(first);
    await systemClock.sleep(5);
    const [second] = await broker.claim({ ...claim, suspects: true, owner: "p2/b1" });
    assert.equal(second?.delivery.attempt, 2);
    assert.equal((await broker.acknowledge([first]))[0], "lost");
    assert.equal(await broker.refuse(first, 0, true), false);
    await broker.renew([first], 0);
    assert.deepEqual(await broker.claim({ ...claim, suspects: true }), [], "the second still has it");
    assert.equal((await broker.acknowledge([second]))[0], "last");
  });

  it("claims a delivery whose holder was lost as a suspect only, and one that was refused as any other", async () => {
    const { tables: broker } = await tables("suspects");
    await broker.ensure([mail]);
    await broker.publish([messageOf(), messageOf()]);
    const [lost, refused] = await broker.claim({ ...claim, leaseMs: 0 });
    assert.ok(lost && refused);
    await broker.refuse(refused, 0, true);
    await systemClock.sleep(5);
    assert.deepEqual(await broker.findReady([mail.subscription, "other"]), [
      { subscription: mail.subscription, hasNormal: true, hasSuspect: true },
    ]);
    const normal = await broker.claim(claim);
    assert.deepEqual(
      normal.map(({ seq }) => seq),
      [refused.seq],
    );
    assert.deepEqual(
      (await broker.claim({ ...claim, suspects: true })).map(({ seq }) => seq),
      [lost.seq],
    );
  });

  it("has one suspect in hand at a time, while others flow", async () => {
    const { database, tables: broker } = await tables("one_suspect");
    await broker.ensure([mail]);
    await broker.publish(Array.from({ length: 3 }, () => messageOf({ payload: '"lost"' })));
    await broker.claim({ ...claim, owner: "dead/b1", leaseMs: 0 });
    await broker.publish([messageOf({ payload: '"new"' })]);
    const running = createDatabaseBroker({ database, lease: "1s" });
    await running.open();
    const gates = [createGate(), createGate(), createGate()];
    let lost = 0;
    const recorder = await record(running, {
      async then({ message }) {
        if (message.payload === '"lost"') await gates[lost++]?.opened;
      },
    });
    await until("a suspect and the other run", 5000, () => recorder.seen.length === 2);
    await systemClock.sleep(400);
    assert.equal(lost, 1);
    for (const gate of gates) gate.open();
    await until("all have run", 5000, () => recorder.seen.length === 4);
    await running.close();
  });

  it("on an engine of one process, has back at once what the process before it held", async () => {
    const { database, tables: broker } = await tables("restart");
    await broker.ensure([mail]);
    await broker.publish([messageOf()]);
    await broker.claim({ ...claim, owner: "dead/b1", leaseMs: 3_600_000 });
    const restarted = createDatabaseBroker({ database });
    await restarted.open();
    const recorder = await record(restarted);
    await until("it came", 5000, () => recorder.seen.length === 1);
    assert.equal(recorder.seen[0]?.attempt, 2);
    await restarted.close();
  });

  it("publishes as part of a transaction of the same database: with the commit, or not at all", async () => {
    const { database } = await tables("joined");
    const broker = createDatabaseBroker({ database });
    await broker.open();
    await broker.ensure([mail]);
    const service = await stage.service();
    const joined = await broker.joins?.(service);
    assert.ok(joined);
    const publishIn = (tx: Transaction, messages: readonly EventMessage[]) => {
      const rows = messages.map((message, seq) => ({ ...message, seq, hash: hashOf(message) }));
      const given = sql`select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(seq int, id uuid, hash text,
        type text, source text, key text, sequence bigint, payload text, at text, traceparent text, tracestate text)`;
      return tx.execute(sql`with ${joined.intake(given)} select 1`);
    };
    await assert.rejects(
      service.transaction(async (tx) => {
        await publishIn(tx, [messageOf()]);
        throw new Error("no");
      }),
    );
    assert.equal((await broker.stats())[0]?.pendingCount, 0);
    await service.transaction(async (tx) => void (await publishIn(tx, numbered("a", 2))));
    assert.equal((await broker.stats())[0]?.pendingCount, 2);
    await broker.close();
  });

  it("does not take another database for its own, not even one with the same tables", async () => {
    const { database } = await tables("plinth_broker");
    const broker = createDatabaseBroker({ database });
    const other = await openStage();
    const foreign = await other.service();
    assert.equal(await broker.joins?.(foreign), undefined, "no such tables");
    await migrateBroker(createDatabase({ driver: other.driver, schema: "plinth_broker" }));
    assert.equal(await broker.joins?.(foreign), undefined, "another identity");
    await other.close();
  });

  it("deletes old messages, but none that a subscription still has to see", async () => {
    const { database, tables: broker } = await tables("sweeping");
    await broker.ensure([mail]);
    await broker.publish([messageOf(), messageOf({ type: "shop.Closed" })]);
    assert.equal(await broker.deleteOld(60_000, 10), 0, "they are young");
    await systemClock.sleep(5);
    assert.equal(await broker.deleteOld(1, 10), 1);
    const [left] = await database.sql`select type from messages`;
    assert.equal(left?.type, "shop.Sold");
  });

  it("sweeps by the clock, and survives an engine that does not answer", async () => {
    const clock = createManualClock();
    const warnings: string[] = [];
    const driver = embeddedDriver();
    await driver.open();
    const database = createDatabase({ driver, schema: "plinth_broker" });
    const log = { warn: (_: unknown, text: string) => warnings.push(text), error: assert.fail };
    const broker = createDatabaseBroker({ database, clock, log });
    await broker.open();
    await broker.subscribe({ ...mail, concurrency: 1 }, async () => {
      throw new Redeliver(0);
    });
    await driver.close();
    for (let i = 0; i < 300; i++) await clock.advance(250);
    await broker.close();
    assert.deepEqual([...new Set(warnings)].sort(), [
      "old messages could not be deleted; it is tried again",
      "the broker's tables do not answer; it is tried again",
    ]);
  });

  it("says so when a lease was lost, and leaves the delivery to whoever has it now", async () => {
    const { database, tables: broker } = await tables("lost");
    const warnings: string[] = [];
    const log = { warn: (_: unknown, text: string) => warnings.push(text), error: assert.fail };
    const running = createDatabaseBroker({ database, log });
    await running.open();
    const gate = createGate();
    const recorder = await record(running, { then: () => gate.opened });
    await running.publish([messageOf()]);
    await until("it runs", 5000, () => recorder.seen.length === 1);
    await broker.expireOthers("nobody");
    await systemClock.sleep(5);
    const [taken] = await broker.claim({ ...claim, suspects: true });
    assert.ok(taken);
    gate.open();
    await until("it was told", 5000, () => warnings.length === 1);
    assert.deepEqual(warnings, ["the lease of a delivery was lost; it comes again"]);
    assert.equal((await broker.acknowledge([taken]))[0], "last");
    await running.close();
  });

  it("goes on when deliveries end after the engine is gone", async () => {
    const clock = createManualClock();
    const warnings: string[] = [];
    const driver = embeddedDriver();
    await driver.open();
    const database = createDatabase({ driver, schema: "plinth_broker" });
    const log = { warn: (_: unknown, text: string) => warnings.push(text), error: assert.fail };
    const broker = createDatabaseBroker({ database, clock, log, lease: "3s" });
    await broker.open();
    const gate = createGate();
    const recorder = await record(broker, { then: () => gate.opened });
    await broker.publish([messageOf()]);
    await until("it runs", 5000, async () => {
      await clock.advance(5);
      return recorder.seen.length === 1;
    });
    await driver.close();
    await clock.advance(1000);
    gate.open();
    await until("the end was tried", 5000, async () => {
      await clock.advance(5);
      return warnings.includes("the end of a delivery could not be noted; it comes again");
    });
    assert.ok(warnings.includes("leases could not be renewed; it is tried again"));
    await broker.close();
  });
});
