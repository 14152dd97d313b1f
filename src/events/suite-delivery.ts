import assert from "node:assert/strict";
import { isError, StartError, systemClock } from "../base/index.ts";
import { payloadBytesMax } from "./event.ts";
import { Redeliver } from "./redeliver.ts";
import type { BrokerClaim } from "./suite-claim.ts";
import { createGate, mail, messageOf, numbered, quiet, record, until } from "./suite-probe.ts";

/** What reaches whom. */
export const deliveryCases: readonly BrokerClaim[] = [
  {
    name: "delivers a message to every subscription of its type, with every field as it was",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const first = await record(broker);
      const second = await record(broker, { subscription: "stats.count" });
      const message = messageOf({
        payload: '{"text":"ä€😀\\u0000","n":1.50}',
        traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
        tracestate: "a=1",
        sequence: 9_007_199_254_740_991,
      });
      await broker.publish([message]);
      await until("both subscriptions have it", waitMsMax, () => first.seen.length > 0 && second.seen.length > 0);
      assert.deepEqual(first.seen[0]?.message, message);
      assert.deepEqual(second.seen[0]?.message, message);
      assert.equal(first.seen[0]?.attempt, 1);
    },
  },
  {
    name: "keeps from a subscription what it did not ask for",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker);
      await broker.publish([messageOf({ type: "shop.Closed" }), messageOf({ type: "shop.Sold" })]);
      await until("the message has come", waitMsMax, () => recorder.seen.length > 0);
      await quiet();
      assert.deepEqual(
        recorder.seen.map(({ message }) => message.type),
        ["shop.Sold"],
      );
    },
  },
  {
    name: "loses nothing between ensure and the first subscribe",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      await broker.ensure([mail]);
      const messages = Array.from({ length: 20 }, () => messageOf());
      await broker.publish(messages);
      await quiet();
      const recorder = await record(broker);
      await until("all have come", waitMsMax, () => new Set(recorder.ids()).size === messages.length);
    },
  },
  {
    name: "only ever adds types to a subscription",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      await broker.ensure([{ subscription: "mail.send", types: ["shop.Sold", "shop.Closed"] }]);
      await broker.ensure([{ subscription: "mail.send", types: ["shop.Sold"] }]);
      await broker.publish([messageOf({ type: "shop.Closed" })]);
      const recorder = await record(broker, { types: ["shop.Closed"] });
      await until("the message has come", waitMsMax, () => recorder.seen.length > 0);
    },
  },
  {
    name: "shares the messages of one subscription among its subscribers, each to one",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const other = await world.connect();
      const recorders = [
        await record(broker, { then: () => systemClock.sleep(10) }),
        await record(other, { then: () => systemClock.sleep(10) }),
      ];
      const messages = Array.from({ length: 40 }, () => messageOf());
      await broker.publish(messages);
      const ids = () => recorders.flatMap((recorder) => recorder.ids());
      await until("all have come", waitMsMax, () => new Set(ids()).size === messages.length);
      await quiet();
      assert.equal(ids().length, messages.length, "none came twice");
      assert.ok(
        recorders.every(({ seen }) => seen.length > 0),
        "both took part",
      );
    },
  },
  {
    name: "brings a refused message again after the delay, with its id and the attempts counted",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const times: number[] = [];
      const recorder = await record(broker, {
        async then({ attempt }) {
          times.push(systemClock.now());
          if (attempt < 3) throw new Redeliver(120);
        },
      });
      const message = messageOf();
      await broker.publish([message]);
      await until("it came three times", waitMsMax, () => recorder.seen.length === 3);
      assert.deepEqual(recorder.ids(), [message.id, message.id, message.id]);
      assert.deepEqual(
        recorder.seen.map(({ attempt }) => attempt),
        [1, 2, 3],
      );
      assert.ok((times[1] as number) - (times[0] as number) >= 110, "it waited");
      await quiet();
      assert.equal(recorder.seen.length, 3, "it is over once acknowledged");
    },
  },
  {
    name: "takes an attempt back that is not to be counted",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      let refusals = 0;
      const recorder = await record(broker, {
        async then() {
          if (refusals++ < 2) throw new Redeliver(10, { counted: false });
        },
      });
      await broker.publish([messageOf()]);
      await until("it came three times", waitMsMax, () => recorder.seen.length === 3);
      assert.deepEqual(
        recorder.seen.map(({ attempt }) => attempt),
        [1, 1, 1],
      );
    },
  },
  {
    name: "brings a message again whose handler threw anything at all",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker, {
        async then({ attempt }) {
          if (attempt === 1) throw "no error object";
        },
      });
      await broker.publish([messageOf()]);
      await until("it came twice", waitMsMax, () => recorder.seen.length === 2);
    },
  },
  {
    name: "runs no more than the agreed number at a time",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      let running = 0;
      let runningMax = 0;
      const recorder = await record(broker, {
        concurrency: 3,
        async then() {
          runningMax = Math.max(runningMax, ++running);
          await systemClock.sleep(20);
          running--;
        },
      });
      const messages = Array.from({ length: 15 }, () => messageOf());
      await broker.publish(messages);
      await until("all have come", waitMsMax, () => recorder.seen.length === messages.length);
      assert.equal(runningMax, 3);
    },
  },
  {
    name: "carries the largest payload unchanged",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker);
      const message = messageOf({ payload: JSON.stringify("x".repeat(payloadBytesMax - 2)) });
      await broker.publish([message]);
      await until("it came", waitMsMax, () => recorder.seen.length === 1);
      assert.equal(recorder.seen[0]?.message.payload, message.payload);
    },
  },
  {
    name: "keeps the id and the text of a message that is published twice",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker);
      const message = messageOf({ payload: '{"a":1}' });
      await broker.publish([message]);
      await broker.publish([message]);
      await until("it came", waitMsMax, () => recorder.seen.length >= 1);
      await quiet();
      for (const seen of recorder.seen) assert.deepEqual(seen.message, message);
    },
  },
  {
    name: "drops neither of two messages that share an id",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker);
      const message = messageOf({ payload: '{"a":1}' });
      await broker.publish([message]);
      await broker.publish([{ ...message, payload: '{"a":2}' }]);
      await until("both came", waitMsMax, () => new Set(recorder.seen.map((d) => d.message.payload)).size === 2);
    },
  },
  {
    name: "counts what waits and how long the oldest has",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const gate = createGate();
      await broker.ensure([mail]);
      await broker.publish(numbered("a", 3));
      await systemClock.sleep(50);
      const before = (await broker.stats()).find(({ subscription }) => subscription === mail.subscription);
      assert.equal(before?.pendingCount, 3);
      assert.ok((before?.oldestAgeMs as number) >= 40, `age ${before?.oldestAgeMs}`);
      const recorder = await record(broker, { then: () => gate.opened });
      await until("the first runs", waitMsMax, () => recorder.seen.length === 1);
      assert.equal((await broker.stats())[0]?.pendingCount, 3, "one that runs still counts");
      gate.open();
      await until("all are over", waitMsMax, async () => (await broker.stats())[0]?.pendingCount === 0);
      assert.equal((await broker.stats())[0]?.oldestAgeMs, 0);
    },
  },
  {
    name: "refuses a subscription that cannot work",
    async run(world) {
      const broker = await world.connect();
      for (const wrong of [
        { ...mail, concurrency: 0 },
        { ...mail, concurrency: 1.5 },
        { ...mail, types: [], concurrency: 1 },
        { ...mail, subscription: "two words", concurrency: 1 },
      ]) {
        await assert.rejects(
          async () => broker.subscribe(wrong, async () => {}),
          (thrown) => thrown instanceof StartError && thrown.reason === "SUBSCRIPTION_UNUSABLE" && !isError(thrown),
        );
      }
    },
  },
];
