import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KeyTimes } from "./key-schedule.ts";
import { nextKeyTimes, signingKeyAt } from "./key-schedule.ts";

const hour = 3_600_000;
const rules = { signsMs: 10 * hour, aheadMs: 2 * hour, keptMs: hour };

describe("the keys' calendar", () => {
  it("makes the first key at once, and the next one ahead of its time", () => {
    const first = nextKeyTimes([], 0, rules);
    assert.deepEqual(first, { signsFrom: 0, signsUntil: 10 * hour, publishedUntil: 11 * hour });
    assert.equal(nextKeyTimes([first as KeyTimes], 8 * hour - 1, rules), undefined);
    const next = nextKeyTimes([first as KeyTimes], 8 * hour, rules);
    assert.deepEqual(next, { signsFrom: 10 * hour, signsUntil: 20 * hour, publishedUntil: 21 * hour });
  });

  it("makes a key at once when the app was off for long", () => {
    const old = { signsFrom: 0, signsUntil: 10 * hour, publishedUntil: 11 * hour };
    assert.equal(nextKeyTimes([old], 50 * hour, rules)?.signsFrom, 50 * hour);
  });

  it("has exactly one that signs at any time of a year, published ahead and kept long enough", () => {
    let keys: (KeyTimes & { madeAt: number })[] = [];
    let made = 0;
    for (let now = 0; now < 8766 * hour; now += hour / 4) {
      const times = nextKeyTimes(keys, now, rules);
      keys = keys.filter(({ publishedUntil }) => publishedUntil > now);
      if (times) {
        keys.push({ ...times, madeAt: now });
        made++;
      }
      const signing = signingKeyAt(keys, now) as KeyTimes & { madeAt: number };
      assert.ok(signing);
      if (signing.madeAt > 0) assert.ok(signing.signsFrom - signing.madeAt >= rules.aheadMs - hour / 4);
      assert.ok(signing.publishedUntil - now >= rules.keptMs, "what it signs now can be checked until it ends");
      assert.ok(keys.length <= 3);
    }
    assert.ok(made > 870 && made < 880, String(made));
  });

  it("lets the one that began last sign where several could", () => {
    const [a, b] = [
      { signsFrom: 0, signsUntil: 9, publishedUntil: 10 },
      { signsFrom: 5, signsUntil: 9, publishedUntil: 10 },
    ];
    assert.equal(signingKeyAt([a, b], 6), b);
    assert.equal(signingKeyAt([a, b], 4), a);
    assert.equal(signingKeyAt([a, b], 9), undefined);
  });
});
