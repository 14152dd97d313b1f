import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { error, PlinthError } from "../base/index.ts";
import { breaksSession, constraintOf, databaseDetail, isConflict, toDatabaseError, withExecuted } from "./errors.ts";

describe("errors of a database", () => {
  const cases: [string, string, string, string, "safe" | "never"][] = [
    ["40001", "aborted", "SERIALIZATION_FAILURE", "no", "safe"],
    ["40P01", "aborted", "DEADLOCK", "no", "safe"],
    ["40003", "unknown", "COMMIT_OUTCOME_UNKNOWN", "maybe", "never"],
    ["23P01", "failed_precondition", "EXCLUSION_VIOLATION", "no", "never"],
    ["25006", "unavailable", "DATABASE_READ_ONLY", "no", "safe"],
    ["25P03", "aborted", "TRANSACTION_IDLE", "no", "never"],
    ["28P01", "unavailable", "DATABASE_UNAVAILABLE", "no", "never"],
    ["42501", "internal", "DATABASE_FORBIDDEN", "no", "never"],
    ["42P01", "internal", "SQL_INVALID", "no", "never"],
    ["53100", "resource_exhausted", "DATABASE_EXHAUSTED", "no", "never"],
    ["55P03", "aborted", "LOCK_NOT_AVAILABLE", "no", "safe"],
    ["57014", "deadline_exceeded", "STATEMENT_TIMEOUT", "no", "never"],
    ["57P01", "unavailable", "DATABASE_UNAVAILABLE", "maybe", "safe"],
    ["57P03", "unavailable", "DATABASE_UNAVAILABLE", "no", "safe"],
    ["08006", "unavailable", "DATABASE_UNAVAILABLE", "maybe", "safe"],
    ["XX001", "data_loss", "DATA_CORRUPTED", "no", "never"],
    ["XX000", "internal", "DATABASE_ERROR", "no", "never"],
    ["ECONNRESET", "unavailable", "DATABASE_UNAVAILABLE", "maybe", "safe"],
    ["EPIPE", "unavailable", "DATABASE_UNAVAILABLE", "maybe", "safe"],
  ];
  for (const [state, code, reason, executed, retry] of cases) {
    test(`${state} is ${reason}`, () => {
      const made = toDatabaseError({ code: state, message: "words of the server" }, "select 1");
      assert.deepEqual([made.code, made.reason, made.executed, made.retry], [code, reason, executed, retry]);
      assert.equal(databaseDetail(made)?.text, "select 1");
      assert.doesNotMatch(made.message, /words of the server/);
    });
  }

  test("tell a lost connection by its words, and anything else is internal", () => {
    assert.equal(toDatabaseError(new Error("Connection terminated unexpectedly")).code, "unavailable");
    assert.equal(toDatabaseError("text").reason, "DATABASE_ERROR");
    assert.equal(toDatabaseError(null).reason, "DATABASE_ERROR");
    const ours = error("not_found", "x");
    assert.equal(toDatabaseError(ours), ours);
  });

  test("say what they say of the session, the constraint and the work", () => {
    const lost = toDatabaseError({ code: "08006" });
    assert.equal(breaksSession(lost), true);
    const sure = withExecuted(lost, "no");
    assert.deepEqual([sure.executed, sure.reason, sure.cause], ["no", lost.reason, lost.cause]);
    assert.equal(withExecuted(sure, "no"), sure);
    assert.deepEqual(withExecuted(new PlinthError("internal", "x", { details: { a: 1 } }), "no").details, { a: 1 });
    assert.equal(constraintOf(toDatabaseError({ code: "23505", constraint: "item_pkey" })), "item_pkey");
    assert.equal(constraintOf(new Error("x")), undefined);
    assert.equal(isConflict(new Error("x")), false);
  });
});
