import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock, error, isError, newId } from "../base/index.ts";
import { createAuditLog } from "./audit.ts";
import type { ConsumerOptions } from "./consumer.ts";
import { deadLetters } from "./dead-letters.ts";
import { enter, handlingOf, insertDead, openBooks, sale } from "./fixtures/books.ts";
import type { Sale, Stage } from "./fixtures/stage.ts";
import { effects, openStage, Sold } from "./fixtures/stage.ts";
import { createInbox } from "./inbox.ts";
import { Redeliver } from "./redeliver.ts";
import type { Subscription } from "./subscription.ts";
import { messageOf, until } from "./suite-probe.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());
const setUp = (subscription?: Partial<Subscription>, options?: Partial<ConsumerOptions>) =>
  openBooks(stage, subscription, options);

describe("dead letters", () => {
  it("holds what failed for the last time, and lets the key go on", async () => {
    const { database, broker, consumer, dead, errors } = await setUp({
      async handle({ key, n }: Sale, { tx }) {
        if (n === 1) throw new Error(`order 17 of ${newId()} is broken`);
        await enter(tx, key, n);
      },
    });
    const message = sale("a", 1, { traceparent: "tp", tracestate: "ts" });
    await broker.publish([message, sale("a", 2)]);
    await until("the next of the key", 5000, async () => (await effects(database)).length === 1);
    const { items, next } = await dead.list();
    assert.equal(items.length, 1);
    assert.equal(next, undefined);
    const [item] = items;
    assert.equal(item?.subscription, "books.enter");
    assert.equal(item?.messageId, message.id);
    assert.equal(item?.attempts, 3);
    assert.equal(item?.error.code, "internal");
    assert.match(item?.error.message ?? "", /order 17 of .* is broken/);
    assert.equal(item?.replaying, false);
    assert.match(item?.firstFailedAt ?? "", /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual((await dead.show(item?.id ?? ""))?.message, message);
    assert.deepEqual(errors, ["the event is a dead letter now"]);
    await consumer.drain();
  });

  it("gives equal failures one fingerprint, whatever their numbers and ids", async () => {
    const { broker, consumer, dead } = await setUp({
      retries: [],
      async handle({ n }: Sale) {
        throw new Error(n < 10 ? `order ${n} of ${newId()}` : "another thing");
      },
    });
    await broker.publish([sale("a", 1), sale("b", 2), sale("c", 10)]);
    await until("three are dead", 5000, async () => (await dead.count()) === 3);
    const { items } = await dead.list();
    assert.equal(new Set(items.map((item) => item.error.fingerprint)).size, 2);
    await consumer.drain();
  });

  it("takes at once what fails for good, and what this version cannot read, without burning attempts", async () => {
    let runs = 0;
    const { broker, consumer, dead } = await setUp({
      retries: [60_000],
      async handle() {
        runs++;
        throw error("invalid_argument", "never", { reason: "NEVER" });
      },
    });
    await broker.ensure([{ subscription: "books.enter", types: ["shop.Closed"] }]);
    await broker.publish([
      sale("a", 1),
      messageOf({ payload: '{"key":"b"}' }),
      messageOf({ payload: "{not \0 json" }),
      messageOf({ type: "shop.Closed" }),
    ]);
    await until("all are dead", 5000, async () => (await dead.count()) === 4);
    const reasons = (await dead.list()).items.map((item) => item.error.reason);
    assert.deepEqual(reasons.sort(), [
      "EVENT_PAYLOAD_INCOMPATIBLE",
      "EVENT_PAYLOAD_INCOMPATIBLE",
      "EVENT_TYPE_UNKNOWN",
      "NEVER",
    ]);
    assert.equal(runs, 1);
    assert.equal(await dead.count({ type: "shop.Closed" }), 1);
    assert.equal(await dead.count({ subscription: "other" }), 0);
    await consumer.drain();
  });

  it("takes two messages of one id apart: the second is no duplicate, and cannot be replayed", async () => {
    const { database, broker, consumer, dead } = await setUp();
    const message = sale("a", 1);
    await broker.publish([message, { ...message, payload: '{"key":"a","n":2}' }]);
    await until("the second is dead", 5000, async () => (await dead.count()) === 1);
    const [item] = (await dead.list()).items;
    assert.equal(item?.error.reason, "EVENT_ID_COLLISION");
    assert.deepEqual(await effects(database), [{ key: "a", n: 1 }]);
    await assert.rejects(dead.replay([item?.id ?? ""]), /discard it/);
    assert.equal(await dead.discard([item?.id ?? ""]), 1);
    await consumer.drain();
  });

  it("takes what ran out of attempts without an answer, unless it took effect after all", async () => {
    const { database, broker, consumer, dead } = await setUp();
    const [lost, done] = [sale("a", 1), sale("b", 2)];
    const inbox = createInbox(database.schema);
    const { handling } = await handlingOf(database);
    await broker.publish([done]);
    await until("one is done", 5000, async () => (await effects(database)).length === 1);
    assert.equal(await handling({ message: lost, attempt: 4 }), "dead");
    assert.equal(await handling({ message: done, attempt: 4 }), "done");
    const [item] = (await dead.list()).items;
    assert.equal(item?.error.reason, "EVENT_ATTEMPTS_EXHAUSTED");
    assert.equal(await dead.count(), 1);
    assert.equal(await inbox.deleteOld(database, 0, 10), 1);
    await consumer.drain();
  });

  it("brings an event again that cannot be written down, without counting it", async () => {
    const { database, consumer } = await setUp();
    await consumer.drain();
    await database.sql`alter table plinth_dead_letters rename to gone`;
    const { handling } = await handlingOf(database);
    await assert.rejects(
      handling({ message: sale("a", 1), attempt: 4 }),
      (thrown) => thrown instanceof Redeliver && !thrown.counted && thrown.delayMs === 5000,
    );
  });

  it("replays under the same id, with the attempts counted anew, until it succeeds", async () => {
    let broken = true;
    const seen: { id: string; attempt: number }[] = [];
    const { database, broker, consumer, dead } = await setUp({
      retries: [10],
      async handle({ key, n }: Sale, { tx, message, attempt }) {
        seen.push({ id: message.id, attempt });
        if (broken || (seen.length === 3 && attempt === 1)) throw new Error("broken");
        await enter(tx, key, n);
      },
    });
    const message = sale("a", 1);
    await broker.publish([message]);
    await until("it is dead", 5000, async () => (await dead.count()) === 1);
    broken = false;
    const [item] = (await dead.list()).items;
    const ids = [item?.id ?? "", "no id at all", newId()];
    assert.equal(await dead.replay(ids), 1);
    assert.equal(await dead.replay(ids), 0, "it is asked for already");
    await until("the effect", 10_000, async () => (await effects(database)).length === 1);
    await until("it is no dead letter any more", 5000, async () => (await dead.count()) === 0);
    assert.deepEqual(
      seen.map(({ attempt }) => attempt),
      [1, 2, 1, 2],
    );
    assert.equal(new Set(seen.map(({ id }) => id)).size, 1);
    await consumer.drain();
  });

  it("keeps what fails again in a replay, with the attempts added up, and tells the handler that it is one", async () => {
    const replayed: boolean[] = [];
    const { broker, consumer, dead } = await setUp({
      retries: [],
      async handle(_, delivery) {
        replayed.push(delivery.replayed);
        throw new Error("broken");
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is dead", 5000, async () => (await dead.count()) === 1);
    const [item] = (await dead.list()).items;
    await dead.replay([item?.id ?? ""]);
    assert.equal((await dead.show(item?.id ?? ""))?.replaying, true);
    await until("the replay failed", 5000, async () => (await dead.show(item?.id ?? ""))?.replaying === false);
    assert.equal((await dead.show(item?.id ?? ""))?.attempts, 2);
    assert.deepEqual(replayed, [false, true]);
    await consumer.drain();
  });

  it("does not run what was discarded, even when the broker brings it again", async () => {
    const { database, broker, consumer, dead, stats } = await setUp({
      retries: [],
      async handle({ key, n }: Sale, { tx }) {
        if ((await effects(database)).length === -1) return;
        await enter(tx, key, n);
      },
    });
    await consumer.drain();
    const message = sale("a", 1);
    await insertDead(database, message);
    assert.equal(await dead.discard([(await dead.list()).items[0]?.id ?? ""]), 1);
    assert.equal(await dead.discard([newId()]), 0);
    const { handling } = await handlingOf(database);
    assert.equal(await handling({ message, attempt: 1 }), "done");
    assert.deepEqual(await effects(database), []);
    assert.equal(stats().handledCount, 0);
    void broker;
  });

  it("lists page by page, oldest first", async () => {
    const { database, consumer, dead } = await setUp();
    await consumer.drain();
    for (let n = 0; n < 5; n++) await insertDead(database, sale("a", n));
    const first = await dead.list({ limit: 2 });
    const second = await dead.list({ limit: 2, ...(first.next && { after: first.next }) });
    const third = await dead.list({ limit: 2, ...(second.next && { after: second.next }) });
    assert.deepEqual([first.items.length, second.items.length, third.items.length], [2, 2, 1]);
    assert.equal(third.next, undefined);
    const ids = [first, second, third].flatMap(({ items }) => items.map(({ id }) => id));
    assert.deepEqual(ids, [...ids].sort());
    assert.equal((await dead.list({ subscription: "books.enter", type: "shop.Sold" })).items.length, 5);
    assert.equal(await dead.show("nothing"), undefined);
    assert.equal(await dead.show(newId()), undefined);
  });

  it("keeps the id of a dead letter in the inbox however old it is", async () => {
    const { database, consumer } = await setUp();
    await consumer.drain();
    const inbox = createInbox(database.schema);
    const [dead, gone] = [sale("a", 1), sale("a", 2)];
    await insertDead(database, dead);
    for (const message of [dead, gone]) {
      await database.sql`insert into plinth_inbox (subscription, message_id, payload_hash, at)
        values ('books.enter', ${message.id}, 'x', now() - interval '30 days')`;
    }
    assert.equal(await inbox.deleteOld(database, 7 * 86_400_000, 10), 1);
    const [left] = await database.sql`select message_id from plinth_inbox`;
    assert.equal(left?.message_id, dead.id);
  });

  it("knows when the message failed first, not only when it was given up", async () => {
    const { broker, consumer, dead } = await setUp({
      retries: [400],
      async handle() {
        throw new Error("broken");
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is dead", 5000, async () => (await dead.count()) === 1);
    const [item] = (await dead.list()).items;
    const apart = Date.parse(item?.lastFailedAt ?? "") - Date.parse(item?.firstFailedAt ?? "");
    assert.ok(apart >= 300 && apart < 5000, `${apart} ms`);
    await consumer.drain();
  });

  it("tells once of what this version cannot read, and then how many more there were", async () => {
    const clock = createManualClock();
    const told: unknown[] = [];
    const log = {
      warn() {},
      error: (fields: { reason?: string; untold?: number }) => told.push([fields.reason, fields.untold]),
    };
    const database = await stage.service();
    const { handling } = await handlingOf(database, { clock, log });
    const unread = (attempt: number) => handling({ message: messageOf({ type: "shop.Closed" }), attempt });
    for (let i = 0; i < 20; i++) assert.equal(await unread(1), "dead");
    assert.deepEqual(told, [["EVENT_TYPE_UNKNOWN", undefined]]);
    await clock.advance(60_000);
    await unread(1);
    assert.deepEqual(told[1], ["EVENT_TYPE_UNKNOWN", 19]);
    const { items } = await deadLetters(database).list();
    assert.ok(
      items.every(({ attempts }) => attempts === 0),
      "no handler saw it",
    );
  });

  it("takes another payload, under the same id: the repeat of what was announced is still a repeat", async () => {
    const { database, broker, consumer, dead, stats } = await setUp({
      retries: [],
      async handle({ key, n }: Sale, { tx }) {
        if (n === 1) throw new Error("broken");
        await enter(tx, key, n);
      },
    });
    const message = sale("a", 1);
    await broker.publish([message]);
    await until("it is dead", 5000, async () => (await dead.count()) === 1);
    const id = (await dead.list()).items[0]?.id ?? "";
    const refused = (payload: string, reason: string) =>
      assert.rejects(dead.edit(id, payload, { type: Sold }), (thrown) => isError(thrown, reason));
    await refused("{", "EVENT_PAYLOAD_INCOMPATIBLE");
    await refused('{"key":"a"}', "EVENT_PAYLOAD_INCOMPATIBLE");
    await refused(JSON.stringify({ key: "a", n: 2, more: "x".repeat(300_000) }), "EVENT_PAYLOAD_INCOMPATIBLE");
    await refused('{"key":"b","n":2}', "EVENT_KEY_CHANGED");
    await assert.rejects(dead.edit(id, "\0"), (thrown) => isError(thrown, "EVENT_PAYLOAD_INCOMPATIBLE"));
    assert.equal(await dead.edit(newId(), "{}"), false);
    assert.equal(await dead.edit("no id", "{}"), false);
    const by = { actor: "ada", reason: "the price was wrong" };
    assert.equal(await dead.edit(id, '{"n":7, "key":"a"}', { type: Sold, by }), true);
    assert.equal(await dead.edit(id, '{"key":"a","n":2}', { type: Sold, by }), true);
    const shown = await dead.show(id);
    assert.equal(shown?.message.id, message.id);
    assert.equal(shown?.message.payload, '{"key":"a","n":2}');
    assert.equal(shown?.originalPayload, message.payload, "of all its versions the first");
    await dead.replay([id], by);
    await assert.rejects(dead.edit(id, '{"key":"a","n":3}'), (thrown) => isError(thrown, "DEAD_LETTER_BUSY"));
    await until("the effect", 5000, async () => (await effects(database)).length === 1);
    await until("it is no dead letter any more", 5000, async () => (await dead.count()) === 0);
    await broker.publish([message]);
    await until("the repeat was let go", 5000, () => stats().duplicateCount === 1);
    assert.deepEqual(await effects(database), [{ key: "a", n: 2 }]);
    assert.deepEqual(
      (await dead.audit({ deadLetter: id })).map(({ action, actor, reason, before, after }) => [
        action,
        actor,
        reason,
        before !== after,
      ]),
      [
        ["dead letter replayed", "ada", by.reason, false],
        ["dead letter edited", "ada", by.reason, true],
        ["dead letter edited", "ada", by.reason, true],
      ],
    );
    await consumer.drain();
  });

  it("stays the edited one when its replay fails", async () => {
    const { broker, consumer, dead } = await setUp({
      retries: [],
      async handle() {
        throw new Error("broken");
      },
    });
    await broker.publish([sale("a", 1)]);
    await until("it is dead", 5000, async () => (await dead.count()) === 1);
    const id = (await dead.list()).items[0]?.id ?? "";
    await dead.edit(id, '{"key":"a","n":2}');
    await dead.replay([id]);
    await until("the replay failed", 5000, async () => (await dead.show(id))?.attempts === 2);
    assert.equal(await dead.count(), 1);
    assert.equal((await dead.show(id))?.message.payload, '{"key":"a","n":2}');
    await consumer.drain();
  });

  it("leaves a line behind for whatever was done to it, by whom and why", async () => {
    const { database, consumer, dead } = await setUp();
    await consumer.drain();
    await insertDead(database, sale("a", 1));
    const id = (await dead.list()).items[0]?.id ?? "";
    await dead.discard([id], { actor: "grace" });
    await dead.discard([id], { actor: "nobody does it twice" });
    const [entry, ...more] = await dead.audit({ subscription: "books.enter", limit: 5 });
    assert.deepEqual(more, []);
    assert.equal(entry?.action, "dead letter discarded");
    assert.equal(entry?.actor, "grace");
    assert.equal(entry?.after, undefined, "nothing is left of it");
    assert.match(entry?.before ?? "", /^[0-9a-f]{16}$/);
    assert.match(entry?.at ?? "", /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    await database.sql`update plinth_event_audit set at = now() - interval '401 days'`;
    assert.equal(await createAuditLog(database).deleteOld(10), 1);
  });
});
