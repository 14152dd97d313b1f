import assert from "node:assert/strict";
import { createSeededRandom, systemClock } from "../base/index.ts";
import type { Broker, Delivery } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { Redeliver } from "./redeliver.ts";
import type { BrokerClaim } from "./suite-claim.ts";
import type { Recorder } from "./suite-probe.ts";
import { messageOf, record, until } from "./suite-probe.ts";

/** Many at once: publishers, subscribers, failures and deaths. */
export const loadCases: readonly BrokerClaim[] = [
  {
    name: "loses nothing and keeps the order of each key with 6 publishers and 4 subscribers",
    needs: ["ordered"],
    async run(world, waitMsMax) {
      const brokers = [await world.connect(), await world.connect()];
      const ledger = createLedger();
      const recorders: Recorder[] = [];
      const then = async (delivery: Delivery) => {
        const end = ledger.begin(delivery);
        await systemClock.sleep(1);
        end(true);
      };
      for (const broker of [...brokers, ...brokers]) recorders.push(await record(broker, { concurrency: 5, then }));
      await publishFromMany(brokers, { publishers: 6, keys: 3, each: 10 });
      await until("all have come", waitMsMax, () => ledger.handled() === 180);
      assert.deepEqual(ledger.problems, []);
      for (const recorder of recorders) assert.ok(recorder.seen.length > 0, "each subscriber took part");
    },
  },
  {
    name: "loses nothing and keeps the order of each key while one delivery in four fails",
    needs: ["ordered"],
    async run(world, waitMsMax) {
      const brokers = [await world.connect(), await world.connect()];
      const random = createSeededRandom(5);
      const ledger = createLedger();
      for (const broker of brokers) {
        await record(broker, {
          concurrency: 6,
          async then(delivery) {
            const end = ledger.begin(delivery);
            await systemClock.sleep(1);
            const fails = random.next() < 0.25;
            end(!fails);
            if (fails) throw new Redeliver(random.next() * 20);
          },
        });
      }
      await publishFromMany(brokers, { publishers: 4, keys: 3, each: 10 });
      await until("all have been handled", waitMsMax, () => ledger.handled() === 120);
      assert.deepEqual(ledger.problems, []);
    },
  },
  {
    name: "loses nothing and keeps the order of each key when a consumer is killed under load",
    needs: ["ordered", "multipleProcesses", "kills"],
    async run(world, waitMsMax) {
      const [doomed, other] = [await world.connect(), await world.connect()];
      const ledger = createLedger();
      let isDead = false;
      await record(doomed, {
        concurrency: 6,
        async then(delivery) {
          const end = ledger.begin(delivery, "doomed");
          await systemClock.sleep(3);
          // What a dead process was at is without an effect.
          end(!isDead);
          if (isDead) throw new Error("dead");
        },
      });
      const publishing = publishFromMany([other], { publishers: 3, keys: 4, each: 10 });
      await until("it is at work", waitMsMax, () => ledger.handled() > 5);
      isDead = true;
      await world.kill?.(doomed);
      ledger.forget("doomed");
      await record(other, {
        concurrency: 6,
        async then(delivery) {
          const end = ledger.begin(delivery);
          await systemClock.sleep(1);
          end(true);
        },
      });
      await publishing;
      await until("all have been handled", waitMsMax, () => ledger.handled() === 120);
      assert.deepEqual(ledger.problems, []);
    },
  },
  {
    name: "keeps a parked key apart from many others, and shows it",
    needs: ["ordered"],
    async run(world, waitMsMax) {
      const brokers = [await world.connect(), await world.connect()];
      const ledger = createLedger();
      let isBroken = true;
      for (const broker of brokers) {
        await record(broker, {
          concurrency: 4,
          async then(delivery) {
            const end = ledger.begin(delivery);
            const fails = isBroken && delivery.message.key.endsWith("-0");
            end(!fails);
            if (fails) throw new Redeliver(1500);
          },
        });
      }
      // Three publishers, so three keys that end so; twelve others.
      await publishFromMany(brokers, { publishers: 3, keys: 5, each: 6 });
      await until("all others have been handled", waitMsMax, () => ledger.handled() === 72);
      // What came after them waits as well.
      await until("three are parked in front of fifteen", waitMsMax, async () => {
        const { parkedCount, pendingCount } = await statsOf(brokers);
        return parkedCount === 3 && pendingCount === 18;
      });
      isBroken = false;
      await until("those too", waitMsMax, () => ledger.handled() === 90);
      await until("none is parked", waitMsMax, async () => (await statsOf(brokers)).parkedCount === 0);
      assert.deepEqual(ledger.problems, []);
    },
  },
];

async function statsOf([broker]: readonly Broker[]) {
  const found = (await broker?.stats())?.find(({ subscription }) => subscription === "mail.send");
  assert.ok(found);
  return found;
}

interface Load {
  readonly publishers: number;
  /** Each publisher has keys of its own. */
  readonly keys: number;
  readonly each: number;
}

async function publishFromMany(brokers: readonly Broker[], { publishers, keys, each }: Load): Promise<void> {
  await Promise.all(
    Array.from({ length: publishers }, async (_, p) => {
      const broker = brokers[p % brokers.length] as Broker;
      for (let n = 0; n < each; n++) {
        const messages: EventMessage[] = [];
        for (let k = 0; k < keys; k++) messages.push(messageOf({ key: `${p}-${k}`, sequence: n + 1 }));
        await broker.publish(messages);
      }
    }),
  );
}

/** Checks as they happen: one of a key at a time, and each key's numbers in order, those seen before left out. */
function createLedger() {
  const last = new Map<string, number>();
  const running = new Map<string, string>();
  const problems: string[] = [];
  return {
    problems,
    handled: () => [...last.values()].reduce((sum, count) => sum + count, 0),
    forget(who: string) {
      for (const [key, holder] of running) if (holder === who) running.delete(key);
    },
    begin({ message: { key, sequence = 0 }, attempt }: Delivery, who = "anybody"): (success: boolean) => void {
      // A machine that is too slow for the lease brings one again while it runs.
      if (running.has(key) && attempt === 1) problems.push(`${key} runs twice at a time`);
      running.set(key, who);
      return (success) => {
        if (running.get(key) === who) running.delete(key);
        const before = last.get(key) ?? 0;
        if (!success || sequence <= before) return;
        if (sequence !== before + 1) problems.push(`${key}: ${sequence} came after ${before}`);
        last.set(key, sequence);
      };
    },
  };
}
