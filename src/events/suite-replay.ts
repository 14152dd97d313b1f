import assert from "node:assert/strict";
import { isError, systemClock } from "../base/index.ts";
import type { Broker, ReplayProgress, ReplayRequest } from "./driver.ts";
import { Redeliver } from "./redeliver.ts";
import type { BrokerClaim } from "./suite-claim.ts";
import { createGate, mail, messageOf, numbered, quiet, record, until } from "./suite-probe.ts";

/** What comes again because somebody asks for it, and what never comes again. */
export const replayCases: readonly BrokerClaim[] = [
  {
    name: "replays what was published, under the same ids, in the order of each key, and says that it does",
    needs: ["replays"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker, { concurrency: 8 });
      const other = await record(broker, { subscription: "stats.count" });
      const messages = [...numbered("a", 5), ...numbered("b", 5)].map((message, n) => ({
        ...message,
        sequence: n + 1,
      }));
      await broker.publish(messages);
      await until("all have come", waitMsMax, () => recorder.seen.length === 10 && other.seen.length === 10);
      await settled(broker, waitMsMax);
      const plan = await broker.planReplay?.(everything);
      assert.deepEqual(
        { ...plan, keptSince: typeof plan?.keptSince },
        { messageCount: 10, pendingCount: 0, keptSince: "string" },
      );
      const { deliveredCount, id } = await replay(broker, everything);
      assert.equal(deliveredCount, 10);
      await until("all have come again", waitMsMax, () => recorder.seen.length === 20);
      await quiet();
      const again = recorder.seen.slice(10);
      for (const key of ["a", "b"]) {
        const of = (all: readonly { readonly id: string; readonly key: string }[]) =>
          all.filter((message) => message.key === key).map((message) => message.id);
        assert.deepEqual(of(again.map(({ message }) => message)), of(messages));
      }
      assert.deepEqual(new Set(again.map(({ message }) => message.sequence)).size, 10, "with their numbers");
      assert.ok(again.every(({ replay: by, attempt }) => by?.id === id && !by.again && attempt === 1));
      assert.ok(recorder.seen.slice(0, 10).every((delivery) => delivery.replay === undefined));
      assert.equal(other.seen.length, 10, "nobody else gets them");
    },
  },
  {
    name: "replays only the time and the types that were asked for, and only what the subscription listens to",
    needs: ["replays"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker, { types: ["shop.Sold", "shop.Closed"] });
      const [early, closed, late] = [messageOf(), messageOf({ type: "shop.Closed" }), messageOf()];
      await broker.publish([early, messageOf({ type: "shop.Opened" })]);
      await systemClock.sleep(20);
      const from = now();
      await systemClock.sleep(20);
      await broker.publish([closed]);
      await systemClock.sleep(20);
      const to = now();
      await systemClock.sleep(20);
      await broker.publish([late]);
      await until("all have come", waitMsMax, () => recorder.seen.length === 3);
      await settled(broker, waitMsMax);
      const came = async (request: Partial<ReplayRequest>): Promise<readonly string[]> => {
        const before = recorder.seen.length;
        const { deliveredCount } = await replay(broker, { ...everything, ...request });
        await until("they have come", waitMsMax, () => recorder.seen.length === before + deliveredCount);
        await settled(broker, waitMsMax);
        return recorder.ids().slice(before).sort();
      };
      assert.deepEqual(await came({ from, to }), [closed.id]);
      assert.deepEqual(await came({ from }), [closed.id, late.id].sort());
      assert.deepEqual(await came({ types: ["shop.Sold"] }), [early.id, late.id].sort());
      assert.deepEqual(await came({ types: ["shop.Opened"] }), []);
    },
  },
  {
    name: "does not replay what waits anyway, and puts what it replays behind it",
    needs: ["replays", "ordered"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const gate = createGate();
      const recorder = await record(broker, {
        concurrency: 1,
        async then({ message: { payload } }) {
          if (payload === '{"n":1}') await gate.opened;
        },
      });
      await broker.publish(numbered("a", 3));
      await until("the second runs", waitMsMax, () => recorder.seen.length === 2);
      // The first has to be acknowledged; what runs is pending.
      await until("two wait", waitMsMax, async () => (await broker.stats())[0]?.pendingCount === 2);
      assert.equal((await broker.planReplay?.(everything))?.pendingCount, 2);
      assert.equal((await replay(broker, everything)).deliveredCount, 1);
      gate.open();
      await until("all have come", waitMsMax, () => recorder.seen.length === 4);
      assert.deepEqual(
        recorder.seen.map(({ message }) => JSON.parse(message.payload).n),
        [0, 1, 2, 0],
      );
    },
  },
  {
    name: "says of a replay that is to run again that it is, whenever the delivery comes",
    needs: ["replays"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const recorder = await record(broker, {
        async then({ replay: by, attempt }) {
          if (by && attempt === 1) throw new Redeliver(10);
        },
      });
      await broker.publish([messageOf()]);
      await until("it has come", waitMsMax, () => recorder.seen.length === 1);
      await settled(broker, waitMsMax);
      const { id } = await replay(broker, { ...everything, again: true });
      await until("it came twice more", waitMsMax, () => recorder.seen.length === 3);
      assert.deepEqual(
        recorder.seen.map((delivery) => delivery.replay),
        [undefined, { id, again: true }, { id, again: true }],
      );
      assert.match(recorder.seen[2]?.firstFailedAt ?? "", /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    },
  },
  {
    name: "refuses to let go what consumers may have forgotten, unless it is to run again",
    needs: ["replays"],
    async run(world) {
      const broker = await world.connect();
      await broker.ensure([mail]);
      const early = { ...everything, from: "2020-01-01T00:00:00Z" };
      const isForgotten = (thrown: unknown) => isError(thrown, "REPLAY_FORGOTTEN");
      await assert.rejects(replay(broker, early), isForgotten);
      await assert.rejects(async () => broker.planReplay?.(early), isForgotten);
      assert.equal((await replay(broker, { ...early, again: true })).deliveredCount, 0);
    },
  },
  {
    name: "forgets a retired subscription, with what waited for it",
    needs: ["replays"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const other = await record(broker, { subscription: "stats.count" });
      await broker.ensure([mail]);
      await broker.publish(numbered("a", 3));
      let count = 0;
      for (let step = await broker.retire?.(mail.subscription); step; step = await broker.retire?.(mail.subscription)) {
        count += step;
      }
      assert.equal(count, 3);
      await broker.publish(numbered("a", 2));
      await until("the other has all", waitMsMax, () => other.seen.length === 5);
      assert.ok((await broker.stats()).every(({ subscription }) => subscription !== mail.subscription));
      await assert.rejects(replay(broker, everything), (thrown) => isError(thrown, "SUBSCRIPTION_UNKNOWN"));
      await assert.rejects(
        async () => broker.planReplay?.(everything),
        (thrown) => isError(thrown, "SUBSCRIPTION_UNKNOWN"),
      );
    },
  },
  {
    name: "forgets one type of a subscription, with what waited of it, and says what is left and since when",
    needs: ["replays"],
    async run(world, waitMsMax) {
      const broker = await world.connect();
      const from = systemClock.wallNow() - 60_000;
      await broker.ensure([{ subscription: mail.subscription, types: ["shop.Sold", "shop.Closed"] }]);
      const sold = numbered("a", 2);
      await broker.publish([messageOf({ type: "shop.Closed", key: "a" }), ...sold, messageOf({ type: "shop.Closed" })]);
      assert.equal(await broker.retire?.(mail.subscription, ["shop.Closed"]), 2);
      assert.equal(await broker.retire?.(mail.subscription, ["shop.Closed"]), 0);
      const [stats] = await broker.stats();
      assert.equal(stats?.pendingCount, 2);
      assert.deepEqual(
        stats?.types.map(({ type }) => type),
        ["shop.Sold"],
      );
      assert.ok(Date.parse(stats?.types[0]?.ensuredAt ?? "") > from);
      await broker.publish([messageOf({ type: "shop.Closed" })]);
      const recorder = await record(broker);
      await until("the others have come", waitMsMax, () => recorder.seen.length === 2);
      await settled(broker, waitMsMax);
      assert.deepEqual(
        recorder.ids(),
        sold.map(({ id }) => id),
      );
    },
  },
];

const everything: ReplayRequest = { subscription: mail.subscription, from: daysAgo(6), again: false };

function daysAgo(days: number): string {
  return new Date(systemClock.wallNow() - days * 86_400_000).toISOString();
}

function now(): string {
  return new Date(systemClock.wallNow()).toISOString();
}

async function settled(broker: Broker, waitMsMax: number): Promise<void> {
  await until("nothing waits", waitMsMax, async () =>
    (await broker.stats()).every(({ pendingCount }) => pendingCount === 0),
  );
}

async function replay(broker: Broker, request: ReplayRequest): Promise<ReplayProgress> {
  for (;;) {
    const progress = await broker.replay?.(request);
    assert.ok(progress, "the broker replays");
    if (progress.done) return progress;
  }
}
