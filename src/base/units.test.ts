import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseDuration, parseSize, toBytes, toMs } from "./units.ts";

describe("durations", () => {
  const right: readonly (readonly [unknown, number])[] = [
    [0, 0],
    [1.5, 1.5],
    ["250", 250],
    ["250ms", 250],
    ["30s", 30_000],
    ["1.5s", 1500],
    [" 5 M ", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
  ];
  for (const [value, ms] of right)
    test(`reads ${JSON.stringify(value)} as ${ms} ms`, () => assert.equal(parseDuration(value), ms));

  const wrong = [
    "",
    "s",
    "5x",
    "-1s",
    "1e3",
    "5 s 3",
    "5constructor",
    "٣s",
    `${"9".repeat(400)}d`,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    null,
    {},
    undefined,
  ];
  for (const value of wrong) {
    test(`reads nothing from ${String(value).slice(0, 20) || '""'}`, () =>
      assert.equal(parseDuration(value), undefined));
  }

  test("refuses a wrong one in a program, and says what is right", () => {
    assert.equal(toMs("2m"), 120_000);
    assert.throws(() => toMs("soon" as "1s"), /^TypeError: "soon" is no duration: write "250ms", "30s"/);
  });
});

describe("sizes", () => {
  test("reads powers of 1024", () => {
    assert.deepEqual(
      ["7", "7b", "64kb", "1.5MB", "2 gb", 9].map(parseSize),
      [7, 7, 65_536, 1_572_864, 2_147_483_648, 9],
    );
  });

  test("reads nothing from anything else", () => {
    assert.deepEqual(["1tb", "kb", "-1kb", -1, true].map(parseSize), [
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("refuses a wrong one in a program, and says what is right", () => {
    assert.equal(toBytes("64kb"), 65_536);
    assert.throws(() => toBytes("big" as "1b"), /^TypeError: "big" is no size: write "512b"/);
  });
});
