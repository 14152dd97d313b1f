import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { error, isErrorCode } from "../base/index.ts";
import { HttpError } from "./http-error.ts";
import { fromProblem, stringifyProblem, toProblem } from "./problem.ts";
import { fromWireError, toWireError } from "./wire-error.ts";

test("a plain error is about:blank with the phrase of its status", () => {
  assert.deepEqual(toProblem(error("not_found", "No product 7.")), {
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: "No product 7.",
    reason: "NOT_FOUND",
    code: "not_found",
  });
  assert.equal(toProblem(new HttpError(413, "invalid_argument", "x", {})).title, "Content Too Large");
});

test("a reason of its own makes a type of its own, and violations are members", () => {
  const violations = [{ pointer: "/a", message: "must be string", keyword: "type" }];
  const problem = toProblem(
    error("invalid_argument", "The request is not valid.", {
      reason: "VALIDATION_FAILED",
      executed: "no",
      details: { violations, status: 200, type: "evil" },
    }),
    { instance: "/products/7", traceId: "0af7651916cd43dd8448eb211c80319c" },
  );
  assert.deepEqual(problem, {
    type: "urn:plinth:error:VALIDATION_FAILED",
    title: "Validation failed",
    status: 422,
    detail: "The request is not valid.",
    reason: "VALIDATION_FAILED",
    code: "invalid_argument",
    executed: "no",
    instance: "/products/7",
    traceId: "0af7651916cd43dd8448eb211c80319c",
    violations,
  });
});

test("cause and detail never leave", () => {
  const text = stringifyProblem(
    toProblem(error("internal", "Something went wrong.", { cause: new Error("s3cret"), detail: "s3cret" })),
  );
  assert.doesNotMatch(text, /s3cret/);
  assert.doesNotMatch(JSON.stringify(toWireError(error("internal", "x", { cause: "s3cret", detail: "s3cret" }))), /s3/);
});

test("the text is harmless inside HTML and still the same JSON", () => {
  const text = stringifyProblem(toProblem(error("not_found", "</script><!--\u2028&")));
  assert.doesNotMatch(text, /[<>&\u2028]/);
  assert.equal(JSON.parse(text).detail, "</script><!--\u2028&");
});

test("details that are no JSON, or too large, are left out rather than thrown", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  for (const details of [cyclic, { big: 10n }, { text: "x".repeat(300_000) }]) {
    const document = JSON.parse(stringifyProblem(toProblem(error("aborted", "Again.", { details }))));
    assert.deepEqual(Object.keys(document), ["type", "title", "status", "detail", "reason", "code"]);
  }
});

test("an error survives the way over a problem document", () => {
  const sent = error("failed_precondition", "The cart is empty.", {
    reason: "CART_EMPTY",
    executed: "no",
    details: { cartId: "c1" },
  });
  const got = fromProblem(400, stringifyProblem(toProblem(sent)));
  assert.deepEqual(
    [got.code, got.reason, got.message, got.executed, got.details, got.retry],
    ["failed_precondition", "CART_EMPTY", "The cart is empty.", "no", { cartId: "c1" }, "never"],
  );
});

test("a foreign 4xx document speaks to the caller, a foreign 5xx does not", () => {
  const low = fromProblem(403, { type: "https://example.com/out-of-credit", title: "No credit.", balance: 30 });
  assert.deepEqual([low.code, low.message, low.details], ["permission_denied", "No credit.", { balance: 30 }]);
  const high = fromProblem(500, { detail: "NullPointer at Foo.java:3" });
  assert.deepEqual([high.code, high.message, high.details], ["internal", "The called service failed.", undefined]);
  assert.match(JSON.stringify(high.detail), /NullPointer/);
  assert.equal(fromProblem(404, { secret: 1 }).details, undefined);
});

test("HTML, nothing, and members of the wrong type give the status alone", () => {
  for (const body of [
    "<html>",
    "",
    undefined,
    null,
    7,
    [],
    "[1]",
    { detail: 7, title: [], code: "nope", reason: {} },
  ]) {
    const got = fromProblem(404, body);
    assert.deepEqual(
      [got.code, got.reason, got.message],
      ["not_found", "NOT_FOUND", "The called service answered 404 Not Found."],
    );
  }
  assert.equal(fromProblem(500, `"${"x".repeat(2_000_000)}"`).code, "internal");
});

test("a reason is read from our type as well", () => {
  assert.equal(fromProblem(409, { type: "urn:plinth:error:PRICE_CHANGED" }).reason, "PRICE_CHANGED");
  assert.equal(fromProblem(409, { type: "urn:plinth:error:no reason" }).reason, "ABORTED");
});

test("Retry-After becomes milliseconds, and overload may be tried again", () => {
  assert.equal(fromProblem(503, "", { retryAfter: "3" }).retry, 3000);
  assert.equal(fromProblem(429, "").retry, "safe");
  assert.equal(fromProblem(429, "").executed, "no");
  assert.equal(fromProblem(409, "").retry, "never");
});

test("no answer makes fromProblem throw", () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 999 }), fc.anything(), (status, body) => {
      assert.ok(isErrorCode(fromProblem(status, body).code));
    }),
    { numRuns: 300 },
  );
});

test("an error survives the way over the wire", () => {
  const sent = error("aborted", "Again.", { reason: "PRICE_CHANGED", retry: 250, executed: "no", details: { a: 1 } });
  assert.deepEqual(toWireError(fromWireError(toWireError(sent))), toWireError(sent));
  assert.equal(toWireError(new TypeError("private")).message, "Something went wrong on our side.");
});

test("whatever a peer sends becomes an error of ours", () => {
  const got = fromWireError({ code: "nope", reason: 7, message: [], retry: -1, executed: "perhaps", details: "x" });
  assert.deepEqual(toWireError(got), {
    code: "unknown",
    reason: "UNKNOWN",
    message: "The called service failed.",
    retry: "never",
    executed: "maybe",
  });
  fc.assert(
    fc.property(fc.anything(), (value) => assert.ok(isErrorCode(fromWireError(value).code))),
    { numRuns: 300 },
  );
});
