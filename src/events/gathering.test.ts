import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../base/index.ts";
import { createGathering } from "./gathering.ts";
import { createGate } from "./suite-probe.ts";

describe("gathering", () => {
  it("does together what is asked for at the same time, and while something runs", async () => {
    const pieces: (readonly number[])[] = [];
    const gate = createGate();
    const gathering = createGathering(
      async (items: readonly number[]) => {
        pieces.push(items);
        if (pieces.length === 1) await gate.opened;
        return items.map((item) => item * 2);
      },
      3,
      systemClock,
    );
    const first = [gathering.add(1), gathering.add(2)];
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    const later = [3, 4, 5, 6].map((item) => gathering.add(item));
    gate.open();
    assert.deepEqual(await Promise.all([...first, ...later]), [2, 4, 6, 8, 10, 12]);
    assert.deepEqual(pieces, [[1, 2], [3, 4, 5], [6]]);
  });

  it("tells all of a piece that it failed, and goes on with the next", async () => {
    let isBroken = true;
    const gathering = createGathering(
      async (items: readonly number[]) => {
        if (isBroken) throw new Error("broken");
        return items;
      },
      10,
      systemClock,
    );
    const results = await Promise.allSettled([gathering.add(1), gathering.add(2)]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    isBroken = false;
    assert.equal(await gathering.add(3), 3);
  });
});
