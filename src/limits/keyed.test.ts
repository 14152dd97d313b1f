import assert from "node:assert/strict";
import { test } from "node:test";
import { Keyed } from "./keyed.ts";

test("holds so many at most, and the last half of them at least", () => {
  const keyed = new Keyed<number>(100);
  for (let i = 0; i < 1000; i++) {
    keyed.set(`k${i}`, i);
    assert.ok(keyed.size <= 100);
    for (let j = Math.max(0, i - 49); j <= i; j++) assert.equal(keyed.get(`k${j}`), j);
  }
});

test("what is asked for stays, what is deleted or cleared is gone", () => {
  const keyed = new Keyed<number>(10);
  keyed.set("a", 1);
  for (let i = 0; i < 100; i++) {
    keyed.set(`k${i}`, i);
    assert.equal(keyed.get("a"), 1);
  }
  keyed.delete("a");
  assert.equal(keyed.get("a"), undefined);
  keyed.set("b", 2);
  for (let i = 0; i < 5; i++) keyed.set(`x${i}`, i);
  keyed.delete("b");
  assert.equal(keyed.get("b"), undefined);
  keyed.clear();
  assert.equal(keyed.size, 0);
});
