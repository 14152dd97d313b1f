import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock, isError } from "../base/index.ts";
import { createMemoryBroker } from "./memory.ts";
import { Redeliver } from "./redeliver.ts";
import { brokerSuite } from "./suite.ts";
import { createGate, mail, messageOf, numbered, record } from "./suite-probe.ts";

describe("memory broker", { concurrency: 4 }, () => {
  const { flags } = createMemoryBroker();
  const make = async () => {
    const broker = createMemoryBroker();
    await broker.open();
    return { connect: async () => broker, dispose: () => broker.close() };
  };
  for (const { name, run } of brokerSuite({ flags, make })) it(name, run);

  it("refuses to hold more than it may, and takes none of the batch", async () => {
    const broker = createMemoryBroker({ pendingCountMax: 3 });
    await broker.ensure([mail]);
    await broker.publish(numbered("a", 2));
    await assert.rejects(broker.publish(numbered("b", 2)), (thrown) => isError(thrown, "BROKER_FULL"));
    assert.equal((await broker.stats())[0]?.pendingCount, 2);
    await broker.publish([messageOf({ type: "shop.Closed" }), messageOf()]);
  });

  it("waits for a refused message by the clock it was given", async () => {
    const clock = createManualClock();
    const broker = createMemoryBroker({ clock });
    const recorder = await record(broker, {
      async then({ attempt }) {
        if (attempt === 1) throw new Redeliver(600_000);
      },
    });
    await broker.publish([messageOf()]);
    await clock.advance(599_999);
    assert.equal(recorder.seen.length, 1);
    await clock.advance(1);
    assert.equal(recorder.seen.length, 2);
  });

  it("close waits 10 s for what runs, not longer", async () => {
    const clock = createManualClock();
    const broker = createMemoryBroker({ clock });
    const gate = createGate();
    await record(broker, { then: () => gate.opened });
    await broker.publish([messageOf()]);
    await clock.advance(1);
    let closed = false;
    const closing = broker.close().then(() => {
      closed = true;
    });
    await clock.advance(9_999);
    assert.equal(closed, false);
    await clock.advance(1);
    assert.equal(closed, true);
    gate.open();
    await closing;
  });
});
