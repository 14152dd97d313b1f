import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSeededRandom } from "../../base/index.ts";
import { digitsOf } from "./digits.ts";

describe("a number that is put together from thousands", () => {
  test("reads as numbers always do", () => {
    const random = createSeededRandom(7);
    const edges = [0, 1, 9, 10, 99, 100, 999, 1000, 1001, 1010, 9999, 10_000, 999_999, 1_000_000, 1_000_001];
    const large = [2 ** 31 - 1, 2 ** 31, 2 ** 32, 999_999_999_999, Number.MAX_SAFE_INTEGER];
    const drawn = Array.from({ length: 2000 }, () => Math.floor(random.next() * 10 ** Math.ceil(random.next() * 15)));
    for (const each of [...edges, ...large, ...drawn]) assert.equal(digitsOf(each), String(each));
  });

  test("reads so as well when it is not one that counts", () => {
    for (const each of [-0, -1, -1000, 1234.5, 2 ** 53, 1e21, Number.NaN, Number.POSITIVE_INFINITY])
      assert.equal(digitsOf(each), String(each));
  });
});
