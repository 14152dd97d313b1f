import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isError } from "../base/index.ts";
import { compile, type Schema, t } from "./index.ts";

const compileAny = (schema: unknown) => compile(schema as Schema);
const object = (properties: Record<string, unknown>, more: object = {}) => ({ type: "object", properties, ...more });
const string = { type: "string" };
const A = object({ a: string }, { required: ["a"] });
const B = object({ b: string }, { required: ["b"] });

/** Each: a schema, a value, and the copy. What is written is the copy's JSON, in every case. */
const cases: readonly (readonly [claim: string, schema: unknown, value: unknown, copy: unknown])[] = [
  ["drops undeclared members", A, { a: "1", x: 2 }, { a: "1" }],
  ["drops undeclared members of a closed object", { ...A, additionalProperties: false }, { a: "1", x: 2 }, { a: "1" }],
  ["drops everything where no member is declared", t.Object({}), { x: 1 }, {}],
  [
    "keeps all members where the schema says so",
    { ...A, additionalProperties: true },
    { x: { y: [1] }, a: "1" },
    { a: "1", x: { y: [1] } },
  ],
  ["keeps all members of an object that is not described", { type: "object" }, { x: { y: 1 } }, { x: { y: 1 } }],
  [
    "copies the members of a record by their schema",
    t.Record(t.String(), A as never),
    { k: { a: "1", x: 2 } },
    { k: { a: "1" } },
  ],
  [
    "copies members by pattern, and drops those of no pattern",
    { type: "object", patternProperties: { "^n": { type: "integer" }, "^o": A } },
    { n1: 1, o1: { a: "1", x: 1 }, z: 1, n2: undefined },
    { n1: 1, o1: { a: "1" } },
  ],
  [
    "takes unevaluatedProperties for what is not named",
    object({ a: string }, { unevaluatedProperties: A }),
    { a: "1", m: { a: "2", x: 1 } },
    { a: "1", m: { a: "2" } },
  ],
  ["leaves undefined members out", object({ a: string }), { a: undefined }, {}],
  ["cuts a tuple to its length", t.Tuple([t.String(), A as never]), ["s", { a: "1", x: 1 }, "more"], ["s", { a: "1" }]],
  ["leaves a short tuple short", t.Tuple([t.String(), t.String()]), ["s"], ["s"]],
  ["copies the rest of a tuple", { prefixItems: [string], items: A }, ["s", { a: "1", x: 1 }], ["s", { a: "1" }]],
  ["copies null where it may be", t.Union([t.Null(), A as never]), null, null],
  ["copies by a list of types", { ...A, type: ["object", "null"] }, { a: "1", x: 1 }, { a: "1" }],
  ["tells types apart without a type keyword", { properties: { a: string } }, { a: "1", x: 1 }, { a: "1" }],
  ["takes any other value without a type keyword", { properties: { a: string } }, [1, { x: 1 }], [1, { x: 1 }]],
  [
    "finds the branch by a constant field",
    {
      oneOf: [
        object({ k: { const: 1 }, v: A }, { required: ["k"] }),
        object({ k: { enum: ["2", 3] }, v: B }, { required: ["k"] }),
      ],
    },
    { k: 3, v: { a: "1", b: "2" } },
    { k: 3, v: { b: "2" } },
  ],
  [
    "takes the first branch for a constant that none has",
    {
      oneOf: [
        object({ k: { const: 1 }, v: A }, { required: ["k"] }),
        object({ k: { const: 2 }, v: B }, { required: ["k"] }),
      ],
    },
    { k: 9, v: { a: "1", b: "2" } },
    { k: 9, v: { a: "1" } },
  ],
  ["finds the branch by asking", { anyOf: [A, B] }, { b: "1", x: 1 }, { b: "1" }],
  ["joins the branches that fit", { anyOf: [A, B] }, { a: "1", b: "2", x: 1 }, { a: "1", b: "2" }],
  ["takes the first branch where none fits", { anyOf: [A, B] }, { a: 1, b: 2 }, { a: 1 }],
  [
    "finds the branch of an array",
    {
      anyOf: [
        { type: "array", items: A },
        { type: "array", items: B },
      ],
    },
    [{ b: "1", a: 1 }],
    [{ b: "1" }],
  ],
  [
    "takes the first array where none fits",
    {
      anyOf: [
        { type: "array", items: A },
        { type: "array", items: B },
      ],
    },
    [{ x: 1 }],
    [{ a: undefined }],
  ],
  [
    "sees through unions in unions",
    { anyOf: [{ anyOf: [A, { type: "null" }] }, { type: "string" }] },
    { a: "1", x: 1 },
    { a: "1" },
  ],
  ["takes one branch as the thing itself", { anyOf: [A] }, { a: "1", x: 1 }, { a: "1" }],
  ["gives null for an object where only text is declared", object({ a: string }), { a: { secret: 1 } }, { a: null }],
  ["gives null for an object where the union has none", { anyOf: [string, { type: "array" }] }, { secret: 1 }, null],
  ["gives null for an array where the union has none", { anyOf: [string, A] }, [{ secret: 1 }], null],
  ["gives null for an object where an array is declared", { type: "array", items: A }, { secret: 1 }, null],
  ["lets text pass where an object is declared", A, "text", "text"],
  ["gives null for a function", object({ a: string }), { a: () => 1 }, { a: null }],
  ["gives null for a value where the schema allows none", object({ a: false }), { a: { secret: 1 } }, { a: null }],
  [
    "writes a Date where text is declared",
    object({ a: string }),
    { a: new Date(0) },
    { a: "1970-01-01T00:00:00.000Z" },
  ],
  [
    "gives null for what turns itself into an object",
    object({ a: string }),
    { a: { toJSON: () => ({ secret: 1 }) } },
    { a: null },
  ],
  [
    "merges what several schemas declare",
    { allOf: [A, B, object({ a: { minLength: 1 } })] },
    { a: "1", b: "2", x: 1 },
    { a: "1", b: "2" },
  ],
  [
    "lets a described object win over a bare one",
    { type: "object", allOf: [{ type: "object" }, A] },
    { a: "1", x: 1 },
    { a: "1" },
  ],
  [
    "keeps what one of several schemas keeps",
    { allOf: [A, object({}, { additionalProperties: true })] },
    { a: "1", x: 1 },
    { a: "1", x: 1 },
  ],
  [
    "reads members by both their schemas",
    { allOf: [object({ m: A }), object({ m: B })] },
    { m: { a: "1", b: "2", x: 1 } },
    { m: { a: "1", b: "2" } },
  ],
  [
    "adds own members to those of the branches",
    { ...A, oneOf: [B, object({ c: string }, { required: ["c"] })] },
    { a: "1", b: "2", x: 1 },
    { a: "1", b: "2" },
  ],
  [
    "does not open an object by a branch that only requires",
    { ...A, anyOf: [{ required: ["a"] }, { required: ["b"] }] },
    { a: "1", x: 1 },
    { a: "1" },
  ],
  [
    "does not open an object by one bare branch",
    { ...A, anyOf: [{ type: "object" }, B] },
    { a: "1", b: "2", x: 1 },
    { a: "1", b: "2" },
  ],
  [
    "adds the members of then, else and dependentSchemas",
    { ...A, if: {}, then: B, else: object({ c: string }), dependentSchemas: { a: object({ d: string }) } },
    { a: "1", b: "2", c: "3", d: "4", x: 1 },
    { a: "1", b: "2", c: "3", d: "4" },
  ],
  [
    "adds to a named part",
    { allOf: [{ $ref: "#/$defs/A" }, B], $defs: { A } },
    { a: "1", b: "2", x: 1 },
    { a: "1", b: "2" },
  ],
  [
    "does not open an object by a named bare one",
    { allOf: [{ $ref: "#/$defs/Any" }, A], $defs: { Any: { $ref: "#/$defs/Bare" }, Bare: { type: "object" } } },
    { a: "1", x: 1 },
    { a: "1" },
  ],
  [
    "adds to a named part within itself",
    { $ref: "#/$defs/N", $defs: { N: { ...A, properties: { a: string, n: { allOf: [{ $ref: "#/$defs/N" }, B] } } } } },
    { a: "1", n: { a: "2", b: "3", x: 1, n: { a: "4", b: "5", x: 1 } }, x: 1 },
    { a: "1", n: { a: "2", n: { a: "4", b: "5" }, b: "3" } },
  ],
  [
    "reads deep members by all that speak of them",
    {
      allOf: [{ $ref: "#/$defs/M" }, object({ m: { type: "array", items: B } })],
      $defs: { M: object({ m: { type: "array", items: A } }) },
    },
    { m: [{ a: "1", b: "2", x: 1 }] },
    { m: [{ a: "1", b: "2" }] },
  ],
  ["merges arrays", { allOf: [{ type: "array" }, { type: "array", items: A }] }, [{ a: "1", x: 1 }], [{ a: "1" }]],
  [
    "merges tuples",
    {
      allOf: [
        { type: "array", prefixItems: [A], items: A },
        { type: "array", prefixItems: [B, string], items: false },
      ],
    },
    [{ a: "1", b: "2", x: 1 }, "s", { a: "3" }],
    [{ a: "1", b: "2" }, "s"],
  ],
  [
    "merges members without a type",
    { ...A, allOf: [{ properties: { b: string } }] },
    { a: "1", b: "2", x: 1 },
    { a: "1", b: "2" },
  ],
  [
    "reads all parts of a value that is no object",
    { ...A, type: ["object", "string"], oneOf: [string, B] },
    "text",
    "text",
  ],
  [
    "copies constants and lists of them",
    object({ a: { const: { x: 1 } }, b: { enum: [[1], "s"] } }),
    { a: { x: 1 }, b: [1] },
    { a: { x: 1 }, b: [1] },
  ],
  [
    "keeps odd names",
    object({ '"': string, "\u2028": string, "a\nb": string }),
    { '"': "1", "\u2028": "2", "a\nb": "3" },
    { '"': "1", "\u2028": "2", "a\nb": "3" },
  ],
  ["copies bytes beside null", t.Union([t.Bytes(), t.Null()]), new Uint8Array([1]), new Uint8Array([1])],
  ["reads base64 where bytes may be", t.Union([t.Bytes(), t.Null()]), "AQ==", new Uint8Array([1])],
  ["leaves text alone where text may be too", t.Union([t.Bytes(), t.String()]), "AQ==", "AQ=="],
  ["copies bytes in data without a schema", {}, { b: new Uint8Array([1]) }, { b: new Uint8Array([1]) }],
];

describe("copy", () => {
  for (const [claim, schema, value, expected] of cases) {
    it(claim, () => {
      const compiled = compileAny(schema);
      const json = (v: unknown) =>
        JSON.parse(JSON.stringify(v, (_, x) => (x instanceof Uint8Array ? Buffer.from(x).toString("base64") : x)));
      assert.deepEqual(compiled.copy(value), expected);
      assert.deepEqual(JSON.parse(compiled.stringify(value)), json(expected));
    });
  }

  it("never sets a prototype, and drops members named __proto__", () => {
    const evil = JSON.parse('{"a":"1","__proto__":{"admin":true}}');
    for (const schema of [A, {}, { type: "object" }, t.Record(t.String(), t.Unknown())]) {
      const compiled = compileAny(schema);
      const copy = compiled.parse(evil) as Record<string, unknown>;
      assert.equal(Object.getPrototypeOf(copy), Object.prototype);
      assert.equal(copy.admin, undefined);
      assert.deepEqual(Object.keys(copy), ["a"]);
      assert.equal(compiled.stringify(evil), '{"a":"1"}');
    }
  });

  it("fills in defaults in the branch, the item and the named part where they stand", () => {
    const Item = t.Object({ n: t.Integer({ default: 1 }) });
    const schema = t.Object({
      list: t.Array(Item),
      one: t.Union([t.Object({ k: t.Literal("a"), n: t.Integer({ default: 2 }) }), t.Object({ k: t.Literal("b") })]),
      map: t.Record(t.String(), Item),
      bytes: t.Unsafe<Uint8Array>({ "x-plinth": "bytes", default: "AQ==" }),
    });
    assert.deepEqual(compile(schema).parse({ list: [{}], one: { k: "a" }, map: { x: {} } }), {
      list: [{ n: 1 }],
      one: { k: "a", n: 2 },
      map: { x: { n: 1 } },
      bytes: new Uint8Array([1]),
    });
  });
});

describe("recursive schemas", () => {
  const Tree = t.Cyclic({ Tree: t.Object({ v: t.Integer(), kids: t.Array(t.Ref("Tree")) }) }, "Tree");
  const compiled = compile(Tree);

  it("are copied and written to their end", () => {
    const tree = { v: 1, kids: [{ v: 2, kids: [], secret: 1 }] };
    assert.deepEqual(compiled.copy(tree), { v: 1, kids: [{ v: 2, kids: [] }] });
    assert.equal(compiled.stringify(tree), '{"v":1,"kids":[{"v":2,"kids":[]}]}');
    assert.deepEqual(
      compiled.violations({ v: 1, kids: [{ v: "x", kids: [] }] }).map(({ pointer }) => pointer),
      ["/kids/0/v"],
    );
  });

  const nested = (levels: number) => {
    let tree: { v: number; kids: unknown[] } = { v: 0, kids: [] };
    for (let i = 1; i < levels; i++) tree = { v: i, kids: [tree] };
    return tree as never;
  };

  it("go 63 levels deep below the first, and refuse the next with VALUE_TOO_DEEP", () => {
    assert.deepEqual(compiled.copy(nested(63)), nested(63));
    for (const use of [compiled.copy, compiled.parse, compiled.stringify]) {
      assert.throws(
        () => use(nested(66)),
        (thrown) => isError(thrown, "VALUE_TOO_DEEP"),
      );
    }
  });

  it("refuse a value that would use up the stack", () => {
    const bomb = nested(50_000);
    assert.equal(compiled.accepts(bomb), false);
    assert.deepEqual(compiled.violations(bomb), [{ pointer: "", message: "is nested too deeply", keyword: "depth" }]);
    assert.throws(
      () => compiled.parse(bomb),
      (thrown) => isError(thrown, "VALIDATION_FAILED"),
    );
  });

  it("may refer to themselves from the root, and through unions", () => {
    const list = compileAny({
      anyOf: [{ type: "null" }, object({ v: string, next: { $ref: "#" } }, { required: ["v", "next"] })],
    });
    assert.deepEqual(list.copy({ v: "1", next: { v: "2", next: null, x: 1 } }), {
      v: "1",
      next: { v: "2", next: null },
    });
    assert.equal(
      list.stringify({ v: "1", next: { v: "2", next: null, x: 1 } }),
      '{"v":"1","next":{"v":"2","next":null}}',
    );
  });
});

describe("data without a schema", () => {
  const compiled = compile(t.Unknown());

  it("is copied as JSON would carry it", () => {
    const value = {
      date: new Date(0),
      list: [undefined, () => 1, Symbol("s"), 1],
      gone: undefined,
      fn: () => 1,
      map: new Map([[1, 2]]),
      nan: Number.NaN,
      bare: Object.assign(Object.create(null), { a: 1 }),
    };
    assert.deepEqual(compiled.copy(value), {
      date: "1970-01-01T00:00:00.000Z",
      list: [null, null, null, 1],
      fn: null,
      map: {},
      nan: Number.NaN,
      bare: { a: 1 },
    });
    assert.equal(
      compiled.stringify(value),
      '{"date":"1970-01-01T00:00:00.000Z","list":[null,null,null,1],"fn":null,"map":{},"nan":null,"bare":{"a":1}}',
    );
  });

  it("goes 64 levels deep, and no further", () => {
    const nest = (levels: number): unknown => (levels === 0 ? 1 : [nest(levels - 1)]);
    assert.deepEqual(compiled.copy(nest(64)), nest(64));
    assert.throws(
      () => compiled.parse(nest(65)),
      (thrown) => isError(thrown, "VALUE_TOO_DEEP"),
    );
    const cycle: unknown[] = [];
    cycle.push(cycle);
    assert.throws(
      () => compiled.stringify(cycle),
      (thrown) => isError(thrown, "VALUE_TOO_DEEP"),
    );
  });
});
