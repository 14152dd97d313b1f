import assert from "node:assert/strict";
import { systemClock } from "../base/index.ts";
import type { Delivery } from "./driver.ts";
import { Redeliver } from "./redeliver.ts";
import type { BrokerClaim } from "./suite-claim.ts";
import { messageOf, numbered, record, until } from "./suite-probe.ts";

const numberOf = ({ message }: Delivery): number => JSON.parse(message.payload).n;

/** What comes after what. */
export const orderCases: readonly BrokerClaim[] = [
  {
    name: "keeps the order of a key, one at a time, whatever else runs and whoever takes it",
    needs: ["ordered"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const other = await world.connect();
      const seen = new Map<string, number[]>();
      const running = new Set<string>();
      const then = async (delivery: Delivery) => {
        const { key } = delivery.message;
        assert.ok(!running.has(key), `${key} runs twice at a time`);
        running.add(key);
        const before = seen.get(key) ?? [];
        // On a machine that is too slow for the lease one may come again; in its place it stays.
        if (!before.includes(numberOf(delivery))) seen.set(key, [...before, numberOf(delivery)]);
        await systemClock.sleep(numberOf(delivery) % 3);
        running.delete(key);
      };
      await record(broker, { then, concurrency: 8 });
      await record(other, { then, concurrency: 8 });
      const keys = ["a", "b", "c", "d", "e"].map((key) => numbered(key, 12));
      for (let i = 0; i < 12; i += 3) await broker.publish(keys.flatMap((messages) => messages.slice(i, i + 3)));
      await until("all have come", waitMsMax, () => [...seen.values()].flat().length >= 60);
      for (const numbers of seen.values()) {
        assert.deepEqual(
          numbers,
          Array.from({ length: 12 }, (_, i) => i),
        );
      }
    },
  },
  {
    name: "parks the key of a refused message and lets the others pass",
    needs: ["ordered"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const log: string[] = [];
      await record(broker, {
        concurrency: 2,
        async then(delivery) {
          const name = `${delivery.message.key}${numberOf(delivery)}`;
          log.push(name);
          if (name === "a0" && delivery.attempt === 1) throw new Redeliver(3_000);
        },
      });
      const [a, b] = [numbered("a", 3), numbered("b", 10)];
      await broker.publish([...a, ...b]);
      await until("all have come", waitMsMax, () => log.includes("a2") && log.includes("b9"));
      const again = log.lastIndexOf("a0");
      assert.ok(log.indexOf("b4") < again, `the others passed: ${log.join(" ")}`);
      assert.ok(log.indexOf("a1") > again, `the key waited: ${log.join(" ")}`);
      assert.deepEqual(
        log.filter((name) => name.startsWith("a")),
        ["a0", "a0", "a1", "a2"],
      );
    },
  },
  {
    name: "does not let the keys of two services wait for each other",
    needs: ["ordered"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const log: string[] = [];
      await record(broker, {
        async then({ message, attempt }) {
          log.push(message.source);
          if (message.source === "shop" && attempt === 1) throw new Redeliver(5_000);
        },
      });
      await broker.publish([messageOf({ key: "1" }), messageOf({ key: "1", source: "store" })]);
      await until("the other one has come", waitMsMax, () => log.includes("store"));
    },
  },
  {
    name: "does not let one subscription wait for another",
    async run(world, waitMsMax) {
      const broker = await world.connect();
      await record(broker, {
        async then() {
          throw new Redeliver(5_000);
        },
      });
      const other = await record(broker, { subscription: "stats.count" });
      const messages = numbered("a", 5);
      await broker.publish(messages);
      await until("all have come", waitMsMax, () => other.seen.length === messages.length);
    },
  },
];
