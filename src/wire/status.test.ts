import assert from "node:assert/strict";
import { test } from "node:test";
import { error, errorCodes } from "../base/index.ts";
import { HttpError } from "./http-error.ts";
import {
  codeOfHttpStatus,
  executedOfHttpStatus,
  httpPhrase,
  httpStatusOf,
  parseRetryAfter,
  retryAfterOf,
} from "./status.ts";

test("every code has an error status", () => {
  for (const code of errorCodes) {
    const status = httpStatusOf(error(code, "x"));
    assert.ok(status >= 400 && status < 600, code);
    assert.notEqual(httpPhrase(status), "");
  }
});

test("a code comes back from its status where the status is exact", () => {
  for (const code of ["not_found", "unauthenticated", "permission_denied", "unimplemented", "unavailable"] as const) {
    assert.equal(codeOfHttpStatus(httpStatusOf(error(code, "x"))), code);
  }
});

test("a body that breaks the schema is 422, another invalid argument 400", () => {
  assert.equal(httpStatusOf(error("invalid_argument", "x", { reason: "VALIDATION_FAILED" })), 422);
  assert.equal(httpStatusOf(error("invalid_argument", "x")), 400);
  assert.equal(httpStatusOf(error("invalid_argument", "x", { reason: "toString" })), 400);
});

test("a callee without a free place is our trouble: 503, where too many requests are the caller's: 429", () => {
  assert.equal(httpStatusOf(error("resource_exhausted", "x", { reason: "BULKHEAD_FULL" })), 503);
  assert.equal(httpStatusOf(error("resource_exhausted", "x")), 429);
});

test("an HttpError keeps its exact status and headers", () => {
  const refused = new HttpError(405, "unimplemented", "Use GET.", { headers: { allow: "GET" } });
  assert.equal(httpStatusOf(refused), 405);
  assert.equal(refused.headers.allow, "GET");
  assert.equal(refused.executed, "no");
  assert.deepEqual(new HttpError(404, "not_found", "No such route.", {}).headers, {});
});

test("any status has a code", () => {
  assert.equal(codeOfHttpStatus(418), "invalid_argument");
  assert.equal(codeOfHttpStatus(599), "internal");
  assert.equal(codeOfHttpStatus(302), "unknown");
  assert.equal(httpPhrase(499), "Client Closed Request");
  assert.equal(httpPhrase(599), "Server Failed");
  assert.equal(httpPhrase(477), "Request Failed");
});

test("a refusal counts as not executed, a failure as maybe", () => {
  assert.equal(executedOfHttpStatus(429), "no");
  assert.equal(executedOfHttpStatus(503), "maybe");
});

test("Retry-After is whole seconds, at least one", () => {
  assert.equal(retryAfterOf(error("unavailable", "x", { retry: 1200 })), "2");
  assert.equal(retryAfterOf(error("unavailable", "x", { retry: 0 })), "1");
  assert.equal(retryAfterOf(error("unavailable", "x")), undefined);
});

test("Retry-After is read as seconds or as a date, and never believed above an hour", () => {
  assert.equal(parseRetryAfter("7", 0), 7000);
  assert.equal(parseRetryAfter("999999", 0), 3_600_000);
  const wallNowMs = Date.parse("Wed, 21 Oct 2026 07:28:00 GMT");
  assert.equal(parseRetryAfter("Wed, 21 Oct 2026 07:28:30 GMT", wallNowMs), 30_000);
  assert.equal(parseRetryAfter("Wed, 21 Oct 2026 07:00:00 GMT", wallNowMs), 0);
  for (const text of ["-1", "soon", "", "1.5", "Wed, 99 Foo"]) assert.equal(parseRetryAfter(text, 0), undefined);
  assert.equal(parseRetryAfter(undefined, 0), undefined);
});
