import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./nearest.ts";

const names = ["start", "migrate", "model", "routes", "call", "new"];

test("finds the name behind a slip of the pen", () => {
  for (const [given, meant] of [
    ["strat", "start"],
    ["migrat", "migrate"],
    ["migarte", "migrate"],
    ["modle", "model"],
    ["cal", "call"],
    ["mig", "migrate"],
    ["nwe", "new"],
  ] as const) {
    assert.equal(nearest(given, names), meant, given);
  }
});

test("suggests nothing that is far away", () => {
  for (const given of ["deploy", "xx", ""]) assert.equal(nearest(given, names), undefined, given);
  assert.equal(nearest("start", []), undefined);
});
