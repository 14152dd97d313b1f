import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { createRedactor } from "./redactor.ts";

test("a line without secrets comes back as it is", () => {
  const redactor = createRedactor();
  const line = '{"a":1}\n';
  assert.equal(redactor.line(line), line);
});

test("hides the value of a listed name, however it is spelt and whatever it is", () => {
  const redactor = createRedactor({ keys: ["api-key"] });
  assert.equal(
    redactor.line('{"API_KEY":{"a":1},"x":{"apiKey":[1],"api-key":null,"password":"open"}}\n'),
    '{"API_KEY":"[redacted]","x":{"apiKey":"[redacted]","api-key":null,"password":"open"}}\n',
  );
});

test("hides a registered value in strings, in numbers and in names, and leaves JSON whole", () => {
  const redactor = createRedactor({ keys: [] });
  redactor.register("12345678");
  redactor.register('qu"ote\n');
  const line = redactor.line(JSON.stringify({ n: 12345678, s: "a12345678b", q: 'qu"ote\n', 12345678: true }));
  assert.deepEqual(JSON.parse(line), { n: "[redacted]", s: "a[redacted]b", q: "[redacted]", "[redacted]": true });
});

test("hides the longer of two secrets whole", () => {
  const redactor = createRedactor();
  redactor.register("secret-1");
  redactor.register("secret-1-and-more");
  assert.equal(redactor.text("x secret-1-and-more y secret-1"), "x [redacted] y [redacted]");
});

test("leaves a line out that it cannot make safe", () => {
  const redactor = createRedactor();
  assert.match(redactor.line('{"password":"abc"'), /could not be made safe/);
});

test("registers the same value once, and refuses more than 256", () => {
  const redactor = createRedactor();
  for (let i = 0; i < 256; i++) assert.equal(redactor.register(`secret-${i}`), true);
  assert.equal(redactor.register("secret-3"), true);
  assert.throws(
    () => redactor.register("one too many"),
    (thrown) => thrown instanceof StartError && thrown.reason === "SECRETS_TOO_MANY",
  );
});

test("takes a secret that is no well-formed text", () => {
  const redactor = createRedactor();
  redactor.register("abc\ud800def");
  assert.equal(redactor.text("abc\ud800def"), "[redacted]");
});
