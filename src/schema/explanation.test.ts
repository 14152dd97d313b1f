import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile, type Schema, t } from "./index.ts";

const Card = t.Object({ kind: t.Literal("card"), number: t.String() });
const Cash = t.Object({ kind: t.Literal("cash"), coins: t.Integer({ minimum: 1 }) });
const Payment = t.Union([Card, Cash]);

/** Each: a schema, a value, and the violations as "pointer message". */
const cases: readonly (readonly [claim: string, schema: unknown, value: unknown, violations: readonly string[]])[] = [
  ["type", t.String(), 1, [" must be a string"]],
  ["types", { type: ["integer", "null"] }, "x", [" must be an integer or null"]],
  ["boolean", t.Boolean(), "x", [" must be true or false"]],
  ["const", t.Literal("a"), "b", [' must be "a"']],
  ["enum", t.Enum(["a", "b", "c"]), "d", [' must be one of "a", "b", "c"']],
  [
    "a long enum",
    { enum: Array.from({ length: 12 }, (_, i) => i) },
    "d",
    [" must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2 other values"],
  ],
  ["minimum", t.Number({ minimum: 0 }), -1, [" must be at least 0"]],
  ["maximum", t.Number({ maximum: 5 }), 6, [" must be at most 5"]],
  ["exclusive limits", t.Number({ exclusiveMinimum: 0 }), 0, [" must be greater than 0"]],
  ["exclusive upper limits", t.Number({ exclusiveMaximum: 5 }), 5, [" must be less than 5"]],
  ["multipleOf", t.Number({ multipleOf: 5 }), 6, [" must be a multiple of 5"]],
  ["minLength", t.String({ minLength: 3 }), "a", [" must be at least 3 characters long"]],
  ["maxLength", t.String({ maxLength: 1 }), "ab", [" must be at most 1 character long"]],
  ["minItems", t.Array(t.String(), { minItems: 1 }), [], [" must have at least 1 item"]],
  ["maxItems", t.Array(t.String(), { maxItems: 1 }), ["a", "b"], [" must have at most 1 item"]],
  ["a tuple's length", t.Tuple([t.String()]), ["a", "b"], [" must have at most 1 item"]],
  [
    "uniqueItems",
    t.Array(t.String(), { uniqueItems: true }),
    ["a", "a"],
    [" must not repeat an item (0 and 1 are equal)"],
  ],
  ["contains", { contains: { type: "null" } }, [1, 2], [" must contain at least 1 item of the required form"]],
  ["minProperties", { type: "object", minProperties: 2 }, { a: 1 }, [" must have at least 2 fields"]],
  ["maxProperties", { type: "object", maxProperties: 1 }, { a: 1, b: 2 }, [" must have at most 1 field"]],
  ["pattern", t.String({ pattern: "^a$" }), "b", [" must match the pattern ^a$"]],
  ["a format", t.String({ format: "email" }), "b", [" must be an email address"]],
  ["a rare format", t.String({ format: "uri-template" }), "{", [" must be a valid uri-template"]],
  ["a closed object", t.Object({}, { additionalProperties: false }), { "a/b": 1 }, ["/a~1b is not a known field"]],
  ["unevaluatedProperties", { type: "object", unevaluatedProperties: false }, { a: 1 }, ["/a is not a known field"]],
  ["propertyNames", { type: "object", propertyNames: { pattern: "^a" } }, { b: 1 }, ["/b must match the pattern ^a"]],
  [
    "dependentRequired",
    { type: "object", dependentRequired: { a: ["b"] } },
    { a: 1 },
    ['/b is required when "a" is given'],
  ],
  ["not", t.Object({ a: { not: {} } as never }), { a: 1 }, ["/a is not allowed"]],
  ["a false schema", { properties: { a: false } }, { a: 1 }, ["/a is not allowed"]],
  ["if and then", { if: { type: "string" }, then: { minLength: 2 } }, "a", [" must be at least 2 characters long"]],
  [
    "oneOf that fits twice",
    { oneOf: [{ type: "string" }, { minLength: 1 }] },
    "a",
    [" matches more than one of the allowed forms"],
  ],
  ["a keyword's field names", t.Object({ "~": t.String() }), {}, ["/~0 is required"]],
  ["the types of a union", t.Union([t.String(), t.Null(), t.Literal(5)]), true, [" must be one of a string, null, 5"]],
  ["the constants of a union", { anyOf: [{ const: 1 }, { const: 2 }] }, 3, [" must be 1 or 2"]],
  [
    "the fault within the only branch of that type",
    t.Union([t.Null(), Cash]),
    { kind: "cash" },
    ["/coins is required"],
  ],
  [
    "the fault within the branch that the tag names",
    t.Array(Payment),
    [{ kind: "cash", coins: 0 }],
    ["/0/coins must be at least 1"],
  ],
  [
    "the tag, when no branch has it",
    t.Object({ p: Payment }),
    { p: { kind: "gold" } },
    ['/p/kind must be "card" or "cash"'],
  ],
  [
    "that no form fits, when it cannot tell which was meant",
    t.Union([t.Object({ a: t.String() }), t.Object({ b: t.String() })]),
    { c: 1 },
    [" matches none of the 2 allowed forms"],
  ],
  [
    "faults in unions within unions",
    t.Union([t.Null(), t.Object({ p: Payment })]),
    { p: { kind: "card" } },
    ["/p/number is required"],
  ],
  [
    "faults beside a union as well",
    {
      type: "object",
      required: ["x"],
      properties: { y: { type: "string" } },
      anyOf: [{ required: ["a"] }, { required: ["b"] }],
    },
    { y: 1 },
    ["/x is required", "/y must be a string", " matches none of the 2 allowed forms"],
  ],
  [
    "faults in a recursive union",
    t.Cyclic({ N: t.Object({ next: t.Union([t.Null(), t.Ref("N")]) }) }, "N"),
    { next: { next: { next: 1 } } },
    ["/next/next/next must be null or an object"],
  ],
];

describe("violations", () => {
  for (const [claim, schema, value, expected] of cases) {
    it(`tell ${claim}`, () => {
      const violations = compile(schema as Schema).violations(value);
      assert.deepEqual(
        [...violations.map(({ pointer, message }) => `${pointer} ${message}`)].sort(),
        [...expected].sort(),
      );
    });
  }

  it("are at most 100", () => {
    const violations = compile(t.Array(t.String())).violations(Array.from({ length: 500 }, (_, i) => i));
    assert.equal(violations.length, 100);
    assert.equal(violations[99]?.pointer, "/99");
  });

  it("are only the first for a value of more than 10 000 members", () => {
    const many = Array.from({ length: 10_001 }, () => 1);
    assert.deepEqual(compile(t.Array(t.String())).violations(many), [
      { pointer: "/0", message: "must be a string", keyword: "type" },
    ]);
    assert.equal(compile(t.Array(t.String())).violations([[many]]).length, 1);
  });
});
