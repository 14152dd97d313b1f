import assert from "node:assert/strict";
import { test } from "node:test";
import { error, errorCodes, isError, isErrorCode, PlinthError, StartError, toPlinthError } from "./errors.ts";

test("knows the sixteen codes of gRPC and no other", () => {
  assert.equal(new Set(errorCodes).size, 16);
  assert.ok(errorCodes.every(isErrorCode));
  assert.deepEqual(["ok", "constructor", "", 5, undefined].filter(isErrorCode), []);
});

test("an error without options has the code as its reason, and promises nothing about execution", () => {
  const plain = error("not_found", "There is no such product.");
  assert.ok(plain instanceof PlinthError && plain instanceof Error);
  assert.equal(plain.name, "PlinthError");
  assert.equal(plain.reason, "NOT_FOUND");
  assert.equal(plain.executed, "maybe");
  assert.equal(plain.retry, "never");
  assert.ok(!("cause" in plain));
});

test("only a failure that passes by itself may be tried again by default", () => {
  const safe = errorCodes.filter((code) => error(code, "x").retry === "safe");
  assert.deepEqual(safe, ["aborted", "unavailable"]);
});

test("options are kept as they were given", () => {
  const cause = new Error("socket closed");
  const full = error("unavailable", "The shop is closed.", {
    reason: "SHOP_CLOSED",
    details: { opensAt: 9 },
    detail: { host: "a" },
    cause,
    retry: 250,
    executed: "no",
  });
  assert.deepEqual(
    [full.reason, full.details, full.detail, full.cause, full.retry, full.executed],
    ["SHOP_CLOSED", { opensAt: 9 }, { host: "a" }, cause, 250, "no"],
  );
});

test("a foreign error becomes internal, gives nothing away and keeps its cause", () => {
  const cause = new Error("password is hunter2");
  const ours = toPlinthError(cause);
  assert.equal(ours.code, "internal");
  assert.doesNotMatch(ours.message, /hunter2/);
  assert.equal(ours.cause, cause);
  assert.equal(toPlinthError(ours), ours);
  assert.equal(toPlinthError("just text").cause, "just text");
});

test("isError tells by class, code or reason", () => {
  const full = error("aborted", "x", { reason: "ROW_CHANGED" });
  assert.ok(isError(full) && isError(full, "aborted") && isError(full, "ROW_CHANGED"));
  assert.ok(!isError(full, "internal") && !isError(new Error("x")) && !isError(undefined));
});

test("a StartError lists every problem, one to a line", () => {
  const cause = new Error("x");
  const wrong = new StartError("SETTINGS_WRONG", ["PORT: 0 to 65535", "KEY: is missing"], { cause });
  assert.equal(wrong.message, "PORT: 0 to 65535\nKEY: is missing");
  assert.deepEqual(
    [wrong.name, wrong.reason, wrong.problems.length, wrong.cause],
    ["StartError", "SETTINGS_WRONG", 2, cause],
  );
  assert.deepEqual(new StartError("A", "one").problems, ["one"]);
});
