import assert from "node:assert/strict";
import { test } from "node:test";
import { isError } from "../base/index.ts";
import { createLogger } from "../telemetry/index.ts";
import type { ContextParts } from "./handler-context.ts";
import { compileContext, reservedContextNames } from "./handler-context.ts";
import { createTestScope } from "./testing.ts";

const compileWith = (parts: Partial<ContextParts>) =>
  compileContext({ needs: {}, publish: async () => {}, log: createLogger({ level: "silent" }), ...parts });

test("makes a need once for each call, and only when it is taken", () => {
  let made = 0;
  const contextOf = compileWith({ needs: { db: { kind: "bound", bind: () => ({ number: ++made }) } } });
  const [first, second] = [contextOf(createTestScope()), contextOf(createTestScope())] as { readonly db: object }[];
  assert.equal(made, 0);
  assert.equal(first?.db, first?.db);
  assert.notEqual(first?.db, second?.db);
  assert.equal(made, 2);
});

test("keeps its shape, whichever needs are taken", () => {
  const contextOf = compileWith({ needs: { db: { kind: "bound", bind: () => ({}) } } });
  const context = contextOf(createTestScope()) as { readonly db: object; readonly log: object };
  assert.ok(context.db && context.log);
  assert.deepEqual(Reflect.ownKeys(context), []);
});

test("has no name that is not reserved", () => {
  const context = compileWith({})(createTestScope(), { tx: undefined, eventId: "e", postpone() {} });
  for (let each: object | null = context; each; each = Object.getPrototypeOf(each) as object | null) {
    for (const name of Reflect.ownKeys(each)) assert.ok(reservedContextNames.has(String(name)), String(name));
  }
  for (const name of ["then", "postpone", "fail", "toString", "__proto__"]) assert.ok(reservedContextNames.has(name));
});

test("refuses to publish outside a transaction", () => {
  const { events } = compileWith({})(createTestScope()) as {
    events: { publish(event: object, payload: object): void };
  };
  assert.throws(
    () => events.publish({ id: "a.B" }, {}),
    (thrown) => isError(thrown, "EVENT_WITHOUT_TRANSACTION") && /a\.B/.test(String(thrown.detail)),
  );
});
