import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSeededRandom } from "../base/index.ts";
import { CallTable } from "./call-table.ts";

describe("a table of calls", () => {
  test("finds what was added, until it is taken", () => {
    const table = new CallTable<{ id: number }>();
    const call = { id: 7 };
    assert.equal(table.get(7), undefined);
    assert.equal(table.take(7), undefined);
    table.add(call);
    assert.deepEqual([table.get(7), table.size, table.all()], [call, 1, [call]]);
    assert.equal(table.get(7 + 4096), undefined);
    assert.equal(table.take(7), call);
    assert.deepEqual([table.get(7), table.take(7), table.size, table.all()], [undefined, undefined, 0, []]);
  });

  test("takes ids that want the same place, and any a peer may choose", () => {
    const table = new CallTable<{ id: number }>();
    const ids = [5, 5 + 2 ** 12, 5 + 2 ** 20, 2 ** 31, 2 ** 32 - 1, 0];
    for (const id of ids) table.add({ id });
    for (const id of ids) assert.equal(table.get(id)?.id, id);
    assert.equal(table.take(5)?.id, 5);
    assert.equal(table.get(5 + 2 ** 12)?.id, 5 + 2 ** 12);
    assert.equal(table.size, ids.length - 1);
  });

  test("holds the same calls as a map would, whatever is added and taken, however many", () => {
    const random = createSeededRandom(3);
    const table = new CallTable<{ id: number }>();
    const map = new Map<number, { id: number }>();
    for (let step = 0; step < 50_000; step++) {
      const id = random.uint32() % 20_000;
      if (random.next() < 0.6 && !map.has(id)) {
        const call = { id };
        table.add(call);
        map.set(id, call);
      } else {
        assert.equal(table.take(id), map.get(id));
        map.delete(id);
      }
      assert.equal(table.size, map.size);
    }
    const byId = (a: { id: number }, b: { id: number }) => a.id - b.id;
    assert.deepEqual(table.all().sort(byId), [...map.values()].sort(byId));
    for (const call of table.all()) assert.equal(table.take(call.id), call);
    assert.equal(table.size, 0);
  });
});
