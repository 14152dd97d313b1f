import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { etagOf, matchesEtag } from "./etag.ts";
import { parseIdempotencyKey } from "./idempotency-key.ts";
import { parseJson } from "./json.ts";
import { locateJsonError } from "./json-error.ts";
import { memoize } from "./memo.ts";
import { acceptsJson, acceptWeight, contentCodingOf, streamFormatOf } from "./negotiation.ts";
import { addQuery, EmptyTexts } from "./query.ts";

const places: readonly (readonly [text: string, position: number, expected: string])[] = [
  ["", 0, "a value"],
  [" ", 1, "a value"],
  ["x", 0, "a value"],
  ["[", 1, 'a value or "]"'],
  ["[1", 2, '"," or "]"'],
  ["[1,", 3, "a value"],
  ["[1,]", 3, "a value"],
  ["[1 2]", 3, '"," or "]"'],
  ["[}", 1, 'a value or "]"'],
  ["{", 1, 'a name in double quotes or "}"'],
  ["{a", 1, 'a name in double quotes or "}"'],
  ['{"a"', 4, '":"'],
  ['{"a":', 5, "a value"],
  ['{"a":}', 5, "a value"],
  ['{"a":1', 6, '"," or "}"'],
  ['{"a":1,}', 7, "a name in double quotes"],
  ['{"a":1]', 6, '"," or "}"'],
  ['{"a" 1}', 5, '":"'],
  ["[] x", 3, "the end of the text"],
  ["01", 1, "the end of the text"],
  ["tru", 0, "a value"],
  ["nullx", 4, "the end of the text"],
  ['"a', 2, "a closing double quote"],
  ['"a\n"', 2, "an escape instead of a control character"],
  ['"\\x"', 2, "an escape such as \\n"],
  ['"\\', 2, "an escape such as \\n"],
  ['"\\u12g4"', 3, "four hexadecimal digits"],
  ['{"a', 3, "a closing double quote"],
  ["\ufeff[]", 0, "a value"],
];

test("the place of an error in JSON is where no other text could have helped", () => {
  for (const [text, position, expected] of places) {
    const found = locateJsonError(text);
    assert.deepEqual([found.position, found.expected], [position, expected], JSON.stringify(text));
  }
  assert.deepEqual(locateJsonError('{\n  "a": [\n    1,\n  ]\n}'), {
    position: 20,
    line: 4,
    column: 3,
    expected: "a value",
  });
});

test("whatever is damaged in a JSON text, a place is found in it", () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom("", "x", ",", '"', "}", "]", "\\", "\u0000"),
      (text, at, noise) => {
        const cut = at % (text.length + 1);
        const damaged = text.slice(0, cut) + noise + text.slice(cut + 1);
        try {
          JSON.parse(damaged);
        } catch {
          const { position } = locateJsonError(damaged);
          assert.ok(position >= 0 && position <= damaged.length);
          assert.ok(
            position >= cut - 5 || noise === "",
            "not before the damage, save a word or an escape that it broke",
          );
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("JSON within the limits is what JSON.parse makes of it", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) =>
      assert.deepEqual(parseJson(Buffer.from(text), 64), JSON.parse(text)),
    ),
    { numRuns: 200 },
  );
  assert.throws(() => parseJson(Buffer.from("[[1]]"), 1), { reason: "JSON_TOO_DEEP" });
  assert.deepEqual(parseJson(Buffer.from('["[[[["]'), 1), ["[[[["]);
  assert.deepEqual(parseJson(Buffer.from('["\\"[[", [], {}]'), 2), ['"[[', [], {}]);
});

test("a query gives texts by name", () => {
  const cases: readonly (readonly [string, object])[] = [
    ["a=1&b=2", { a: "1", b: "2" }],
    ["a=1&a=2&a=3", { a: ["1", "2", "3"] }],
    ["a&b=&=c&&d=e=f", { a: "", b: "", "": "c", d: "e=f" }],
    ["a+b=c+d&%61=%2B", { "a b": "c d", a: "+" }],
    ["id=1", {}],
  ];
  for (const [query, wanted] of cases) {
    const texts = new EmptyTexts();
    addQuery(texts, query, ["id"]);
    assert.deepEqual({ ...texts }, wanted);
  }
  const texts = new EmptyTexts();
  addQuery(texts, "__proto__=x&toString=y", []);
  assert.deepEqual(Object.keys(texts), ["__proto__", "toString"]);
  assert.equal(Object.getPrototypeOf(Object.getPrototypeOf(texts)), null);
  for (const query of ["%", "a=%zz", "a=%c3"])
    assert.throws(() => addQuery(new EmptyTexts(), query, []), { reason: "URL_MALFORMED" });
});

test("Accept: the most exact entry counts", () => {
  const json = "application/json";
  const cases: readonly (readonly [string, number])[] = [
    ["", 1],
    ["*/*", 1],
    ["text/html", 0],
    ["text/html, */*;q=0.1", 0.1],
    ["application/*;q=0.4, */*;q=0.9", 0.4],
    ["application/json;q=0, application/*", 0],
    ["Application/JSON ; Q=0.5", 0.5],
    ["application/json;q=5", 1],
    ["application/json;version=1;q=0.2, application/json;q=0.7", 0.7],
    [`${"a/b,".repeat(100)}application/json`, 0],
  ];
  for (const [accept, weight] of cases) assert.equal(acceptWeight(accept, json), weight, accept);
  assert.equal(acceptsJson(undefined), true);
  assert.equal(acceptsJson("text/html"), false);
  assert.equal(acceptsJson("text/html"), false);
  assert.equal(streamFormatOf("text/html"), undefined);
  assert.equal(streamFormatOf("text/event-stream;q=0.2, application/x-ndjson;q=0.3"), "ndjson");
});

test("Accept-Encoding: the best weight, brotli before gzip", () => {
  const cases = {
    "": "identity",
    "*": "br",
    "gzip;q=1.0, *;q=0.5": "gzip",
    "x-gzip": "gzip",
    "br;q=0.1, identity": "identity",
    "gzip;q=0": "identity",
  };
  for (const [header, coding] of Object.entries(cases)) assert.equal(contentCodingOf(header), coding, header);
});

test("an idempotency key is a quoted string or the bare text", () => {
  const cases = {
    '"8e03 978e"': "8e03 978e",
    "8e03978e": "8e03978e",
    ' "a\\"b\\\\" ': 'a"b\\',
    [`"${"a".repeat(255)}"`]: "a".repeat(255),
  };
  for (const [header, key] of Object.entries(cases)) assert.equal(parseIdempotencyKey(header), key);
  for (const header of [
    "",
    " ",
    '""',
    '"a',
    '"a"b"',
    "a b",
    "ä",
    '"\\n"',
    "a".repeat(256),
    `"${"a".repeat(256)}"`,
    ["a", "b"],
  ]) {
    assert.throws(() => parseIdempotencyKey(header), { reason: "IDEMPOTENCY_KEY_INVALID" });
  }
});

test("a tag is of the body and its coding, and compared weakly", () => {
  assert.equal(etagOf("a", "identity"), etagOf(Buffer.from("a"), "identity"));
  assert.notEqual(etagOf("a", "gzip"), etagOf("a", "identity"));
  assert.equal(matchesEtag('W/"x" , "y"', '"y"'), true);
  assert.equal(matchesEtag('"xy"', '"y"'), false);
});

test("a memo computes once for each text, until it is full", () => {
  let count = 0;
  const length = memoize((text: string) => {
    count++;
    return text.length;
  }, 2);
  const texts = ["a", "a", "bb", "ccc", "a", "x".repeat(300), "x".repeat(300)];
  assert.deepEqual(
    texts.map(length),
    texts.map((text) => text.length),
  );
  assert.equal(count, 6);
});
