import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TokenFault } from "./errors.ts";
import { parseObject } from "./strict-json.ts";

const parse = (text: string) => parseObject(Buffer.from(text));

test("reads what JSON.parse reads, when no name stands twice", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), (value) => {
      const text = JSON.stringify(value, null, value.pretty ? 1 : 0);
      assert.deepEqual(parse(text), JSON.parse(text));
    }),
  );
});

test("finds a name that stands twice wherever it is, however it is written", () => {
  const twice = [
    '{"a":1,"a":1}',
    '{"a":1, "b":{"c":[{"d":1 ,"d" :2}]}}',
    '{"a":1,"\\u0061":2}',
    '{"\\"":1,"\\u0022":2}',
    '{"\\\\":1,"\\\\":2}',
    '{"":1,"":2}',
    '{"a":{"a":1},"b":2,"a":3}',
    '{"x":"\\\\","x":1}',
    '{"__proto__":1,"__proto__":2}',
  ];
  for (const text of twice) assert.throws(() => parse(text), TokenFault, text);
  const once = ['{"a":{"a":{"a":1}}}', '{"a":["a","a"],"b":"a"}', '{"a":"{\\"a\\":1,\\"a\\":2}"}', '{"a":"b","b":"a"}'];
  for (const text of once) assert.deepEqual(parse(text), JSON.parse(text));
});

test("refuses depth, and what is no object", () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  assert.ok(parse(nested(8)));
  for (const text of [nested(9), "[]", "null", "1", '"a"', "", "{", '{"a":1}x', "\ufeff{}"])
    assert.throws(() => parse(text), TokenFault, text);
  assert.throws(() => parseObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), TokenFault);
});

test("a text without end costs no more than its length", () => {
  const text = `{"a":"${"\\\\".repeat(100_000)}"`;
  const begin = process.cpuUsage();
  assert.throws(() => parse(text), TokenFault);
  const many = `{${Array.from({ length: 20_000 }, (_, i) => `"m${i}":0`).join(",")}}`;
  parse(many);
  assert.ok(process.cpuUsage(begin).user < 500_000);
});
