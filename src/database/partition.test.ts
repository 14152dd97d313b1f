import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StartError } from "../base/index.ts";
import type { Partitioning } from "./partition-declaration.ts";
import { checkPartitions } from "./partition-declaration.ts";
import { boundText, parseEvery, periodOf, periodsFrom } from "./partition-period.ts";

describe("periods of partitions", () => {
  const at = Date.parse("2026-11-22T10:20:30.120Z");
  const of = (every: string) => {
    const { from, to, suffix } = periodOf(at, parseEvery(every, "here"));
    return [suffix, boundText(from), boundText(to)];
  };

  test("begin and end at the same moments whoever asks, in UTC", () => {
    assert.deepEqual(of("1 hour"), ["p2026112210", "2026-11-22 10:00:00+00", "2026-11-22 11:00:00+00"]);
    assert.deepEqual(of("6 hours"), ["p2026112206", "2026-11-22 06:00:00+00", "2026-11-22 12:00:00+00"]);
    assert.deepEqual(of("1 day"), ["p20261122", "2026-11-22 00:00:00+00", "2026-11-23 00:00:00+00"]);
    assert.deepEqual(of("1 week"), ["p20261116", "2026-11-16 00:00:00+00", "2026-11-23 00:00:00+00"], "from Monday");
    assert.deepEqual(of("1 month"), ["p202611", "2026-11-01 00:00:00+00", "2026-12-01 00:00:00+00"]);
    assert.deepEqual(of("3 months"), ["p202610", "2026-10-01 00:00:00+00", "2027-01-01 00:00:00+00"]);
  });

  test("follow each other without a gap", () => {
    for (const every of ["5 hours", "1 day", "2 weeks", "1 month", "7 months"]) {
      const periods = periodsFrom(at, parseEvery(every, "here"), 50);
      assert.equal(periods.length, 51);
      periods.forEach(({ from, to }, i) => {
        assert.ok(from < to);
        if (i > 0) assert.equal(periods[i - 1]?.to, from);
      });
      assert.equal(new Set(periods.map(({ suffix }) => suffix)).size, 51);
    }
  });
});

test("a declaration of partitions that is wrong names the table and the remedy", () => {
  const cases: [Partitioning, RegExp][] = [
    [{ range: "at", every: "daily" }, /visit: every is "daily": write a number.*"1 day"/],
    [{ range: "at", every: "0 days" }, /every is "0 days"/],
    [{ range: "at", every: "1 day", ahead: 0 }, /ahead is 0: 1 to 1000/],
    [{ range: "at", every: "1 day", keep: "ninety" as "90d" }, /keep is "ninety": write a duration/],
    [{ hash: "id", parts: 1 }, /parts is 1: 2 to 1000/],
  ];
  for (const [declaration, pattern] of cases) {
    assert.throws(
      () => checkPartitions({ visit: declaration }),
      (thrown) => thrown instanceof StartError && pattern.test(thrown.message),
    );
  }
  assert.throws(() => checkPartitions({ ["v".repeat(52)]: { hash: "id", parts: 2 } }), /at most 51 bytes/);
});
