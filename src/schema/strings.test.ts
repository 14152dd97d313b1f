import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compile, compileStrings, t } from "./index.ts";

const Query = t.Object({
  page: t.Integer(),
  price: t.Number(),
  on: t.Boolean(),
  name: t.String(),
  tags: t.Array(t.String()),
  ids: t.Optional(t.Array(t.Integer())),
  max: t.Union([t.Null(), t.Integer()]),
  size: t.Union([t.Integer(), t.Literal("all")]),
  sort: t.Enum(["up", "down"]),
  level: t.Unsafe<1 | 2>({ enum: [1, 2] }),
  either: t.Union([t.Array(t.Integer()), t.Integer()]),
  free: t.Union([t.String(), t.Integer()]),
  any: t.Unknown(),
  bytes: t.Bytes(),
  nested: t.Object({ a: t.Integer() }),
  pair: t.Tuple([t.Integer(), t.Integer()]),
});
const read = compileStrings(compile(Query).jsonSchema);

/** Each: a name, what the query says, and what it is read as. */
const cases: readonly (readonly [name: string, given: string | readonly string[], value: unknown])[] = [
  ["page", "12", 12],
  ["page", "-1", -1],
  ["page", "1e3", 1000],
  ["page", "1.0", 1],
  ["page", "-0", -0],
  ["page", "1.5", "1.5"],
  ["page", "", ""],
  ["page", "+1", "+1"],
  ["page", "007", "007"],
  ["page", "0x10", "0x10"],
  ["page", " 1", " 1"],
  ["page", "1_000", "1_000"],
  ["page", "9007199254740993", "9007199254740993"],
  ["page", "١", "١"],
  ["page", ["1", "2"], ["1", "2"]],
  ["page", "NaN", "NaN"],
  ["page", "1".repeat(100), "1".repeat(100)],
  ["price", "0.5", 0.5],
  ["price", "1e999", "1e999"],
  ["price", "Infinity", "Infinity"],
  ["price", ".5", ".5"],
  ["on", "true", true],
  ["on", "false", false],
  ["on", "1", true],
  ["on", "0", false],
  ["on", "yes", "yes"],
  ["on", "", ""],
  ["name", "12", "12"],
  ["name", "", ""],
  ["name", ["a", "b"], ["a", "b"]],
  ["tags", "a", ["a"]],
  ["tags", ["a", "b"], ["a", "b"]],
  ["tags", "a,b", ["a,b"]],
  ["tags", [], []],
  ["ids", "1", [1]],
  ["ids", ["1", "x", ""], [1, "x", ""]],
  ["max", "null", null],
  ["max", "5", 5],
  ["max", "", ""],
  ["size", "all", "all"],
  ["size", "5", 5],
  ["size", "none", "none"],
  ["sort", "up", "up"],
  ["sort", "left", "left"],
  ["level", "2", 2],
  ["level", "3", "3"],
  ["either", "1", 1],
  ["either", ["1", "2"], [1, 2]],
  ["either", "x", ["x"]],
  ["free", "5", "5"],
  ["any", "5", "5"],
  ["any", ["5"], ["5"]],
  ["bytes", "AQ==", "AQ=="],
  ["nested", "{}", "{}"],
  ["pair", ["1", "2"], [1, 2]],
  ["other", "5", "5"],
  ["other", ["5", "6"], ["5", "6"]],
  ["constructor", "5", "5"],
];

describe("compileStrings", () => {
  for (const [name, given, value] of cases) {
    it(`reads ${name}=${JSON.stringify(given).slice(0, 30)} as ${JSON.stringify(value).slice(0, 30)}`, () => {
      assert.deepEqual(read({ [name]: given }), { [name]: value });
    });
  }

  it("reads a listed null", () => {
    const schema = {
      type: "object",
      properties: { a: { enum: [null, 1] }, b: { type: "array", items: { enum: [null] } } },
    };
    assert.deepEqual(compileStrings(schema)({ a: "null", b: "null" }), { a: null, b: [null] });
  });

  it("keeps __proto__ as an ordinary name", () => {
    const result = read(JSON.parse('{"__proto__":"x","page":"1"}'));
    assert.equal(Object.getPrototypeOf(result), Object.prototype);
    assert.deepEqual(Object.entries(result), [
      ["__proto__", "x"],
      ["page", 1],
    ]);
  });

  it("takes an object without a prototype", () => {
    assert.deepEqual(read(Object.assign(Object.create(null), { page: "1" })), { page: 1 });
  });

  it("sees the fields of every part of the schema", () => {
    const schema = {
      type: "object",
      allOf: [{ $ref: "#/$defs/Paged" }, { anyOf: [{ properties: { a: { type: "integer" } } }, { type: "null" }] }],
      $defs: { Paged: { type: "object", properties: { page: { $ref: "#/$defs/Int" } } }, Int: { type: "integer" } },
    };
    assert.deepEqual(compileStrings(schema)({ a: "1", page: "2" }), { a: 1, page: 2 });
  });

  it("reads a field that refers to itself, and one that two schemas describe", () => {
    const schema = {
      properties: {
        list: { $ref: "#/$defs/List" },
        n: { allOf: [{ $ref: "#/$defs/List" }, { type: "array", items: { type: "integer" } }] },
      },
      $defs: { List: { anyOf: [{ type: "boolean" }, { type: "array", items: { $ref: "#/$defs/List" } }] } },
    };
    assert.deepEqual(compileStrings(schema)({ list: "true", n: ["1", "2"] }), { list: true, n: [1, 2] });
  });

  it("never throws, and gives text back as it was or as what JSON.parse or a boolean makes of it", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.array(fc.string()))),
        fc.string(),
        (flat, text) => {
          assert.deepEqual(Object.keys(read(flat)).sort(), Object.keys(flat).sort());
          const { page, on } = read({ page: text, on: text });
          assert.ok(page === text || page === JSON.parse(text));
          assert.ok(on === text || typeof on === "boolean");
        },
      ),
    );
  });

  it("reads back every number it can be given", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }), (page, price) => {
        const result = read({ page: `${page}`, price: `${price}` });
        assert.equal(result.page, page);
        assert.ok(result.price === price || String(result.price) === String(price));
      }),
    );
  });
});
