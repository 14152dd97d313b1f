import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile, type Schema, t } from "./index.ts";

const Everything = t.Object({
  maybe: t.Optional(t.String()),
  id: t.String(),
  count: t.Integer(),
  price: t.Number(),
  on: t.Boolean(),
  at: t.String({ format: "date-time" }),
  nothing: t.Null(),
  either: t.Union([t.String(), t.Number(), t.Boolean(), t.Null()]),
  late: t.Optional(t.Integer()),
  list: t.Array(t.Union([t.String(), t.Null()])),
});
const full = {
  maybe: "m",
  id: "1",
  count: 2,
  price: 0.1,
  on: true,
  at: "2026-01-01T00:00:00Z",
  nothing: null,
  either: null,
  late: 3,
  list: ["a", null],
};

describe("stringify", () => {
  const compiled = compile(Everything);

  it("is JSON.stringify, for values without undeclared members", () => {
    assert.equal(compiled.stringify(full), JSON.stringify(full));
    assert.equal(
      compiled.stringify({ ...full, on: false, either: true }),
      JSON.stringify({ ...full, on: false, either: true }),
    );
  });

  it("leaves undefined members out, wherever they stand", () => {
    for (const key of Object.keys(full)) {
      const value = { ...full, [key]: undefined };
      assert.equal(compiled.stringify(value as typeof full), JSON.stringify(value));
    }
  });

  const odd: readonly unknown[] = [
    "",
    '"',
    "\\",
    "\n",
    "\u0000",
    "\u001f",
    "\u007f",
    "\u2028",
    "é",
    "😀",
    "\ud800",
    "a\udfff",
    "x".repeat(41),
    "x".repeat(42),
    `${"x".repeat(50)}"`,
    `${"x".repeat(50)}\ud800`,
    "x".repeat(6000),
    `${"x".repeat(6000)}\n`,
    0,
    -0,
    1e21,
    1e-7,
    2 ** 53,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    true,
    false,
    null,
  ];
  for (const key of ["maybe", "id", "count", "price", "on", "at", "nothing", "either"]) {
    it(`writes any scalar at ${key} as JSON.stringify does, right or wrong`, () => {
      for (const scalar of odd) {
        const value = { ...full, [key]: scalar };
        assert.equal(compiled.stringify(value as typeof full), JSON.stringify(value));
      }
    });
  }

  it("writes what is no object, array or anything at all as the copy does", () => {
    for (const value of [null, 5, "text", undefined]) {
      assert.equal(compiled.stringify(value as never), JSON.stringify(value) ?? "null");
    }
    assert.equal(compile(t.Array(t.String())).stringify([undefined, "a"] as never), '[null,"a"]');
    assert.equal(compile(t.Unknown()).stringify({ toJSON: () => undefined }), "null");
  });

  it("throws a TypeError on a bigint, as JSON.stringify does", () => {
    assert.throws(() => compiled.stringify({ ...full, count: 1n } as never), TypeError);
  });

  it("puts commas right when every field may be absent", () => {
    const Loose = t.Object(
      { a: t.Optional(t.Integer()), b: t.Optional(t.Integer()) },
      { additionalProperties: t.Integer() },
    );
    for (const value of [
      {},
      { a: 1 },
      { b: 2 },
      { a: 1, b: 2 },
      { c: 3 },
      { a: 1, c: 3, d: 4 },
      { b: undefined, 'q"': 1 },
    ]) {
      assert.equal(compile(Loose).stringify(value as never), JSON.stringify(value));
    }
    const Firm = t.Object({ a: t.Optional(t.Integer()), b: t.Integer() }, { additionalProperties: t.Integer() });
    for (const value of [{ b: 2 }, { a: 1, b: 2 }, { b: 2, c: 3, d: 4 }]) {
      assert.equal(compile(Firm).stringify(value as never), JSON.stringify(value));
    }
  });

  it("writes fields in the order of the schema", () => {
    const schema = t.Object({ b: t.Integer(), a: t.Integer() });
    assert.equal(compile(schema).stringify({ a: 1, b: 2 }), '{"b":2,"a":1}');
  });

  it("never lets an undeclared member out of a union", () => {
    const branch = (name: string) => ({ type: "object", properties: { [name]: { type: "string" } }, required: [name] });
    const schemas = [
      { anyOf: [branch("a"), branch("b")] },
      { oneOf: [branch("a"), branch("b"), { type: "array", items: branch("a") }] },
    ];
    for (const schema of schemas) {
      const compiled = compile(schema as unknown as Schema);
      assert.equal(compiled.stringify({ a: "1", secret: 1 }), '{"a":"1"}');
      assert.equal(compiled.stringify({ b: "1", secret: 1 }), '{"b":"1"}');
      assert.equal(compiled.stringify({ a: "1", b: "2", secret: 1 }), '{"a":"1","b":"2"}');
      assert.equal(compiled.stringify({ secret: 1 }), "{}");
    }
  });
});
