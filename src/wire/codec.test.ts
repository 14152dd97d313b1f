import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JsonSchema } from "../base/index.ts";
import { createSeededRandom, PlinthError } from "../base/index.ts";
import { compileCodec } from "./codec.ts";
import { Reader } from "./reader.ts";
import { readValue, writeValue } from "./value.ts";
import { Writer } from "./writer.ts";

function encode(schema: JsonSchema, value: unknown): Buffer {
  const writer = new Writer();
  compileCodec(schema).encode(value, writer);
  return writer.take();
}

function decode(schema: JsonSchema, bytes: Buffer): unknown {
  const reader = new Reader(bytes);
  const value = compileCodec(schema).decode(reader);
  reader.finish();
  return value;
}

function again(schema: JsonSchema, value: unknown): unknown {
  return decode(schema, encode(schema, value));
}

function reasonOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof PlinthError, String(thrown));
    return thrown.reason;
  }
  return "";
}

const product: JsonSchema = {
  type: "object",
  title: "Product",
  required: ["id", "name", "price", "tags"],
  properties: {
    id: { type: "string" },
    name: { type: "string" },
    price: { type: "integer" },
    weight: { type: "number" },
    state: { enum: ["new", "old"] },
    tags: { type: "array", items: { type: "string" } },
    photo: { type: "string", "x-plinth": "bytes" },
    note: { anyOf: [{ type: "string" }, { type: "null" }] },
    labels: { type: "object", additionalProperties: { type: "string" } },
    more: {},
  },
};

const full = {
  id: "p-1",
  name: "Ünïcode 😀 ".repeat(20),
  price: -1299,
  tags: ["a", "", "x".repeat(500), "é"],
  weight: 1.5,
  state: "old",
  photo: new Uint8Array([0, 255, 7]),
  note: null,
  labels: { colour: "red" },
  more: [1, { a: [true, null] }],
};

test("a value of every kind comes back equal", () => {
  assert.deepEqual(again(product, full), full);
  const small = { id: "", name: "n", price: 0, tags: [] };
  assert.deepEqual(again(product, small), small);
  assert.ok(encode(product, small).length <= 8);
});

test("every number comes back exactly", () => {
  const edges = [0, -0, 1, -1, 63, 64, -64, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 53, 1e308];
  for (const value of [...edges, Number.NaN, Number.POSITIVE_INFINITY, 5e-324, 0.1]) {
    assert.ok(Object.is(again({ type: "number" }, value), value), String(value));
    assert.ok(Object.is(again({ type: "integer" }, value), value), String(value));
  }
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.maxSafeInteger(), fc.integer()), (value) => {
      assert.ok(Object.is(again({ type: "number" }, value), value));
    }),
  );
});

test("every well-formed string comes back, at any place in the slab", () => {
  const writer = new Writer();
  const codec = compileCodec({ type: "string" });
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.nat(3), (text, copies) => {
      const value = text.repeat(copies);
      codec.encode(value, writer);
      assert.equal(codec.decode(new Reader(writer.take())), value);
    }),
    { numRuns: 500 },
  );
  assert.equal(again({ type: "string" }, "a\ud800"), "a\ufffd");
});

test("members that the schema does not declare are never sent, in either form", () => {
  const secret = { ...full, password: "s3cret", __proto__: { inherited: 1 } };
  const writer = new Writer();
  const codec = compileCodec(product);
  codec.encodeLoose(secret, writer);
  const loose = writer.take();
  for (const bytes of [encode(product, secret), loose])
    assert.doesNotMatch(bytes.toString("latin1"), /s3cret|password/);
  assert.deepEqual(codec.decodeLoose(new Reader(loose)), full);
});

test("members that only the peer declares are dropped on arrival", () => {
  const writer = new Writer();
  writeValue(writer, { id: "1", name: "n", price: 1, tags: [], added: { later: 1 } });
  assert.deepEqual(compileCodec(product).decodeLoose(new Reader(writer.take())), {
    id: "1",
    name: "n",
    price: 1,
    tags: [],
  });
});

test("a choice sends what any of its branches declares and nothing else", () => {
  const shape: JsonSchema = {
    anyOf: [
      { type: "object", required: ["kind", "r"], properties: { kind: { const: "circle" }, r: { type: "number" } } },
      { type: "object", required: ["kind", "r"], properties: { kind: { const: "text" }, r: { type: "string" } } },
      { type: "array", items: { type: "integer" } },
      { type: "string" },
      { type: "null" },
    ],
  };
  for (const value of [{ kind: "circle", r: 2 }, { kind: "text", r: "x" }, [1, 2], "word", null]) {
    assert.deepEqual(again(shape, value), value);
  }
  assert.deepEqual(again(shape, { kind: "circle", r: 2, secret: 1 }), { kind: "circle", r: 2 });
  assert.equal(
    reasonOf(() => encode(shape, true)),
    "WIRE_VALUE_MISMATCH",
  );
});

test("recursive schemas work, up to 64 levels", () => {
  const tree: JsonSchema = {
    $defs: {
      Node: {
        type: "object",
        required: ["name", "children"],
        properties: { name: { type: "string" }, children: { type: "array", items: { $ref: "#/$defs/Node" } } },
      },
    },
    $ref: "#/$defs/Node",
  };
  const value = { name: "a", children: [{ name: "b", children: [] }] };
  assert.deepEqual(again(tree, value), value);
  let deep = { name: "x", children: [] as unknown[] };
  for (let i = 0; i < 40; i++) deep = { name: "x", children: [deep] };
  assert.equal(
    reasonOf(() => encode(tree, deep)),
    "WIRE_TOO_DEEP",
  );
  const list: JsonSchema = { type: "object", properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } } };
  assert.deepEqual(again(list, { next: { next: null } }), { next: { next: null } });
});

test("a cycle is refused, not followed", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const codec = compileCodec({});
  assert.equal(
    reasonOf(() => codec.encode(cyclic, new Writer())),
    "WIRE_TOO_DEEP",
  );
  const list: JsonSchema = { type: "object", properties: { self: { $ref: "#" } } };
  assert.equal(
    reasonOf(() => encode(list, cyclic)),
    "WIRE_TOO_DEEP",
  );
  assert.equal(
    reasonOf(() => compileCodec(list).encodeLoose(cyclic, new Writer())),
    "WIRE_TOO_DEEP",
  );
});

test("a value that does not fit is refused with its place", () => {
  const cases: [unknown, RegExp][] = [
    [{ id: 7, name: "", price: 1, tags: [] }, /"\/id" where a string belongs/],
    [{ id: "", name: "", price: 1, tags: ["a", null] }, /null at "\/tags\/1" where a string/],
    [{ id: "", name: "", price: "1", tags: [] }, /type string at "\/price" where a number/],
    [{ id: "", name: "", price: 1 }, /undefined at "\/tags" where an array/],
    [{ id: "", name: "", price: 1, tags: {} }, /"\/tags" where an array/],
    [{ id: "", name: "", price: 1, tags: [], note: 5 }, /"\/note" where null or a string/],
    [{ id: "", name: "", price: 1, tags: [], state: 5 }, /"\/state" where a string/],
    [{ id: "", name: "", price: 1, tags: [], photo: "AA" }, /"\/photo" where bytes/],
    [{ id: "", name: "", price: 1, tags: [], labels: { "a/b~": 1 } }, /"\/labels\/a~1b~0" where a string/],
    ["x", /type string at "" where an object/],
    [null, /null at "" where an object/],
  ];
  for (const [value, words] of cases) assert.throws(() => encode(product, value), words);
  assert.throws(() => encode({ type: "boolean" }, 1), /a boolean/);
  assert.throws(() => encode({ type: "null" }, 1), /null/);
  assert.throws(() => encode({}, 1n), /a JSON value/);
});

test("names of Object.prototype and __proto__ are harmless", () => {
  const schema: JsonSchema = {
    type: "object",
    required: ["toString"],
    properties: Object.fromEntries(
      ["constructor", "toString", "__proto__", "a'];\n"].map((name) => [name, { type: "string" }]),
    ),
  };
  assert.deepEqual(again(schema, { toString: "x" }), { toString: "x" });
  const own = { toString: "x", constructor: "y", "a'];\n": "z" };
  assert.deepEqual(again(schema, own), own);
  const hostile = JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}');
  const got = again({}, hostile) as Record<string, Record<string, unknown>>;
  assert.deepEqual([Object.keys(got), Object.keys(got.a ?? {}), got.polluted], [["a"], [], undefined]);
  const record = again({ type: "object", additionalProperties: true }, hostile) as Record<string, unknown>;
  assert.deepEqual([Object.keys(record), record.polluted], [["a"], undefined]);
});

test("an enum value that the list does not have still arrives", () => {
  const schema: JsonSchema = { enum: ["a", "b"] };
  for (const value of ["a", "b", "c"]) assert.equal(again(schema, value), value);
  assert.equal(again({ const: "a" }, "a"), "a");
  assert.equal(again({ const: 5 }, 6), 6);
  assert.deepEqual(again({ enum: ["a", 1, null, true] }, null), null);
});

test("open values follow JSON where JSON says something", () => {
  const at = new Date("2026-01-02T03:04:05Z");
  const value = { at, skip: undefined, fn: () => 1, list: [undefined, () => 1, 2], sym: Symbol("s") };
  assert.deepEqual(again({}, value), JSON.parse(JSON.stringify(value)));
  assert.equal(again({}, undefined), undefined);
  const bytes = again({}, { raw: Buffer.from("abc") }) as { raw: Uint8Array };
  assert.deepEqual([...bytes.raw], [97, 98, 99]);
});

test("schema forms: tuples, allOf, type lists, patterns, missing types, plain objects", () => {
  const tuple: JsonSchema = { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], items: false };
  assert.deepEqual(again(tuple, ["a", 1]), ["a", 1]);
  assert.deepEqual(again({ type: "array", items: [{ type: "string" }] as never }, ["a"]), ["a"]);
  const both: JsonSchema = {
    allOf: [
      { type: "object", required: ["a"], properties: { a: { type: "string" } } },
      { type: "object", required: ["b"], properties: { b: { type: "integer" } } },
    ],
  };
  assert.deepEqual(again(both, { a: "x", b: 1, c: 2 }), { a: "x", b: 1 });
  for (const value of ["x", null]) assert.equal(again({ type: ["string", "null"] }, value), value);
  const record: JsonSchema = { type: "object", patternProperties: { "^.*$": { type: "number" } } };
  assert.deepEqual(again(record, { a: 1, b: 2 }), { a: 1, b: 2 });
  assert.deepEqual(again({ properties: { a: { type: "string" } } }, { a: "x", b: 1 }), { a: "x" });
  assert.deepEqual(again({ type: "object" }, { a: { b: 1 } }), { a: { b: 1 } });
  assert.deepEqual(again({ type: "object", properties: {} }, { a: 1 }), {});
  assert.deepEqual(again({ type: "void" }, undefined), undefined);
  assert.equal(again({ allOf: [{ type: "string" }, { enum: ["a", "b"] }] }, "b"), "b");
  assert.equal(again({ type: "string", anyOf: [{ minLength: 3 }, { maxLength: 1 }] }, "abc"), "abc");
  assert.deepEqual(again({ allOf: [{ type: "string" }, { type: "number" }] }, 4), 4);
  const partly: JsonSchema = {
    type: "object",
    properties: { a: { type: "string" } },
    oneOf: [{ required: ["a"] }, { properties: { b: { type: "integer" } } }],
  };
  assert.deepEqual(again(partly, { a: "x", b: 1 }), { a: "x", b: 1 });
  const lists: JsonSchema = { allOf: [{ type: "array" }, { type: "array", items: { type: "string" } }] };
  assert.deepEqual(again(lists, ["a"]), ["a"]);
  const open: JsonSchema = { allOf: [record, { type: "object", properties: { s: { type: "number" } } }] };
  assert.deepEqual(again(open, { s: 1, t: 2 }), { s: 1, t: 2 });
  const choice: JsonSchema = { anyOf: [record, { type: "object", properties: { s: { type: "string" } } }] };
  assert.deepEqual(again(choice, { s: 1, t: 2 }), { s: 1, t: 2 });
});

test("references by $id, by $anchor, by name under $defs and by pointer are followed", () => {
  for (const $ref of ["urn:a", "#here", "Part", "#/$defs/Part", "#/properties/x~1y"]) {
    const schema: JsonSchema = {
      type: "object",
      properties: {
        "x/y": { $id: "urn:a", $anchor: "here", type: "object", properties: { v: { type: "string" } } },
        again: { $ref },
      },
      $defs: { Part: { type: "object", properties: { v: { type: "string" } } } },
    };
    assert.deepEqual(again(schema, { again: { v: "1", w: 2 } }), { again: { v: "1" } }, $ref);
  }
  assert.equal(again({ anyOf: [{ $ref: "#" }, { type: "string" }] }, "x"), "x");
});

test("a schema that cannot be compiled stops the start, and says why", () => {
  const start = { name: "StartError", reason: "CODEC_SCHEMA_UNUSABLE" };
  assert.throws(() => compileCodec({ $ref: "#/nowhere" }), start);
  assert.throws(() => compileCodec({ $ref: "https://example.com/other" }), start);
  const twice = { $defs: { A: { $defs: { N: { type: "null" } }, type: "string" }, N: { type: "string" } }, $ref: "N" };
  assert.throws(() => compileCodec(twice as JsonSchema), start);
  let deep: JsonSchema = { type: "string" };
  for (let i = 0; i < 600; i++) deep = { type: "array", items: deep };
  assert.throws(() => compileCodec(deep), start);
  const wide = Array.from({ length: 10_001 }, (_, i) => [`m${i}`, { type: "array", items: { enum: [`${i}`] } }]);
  assert.throws(() => compileCodec({ type: "object", properties: Object.fromEntries(wide) }), start);
});

test("the fingerprint names the structure: not titles, not how the schema is put together", () => {
  const print = (schema: JsonSchema) => compileCodec(schema).fingerprint;
  const clone = (schema: JsonSchema): JsonSchema => JSON.parse(JSON.stringify(schema));
  const base = print(product);
  assert.match(base, /^[0-9a-f]{64}$/);
  assert.equal(print({ ...clone(product), title: "Other", description: "x" }), base);
  const shared: JsonSchema = { type: "object", required: ["x"], properties: { x: { type: "string", minLength: 2 } } };
  const pair: JsonSchema = { type: "object", properties: { a: shared, b: shared } };
  assert.equal(print(pair), print(clone(pair)));
  const viaRef: JsonSchema = { ...pair, properties: { a: shared, b: { $ref: "#/properties/a" } } };
  assert.equal(print(viaRef), print(pair));
  const changes: JsonSchema[] = [
    { ...product, required: ["id", "name", "price"] },
    { ...product, properties: { ...product.properties, added: { type: "string" } } },
    { ...product, properties: { ...product.properties, price: { type: "string" } } },
    { ...product, properties: { name: { type: "string" }, ...product.properties } },
    { ...product, properties: { ...product.properties, state: { enum: ["old", "new"] } } },
  ];
  const prints = new Set([base, ...changes.map(print)]);
  assert.equal(prints.size, changes.length + 1);
  const ends = (last: string): JsonSchema => {
    let schema: JsonSchema = { type: last };
    for (let i = 0; i < 6; i++) schema = { type: "array", items: schema };
    return schema;
  };
  assert.notEqual(print(ends("string")), print(ends("number")));
});

test("a codec is made once for each schema and for each fingerprint", () => {
  assert.equal(compileCodec(product), compileCodec(product));
  assert.equal(compileCodec({ ...product }), compileCodec(product));
});

/** Pairs of a schema and a value that fits it. */
const { pair } = fc.letrec<{ pair: [JsonSchema, unknown] }>((tie) => ({
  pair: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.string({ unit: "grapheme" }).map((value): [JsonSchema, unknown] => [{ type: "string" }, value]),
    fc.integer().map((value): [JsonSchema, unknown] => [{ type: "integer" }, value]),
    fc.double().map((value): [JsonSchema, unknown] => [{ type: "number" }, value]),
    fc.boolean().map((value): [JsonSchema, unknown] => [{ type: "boolean" }, value]),
    fc.jsonValue().map((value): [JsonSchema, unknown] => [{}, JSON.parse(JSON.stringify(value))]),
    fc.uint8Array().map((value): [JsonSchema, unknown] => [{ "x-plinth": "bytes" }, new Uint8Array(value)]),
    fc
      .tuple(tie("pair"), fc.nat(4))
      .map(([[items, value], count]): [JsonSchema, unknown] => [{ type: "array", items }, Array(count).fill(value)]),
    fc
      .tuple(tie("pair"), tie("pair"))
      .map(([[left, value], [right]]): [JsonSchema, unknown] => [{ anyOf: [{ type: "null" }, left, right] }, value]),
    fc
      .dictionary(fc.string(), fc.tuple(tie("pair"), fc.constantFrom("required", "present", "absent")), { maxKeys: 12 })
      .map((members): [JsonSchema, unknown] => {
        const list = Object.entries(members).filter(([name]) => name !== "__proto__");
        return [
          {
            type: "object",
            properties: Object.fromEntries(list.map(([name, [[schema]]]) => [name, schema])),
            required: list.filter(([, [, state]]) => state === "required").map(([name]) => name),
          },
          Object.fromEntries(list.filter(([, [, s]]) => s !== "absent").map(([name, [[, value]]]) => [name, value])),
        ];
      }),
  ),
}));

function plain(value: unknown): unknown {
  return structuredClone(value);
}

test("any schema's values come back, in both forms", () => {
  fc.assert(
    fc.property(pair, ([schema, value]) => {
      const codec = compileCodec(schema);
      // -0 and null prototypes aside, which fast-check likes and nobody sends.
      assert.deepEqual(plain(again(schema, value)), plain(value));
      const writer = new Writer();
      codec.encodeLoose(value, writer);
      assert.deepEqual(plain(codec.decodeLoose(new Reader(writer.take()))), plain(value));
    }),
    { numRuns: 400 },
  );
});

test("bytes cut short or changed anywhere give a value or our own error, and nothing is read beyond the end", () => {
  const random = createSeededRandom(7);
  const outcome = (run: () => unknown) => {
    const reason = reasonOf(run);
    assert.ok(reason === "" || reason.startsWith("WIRE_"), reason);
  };
  fc.assert(
    fc.property(pair, ([schema, value]) => {
      const codec = compileCodec(schema);
      const bytes = encode(schema, value);
      for (let round = 0; round < 12; round++) {
        const bad = Buffer.concat([bytes, Buffer.alloc(16, 0xff)]);
        for (let i = random.uint32() % 4; i >= 0; i--) bad[random.uint32() % bad.length] = random.uint32();
        const end = random.uint32() % (bytes.length + 1);
        outcome(() => codec.decode(new Reader(bad, 0, end)));
        outcome(() => codec.decodeLoose(new Reader(bad, 0, end)));
        const reader = new Reader(bad, 0, end);
        outcome(() => codec.decode(reader));
        assert.ok(reader.at <= end);
      }
      for (let end = 0; end < bytes.length; end++) {
        assert.equal(
          reasonOf(() => decode(schema, bytes.subarray(0, end))),
          "WIRE_MALFORMED",
        );
      }
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      for (const schema of [product, {}]) outcome(() => compileCodec(schema).decode(new Reader(Buffer.from(noise))));
    }),
    { numRuns: 2000 },
  );
});

test("lies about length cost no memory", () => {
  const huge = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]);
  for (const schema of [
    { type: "array" },
    { type: "string" },
    { "x-plinth": "bytes" },
    { type: "array", items: { type: "null" } },
  ]) {
    assert.equal(
      reasonOf(() => decode(schema, huge)),
      "WIRE_MALFORMED",
    );
  }
  assert.equal(
    reasonOf(() => decode({ type: "string" }, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x01]))),
    "WIRE_MALFORMED",
  );
  assert.equal(
    reasonOf(() => decode({ type: "integer" }, Buffer.alloc(20, 0xff))),
    "WIRE_MALFORMED",
  );
  const nested = Buffer.alloc(140);
  for (let i = 0; i < 140; i += 2) nested.set([7, 1], i);
  assert.equal(
    reasonOf(() => readValue(new Reader(nested))),
    "WIRE_TOO_DEEP",
  );
  const objects = Buffer.concat(Array.from({ length: 70 }, () => Buffer.from([8, 1])));
  assert.equal(
    reasonOf(() => readValue(new Reader(objects))),
    "WIRE_TOO_DEEP",
  );
});

test("each kind of malformed byte is named", () => {
  const cases: [JsonSchema, number[], RegExp][] = [
    [{ type: "boolean" }, [2], /neither true nor false/],
    [{ type: "null" }, [1], /a null is none/],
    [{ enum: ["a"] }, [9], /out of range/],
    [{ type: ["string", "null"] }, [9], /out of range/],
    [{}, [99], /unknown kind/],
    [{ type: "string" }, [3, 65, 65], /after its end/],
    [{ type: "object", properties: { a: { type: "string" } } }, [2], /unknown member/],
    [{ type: "number" }, [0x40, 1], /ends early/],
  ];
  for (const [schema, bytes, words] of cases) assert.throws(() => decode(schema, Buffer.from(bytes)), words);
});

test("what was decoded shares no memory with the bytes", () => {
  const bytes = encode({ "x-plinth": "bytes" }, new Uint8Array([1, 2, 3]));
  const value = decode({ "x-plinth": "bytes" }, bytes);
  bytes.fill(0);
  assert.deepEqual(value, new Uint8Array([1, 2, 3]));
});

test("words of 32 bits come back, and are not read beyond the end", () => {
  const words = new Int32Array([0, -1, 2 ** 31 - 1, -(2 ** 31)]);
  const writer = new Writer();
  writer.words(words);
  const bytes = writer.take();
  assert.equal(bytes.readInt32BE(4), -1);
  const read = new Int32Array(4);
  new Reader(bytes).words(read);
  assert.deepEqual(read, words);
  assert.equal(
    reasonOf(() => new Reader(bytes).words(new Int32Array(5))),
    "WIRE_MALFORMED",
  );
});

test("short texts come back equal wherever they lie among other bytes, in one message after another", () => {
  const schema: JsonSchema = { type: "array", items: { type: "string" } };
  const reader = new Reader();
  const writer = new Writer();
  const lists = [0, 1, 2].map((n) =>
    Array.from({ length: 400 }, (_, i) => (i % 7 === 3 ? "ü€" : "abc-".repeat(i % 70)) + n),
  );
  const ends = lists.map((list) => {
    compileCodec(schema).encode(list, writer);
    return writer.length;
  });
  const bytes = writer.take();
  for (const again of [bytes, Buffer.from(bytes)]) {
    lists.forEach((list, n) => {
      reader.reset(again, ends[n - 1] ?? 0, ends[n] as number);
      assert.deepEqual(compileCodec(schema).decode(reader), list);
      reader.finish();
    });
  }
});

test("a reader that begins anew has nothing left of the bytes before, be they the same buffer", () => {
  const schema: JsonSchema = { type: "array", items: { type: "string" } };
  const codec = compileCodec(schema);
  const lists = ["first customer", "other customer"].map((text) => [text, `${text}'s`]);
  for (const shared of [undefined, Buffer.alloc(100)]) {
    const reader = new Reader();
    for (const list of lists) {
      const bytes = encode(schema, list);
      if (shared) bytes.copy(shared);
      reader.reset(shared ?? bytes, 0, bytes.length);
      assert.deepEqual(codec.decode(reader), list);
    }
  }
});
