import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../../base/index.ts";
import { compileTransform } from "./transform.ts";

const change = (changes: Parameters<typeof compileTransform>[1]) => compileTransform("routes: /legacy/*", changes);

test("sets in place of what is there, adds beside it, removes all of a name", () => {
  const transform = change({ set: { "X-Env": "prod" }, add: { Via2: "edge" }, remove: ["X-Powered-By"] });
  const pairs = ["x-env", "dev", "x-powered-by", "a", "via2", "other", "x-powered-by", "b"];
  assert.deepEqual(transform?.(pairs), ["via2", "other", "x-env", "prod", "via2", "edge"]);
});

test("nothing declared costs nothing", () => {
  assert.equal(change(undefined), undefined);
  assert.equal(change({}), undefined);
});

for (const [what, changes] of [
  ["a line break in a value", { set: { "x-a": "b\r\nx-injected: 1" } }],
  ["a bare line feed in a value", { add: { "x-a": "b\nc" } }],
  ["a NUL in a value", { add: { "x-a": "b\0c" } }],
  ["characters beyond latin1", { set: { "x-a": "€" } }],
  ["a line break in a name", { set: { "x-a\r\nx-b": "1" } }],
  ["a name that is none", { remove: ["x a"] }],
  ["framing", { set: { "Content-Length": "0" } }],
  ["the transfer coding", { remove: ["transfer-encoding"] }],
  ["the host", { set: { Host: "evil.example" } }],
  ["who calls", { set: { "X-Plinth-Subject": "root" } }],
  ["where from", { add: { "X-Forwarded-For": "127.0.0.1" } }],
  ["a credential", { set: { Authorization: "Basic eA==" } }],
] as const) {
  test(`refuses at start to touch ${what}`, () => {
    assert.throws(
      () => change(changes),
      (thrown) =>
        thrown instanceof StartError && thrown.reason === "HEADER_INVALID" && /routes: \/legacy/.test(thrown.message),
    );
  });
}

test("names every problem at once", () => {
  assert.throws(
    () => change({ set: { host: "a", "x y": "b" }, remove: ["date"] }),
    (thrown) => thrown instanceof StartError && thrown.problems.length === 3,
  );
});
