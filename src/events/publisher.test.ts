import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock, isError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import type { EventType } from "./event.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage, Sold } from "./fixtures/stage.ts";
import type { PublishOptions } from "./publisher.ts";
import { createPublisher } from "./publisher.ts";

describe("publisher", () => {
  let stage: Stage;
  let database: Database;
  before(async () => {
    stage = await openStage();
  });
  after(() => stage.close());

  const outboxOf = (db: Database) =>
    db.sql`select *, payload::text as text, published_at from plinth_outbox order by seq`;
  const setUp = async (extra: Partial<Parameters<typeof createPublisher>[0]> = {}) => {
    database = await stage.service();
    const clock = createManualClock();
    return { clock, publisher: createPublisher({ service: "shop", database, clock, ...extra }) };
  };

  it("writes the event into the transaction of the change, with everything the consumer needs", async () => {
    const { publisher } = await setUp();
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const trace = {
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      sampled: true,
      tracestate: "x=1",
      traceparent: () => traceparent,
    };
    const id = await database.transaction((tx) => publisher.publish(Sold, { key: "k", n: 1 }, { in: tx, trace }));
    const [row] = await outboxOf(database);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.equal(row?.id, id);
    assert.equal(row?.type, "shop.Sold");
    assert.equal(row?.key, "k");
    assert.equal(row?.text, '{"key":"k","n":1}');
    assert.equal(row?.at, "2023-11-14T22:13:20.000Z");
    assert.equal(row?.traceparent, traceparent);
    assert.equal(row?.tracestate, "x=1");
    assert.equal(row?.published_at, null);
  });

  it("leaves nothing behind when the transaction is rolled back, and wakes nobody", async () => {
    let woken = 0;
    const { publisher } = await setUp({ wake: () => woken++ });
    await assert.rejects(
      database.transaction(async (tx) => {
        await publisher.publish(Sold, { key: "k", n: 1 }, { in: tx });
        throw new Error("no");
      }),
    );
    assert.deepEqual(await outboxOf(database), []);
    assert.equal(woken, 0);
  });

  it("wakes the relay once for a commit, after it", async () => {
    const woken: string[] = [];
    const { publisher } = await setUp({ wake: () => woken.push("wake"), crashPoint: (name) => woken.push(name) });
    await database.transaction(async (tx) => {
      await publisher.publish(Sold, { key: "a", n: 1 }, { in: tx });
      await publisher.publish(Sold, { key: "b", n: 2 }, { in: tx });
      assert.deepEqual(woken, []);
    });
    assert.deepEqual(woken, ["outbox.committed", "wake"]);
  });

  it("drops undeclared fields", async () => {
    const { publisher } = await setUp();
    const payload = { key: "k", n: 1, secret: "x" };
    await database.transaction((tx) => publisher.publish(Sold, payload, { in: tx }));
    assert.equal((await outboxOf(database))[0]?.text, '{"key":"k","n":1}');
  });

  it("keeps what was given where the schema's own library transforms: each reader parses it anew", async () => {
    const { publisher } = await setUp();
    const Typed: EventType<any> = {
      ...Sold,
      payload: { native: false, parse: ({ key, n }: any) => ({ key, n: `parsed ${n}` }), stringify: () => "not used" },
      keyOf: ({ key, n }) => `${key}${n}`,
    };
    await database.transaction((tx) => publisher.publish(Typed, { key: "k", n: 1 }, { in: tx }));
    const [row] = await outboxOf(database);
    assert.equal(row?.text, '{"key":"k","n":1}');
    assert.equal(row?.key, "k1");
  });

  it("refuses a wrong payload at once, also when nobody awaits", async () => {
    const { publisher } = await setUp();
    await database.transaction(async (tx) => {
      const wrong = { key: "k" } as unknown as { key: string; n: number };
      assert.throws(() => publisher.publish(Sold, wrong, { in: tx }), /a sale has a key and a number/);
    });
    assert.deepEqual(await outboxOf(database), []);
  });

  it("refuses to publish without a transaction", async () => {
    const { publisher } = await setUp();
    const refused = (thrown: unknown) =>
      isError(thrown, "OUTBOX_WITHOUT_TRANSACTION") &&
      /publish\(type, payload, \{ in: tx \}\)/.test(String(thrown.detail));
    for (const options of [undefined, {}, { in: database }]) {
      assert.throws(() => publisher.publish(Sold, { key: "k", n: 1 }, options as unknown as PublishOptions), refused);
    }
  });

  it("refuses events of other services, long keys, keys with NUL, and large payloads", async () => {
    const { publisher } = await setUp({ payloadBytesMax: 400 });
    const payload = { key: "k", n: 1 };
    const foreign = { ...Sold, service: "store", name: "store.Sold" };
    const reasonOf = (run: (tx: Transaction) => unknown, reason: string) =>
      database.transaction(async (tx) => {
        assert.throws(
          () => run(tx),
          (thrown) => isError(thrown, reason) && thrown.executed === "no",
        );
      });
    await reasonOf((tx) => publisher.publish(foreign, payload, { in: tx }), "EVENT_NOT_OURS");
    await reasonOf((tx) => publisher.publish(Sold, { key: "k".repeat(257), n: 1 }, { in: tx }), "EVENT_KEY_UNUSABLE");
    await reasonOf((tx) => publisher.publish(Sold, { key: "\0", n: 1 }, { in: tx }), "EVENT_KEY_UNUSABLE");
    await reasonOf(
      (tx) => publisher.publish({ ...Sold, keyOf: () => 7 as unknown as string }, payload, { in: tx }),
      "EVENT_KEY_UNUSABLE",
    );
    await reasonOf((tx) => publisher.publish(Sold, { key: "ä".repeat(200), n: 1 }, { in: tx }), "EVENT_TOO_LARGE");
  });
});
