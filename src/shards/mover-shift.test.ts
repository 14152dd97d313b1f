import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bucketOf } from "./bucket.ts";
import { useTwoShards } from "./fixtures/two-shards.ts";

const here = useTwoShards();

describe("a mover with several moves", () => {
  it("goes on with the others when one fails, those that keep writers out first, and says at the end what failed", async () => {
    for (const key of ["ann", "bob", "cid"]) await here.fill(key);
    const died = here.mover({
      crashPoint(name) {
        if (name === "move.source-left") throw new Error("died");
      },
    });
    await here.mover().store.plan([bucketOf("ann")], "b", 16);
    await assert.rejects(died.move({ buckets: [bucketOf("bob")], to: "b" }), /died/);
    await here.mover().store.plan([bucketOf("cid")], "b", 16);
    const order: number[] = [];
    const fails = here.mover({
      onProgress: ({ id }) => {
        if (!order.includes(id)) order.push(id);
        if (id === 1) throw new Error("this one fails");
      },
    });
    await assert.rejects(fails.resume(), /this one fails/);
    assert.deepEqual(order, [2, 1, 3]);
    const states = (await here.mover().store.read([1, 2, 3])).map(({ state }) => state);
    assert.deepEqual(states, ["COPY", "DONE", "DONE"]);
    assert.deepEqual(
      (await here.mover().resume()).map(({ id, state }) => [id, state]),
      [[1, "DONE"]],
    );
  });

  it("keeps those that wait for their turn, longer than a lease lasts", async () => {
    for (const key of ["ann", "bob"]) await here.fill(key, 30);
    const slow = here.mover({ bucketsPerMove: 1, batchRows: 5, rowsPerSecondMax: 25, leaseMs: 500 });
    const moving = slow.move({ buckets: [bucketOf("ann"), bucketOf("bob")], to: "b" });
    let others = 0;
    let over = false;
    void moving.finally(() => {
      over = true;
    });
    while (!over) {
      others += (await here.mover({ leaseMs: 500 }).resume()).length;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(
      (await moving).map(({ state }) => state),
      ["DONE", "DONE"],
    );
    assert.equal(others, 0);
  });

  it("answers how far another has come with a move that it took over, which keeps to the rate", async () => {
    for (const key of ["ann", "bob"]) await here.fill(key, 20);
    const died = here.mover({
      bucketsPerMove: 1,
      rowsPerSecondMax: 40,
      crashPoint(name) {
        if (name === "move.planned") throw new Error("died");
      },
      leaseMs: 0,
    });
    await assert.rejects(died.move({ buckets: [bucketOf("ann"), bucketOf("bob")], to: "b" }), /died/);
    const startedAt = performance.now();
    const ended = await here.mover({ batchRows: 10 }).resume();
    assert.ok(performance.now() - startedAt > 900);
    assert.deepEqual(
      ended.map(({ state, rowsPerSecond }) => [state, rowsPerSecond]),
      [
        ["DONE", 40],
        ["DONE", 40],
      ],
    );
  });

  it("stops between two batches when it is told to, and leaves all at once to the next", async () => {
    for (const key of ["ann", "bob"]) await here.fill(key, 30);
    const drain = new AbortController();
    const slow = here.mover({ bucketsPerMove: 1, batchRows: 5, rowsPerSecondMax: 5 });
    const moving = slow.move({ buckets: [bucketOf("ann"), bucketOf("bob")], to: "b" }, { signal: drain.signal });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const toldAt = performance.now();
    drain.abort();
    const left = await moving;
    assert.ok(performance.now() - toldAt < 5_000);
    assert.deepEqual(
      left.map(({ state }) => state),
      ["COPY", "STABLE"],
    );
    assert.deepEqual(await here.mover().resume({ signal: drain.signal }), []);
    const ended = await here.mover({ rowsPerSecondMax: 1e6 }).resume();
    assert.deepEqual(
      ended.map(({ state }) => state),
      ["DONE", "DONE"],
    );
  });

  it("writes nothing down without the addresses of both sides", async () => {
    await here.fill("ann");
    const { bank } = here;
    for (const name of ["main", "b"]) {
      const half = here.mover({ shards: new Map([[name, bank.on(name)]]) });
      await assert.rejects(half.move({ buckets: [bucketOf("ann")], to: "b" }), { reason: "SHARD_UNKNOWN" });
    }
    assert.deepEqual(await here.mover().store.latest(5), []);
  });
});
