import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { causeDepthMax, errorFields } from "./error-fields.ts";

test("follows a chain of causes to a limit, and no circle", () => {
  let chain = new Error("0");
  for (let i = 1; i < 20; i++) chain = new Error(String(i), { cause: chain });
  let fields: any = errorFields(chain);
  let depth = 0;
  while (fields.cause) {
    fields = fields.cause;
    depth++;
  }
  assert.equal(depth, causeDepthMax);
  assert.equal(fields.message, "[more causes]");
  const circle: Error = new Error("round");
  circle.cause = circle;
  assert.equal((errorFields(circle).cause as { message: string }).message, "[the same error again]");
});

test("shows what was thrown when it is no error", () => {
  assert.deepEqual(errorFields("text"), { type: "string", message: "text" });
  assert.deepEqual(errorFields({ a: 1 }), { type: "object", message: '{"a":1}' });
  assert.deepEqual(errorFields(undefined), { type: "undefined", message: "undefined" });
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  assert.deepEqual(errorFields(circular), { type: "object", message: "[unreadable]" });
});

test("keeps the code of a system error and the reason of a start error", () => {
  assert.equal(errorFields(Object.assign(new Error("x"), { code: "ECONNREFUSED" })).code, "ECONNREFUSED");
  assert.equal(errorFields(new StartError("PORT_IN_USE", "x")).reason, "PORT_IN_USE");
});

test("shows at most ten of the errors of an aggregate", () => {
  const many = new AggregateError(Array.from({ length: 30 }, (_, i) => new Error(String(i))));
  assert.equal((errorFields(many).errors as unknown[]).length, 10);
});
