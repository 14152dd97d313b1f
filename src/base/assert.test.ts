import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, throwLater, unreachable } from "./assert.ts";
import { uncaughtErrors } from "./testing.ts";

test("lets a true condition pass and stops on a false one, with the reason", () => {
  check(1, "one is true");
  assert.throws(() => check(0, "zero is true"), /^Error: assertion failed: zero is true$/);
});

test("a branch that types forbid says what reached it", () => {
  assert.throws(() => unreachable("surprise" as never), /^Error: unreachable: surprise$/);
});

test("an error thrown later is an uncaught exception, after the running code", async () => {
  let went = false;
  const errors = await uncaughtErrors(() => {
    throwLater(new Error("in a listener"));
    went = true;
  });
  assert.deepEqual([errors.map(String), went], [["Error: in a listener"], true]);
});
