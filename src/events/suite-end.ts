import assert from "node:assert/strict";
import { systemClock } from "../base/index.ts";
import type { BrokerClaim } from "./suite-claim.ts";
import { createGate, mail, messageOf, numbered, quiet, record, until } from "./suite-probe.ts";

/** What happens when somebody stops, and when somebody dies. */
export const endCases: readonly BrokerClaim[] = [
  {
    name: "stop waits for what runs and takes nothing new; the rest comes to the next subscriber",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const gate = createGate();
      const first = await record(broker, { concurrency: 1, then: () => gate.opened });
      const messages = Array.from({ length: 5 }, () => messageOf());
      await broker.publish(messages);
      await until("the first runs", waitMsMax, () => first.seen.length === 1);
      let stopped = false;
      const stopping = first.subscribed.stop().then(() => {
        stopped = true;
      });
      await quiet();
      assert.equal(stopped, false, "it waits");
      gate.open();
      await stopping;
      assert.equal(first.seen.length, 1, "nothing new");
      const second = await record(broker);
      await until("the rest has come", waitMsMax, () => second.seen.length === 4);
      await quiet();
      assert.equal(new Set([...first.ids(), ...second.ids()]).size, 5);
      assert.equal(second.seen.length, 4, "what the first finished does not come again");
    },
  },
  {
    name: "close in mid delivery loses nothing",
    needs: ["multipleProcesses"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const gate = createGate();
      const first = await record(broker, { concurrency: 2, then: () => gate.opened });
      const messages = Array.from({ length: 6 }, () => messageOf());
      await broker.publish(messages);
      await until("two run", waitMsMax, () => first.seen.length === 2);
      const closing = broker.close();
      gate.open();
      await closing;
      const second = await record(await world.connect());
      await until("the rest has come", waitMsMax, () => new Set([...first.ids(), ...second.ids()]).size === 6);
    },
  },
  {
    name: "keeps what was published when every process ends",
    needs: ["durable"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      await broker.ensure([mail]);
      const messages = Array.from({ length: 3 }, () => messageOf());
      await broker.publish(messages);
      await broker.close();
      const recorder = await record(await world.connect());
      await until("all have come", waitMsMax, () => recorder.seen.length === 3);
    },
  },
  {
    name: "brings again what a killed consumer had, with the attempt counted, and in order",
    needs: ["multipleProcesses", "kills"],
    async run(world, waitMsMax) {
      const [doomed, other] = [await world.connect(), await world.connect()];
      const gate = createGate();
      const lost = await record(doomed, { concurrency: 1, then: () => gate.opened });
      const messages = numbered("a", 3);
      await other.publish(messages);
      await until("the first runs", waitMsMax, () => lost.seen.length === 1);
      await world.kill?.(doomed);
      const recorder = await record(other);
      await until("all have come", waitMsMax, () => recorder.seen.length === 3);
      assert.deepEqual(
        recorder.ids(),
        messages.map(({ id }) => id),
      );
      assert.deepEqual(
        recorder.seen.map(({ attempt }) => attempt),
        [2, 1, 1],
      );
      gate.open();
    },
  },
  {
    name: "keeps a delivery that takes long with the one who has it",
    async run(world, waitMsMax) {
      const [broker, other] = [await world.connect(), await world.connect()];
      const seen: string[] = [];
      const then = async () => systemClock.sleep(2_500);
      const recorders = [await record(broker, { then }), await record(other, { then })];
      const message = messageOf();
      await broker.publish([message]);
      await until("it is over", waitMsMax, async () => {
        seen.splice(0, seen.length, ...recorders.flatMap((recorder) => recorder.ids()));
        return seen.length > 0 && (await broker.stats())[0]?.pendingCount === 0;
      });
      assert.deepEqual(seen, [message.id]);
    },
  },
];
