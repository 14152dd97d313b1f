import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { t } from "./builder.ts";
import { toNormalForm } from "./normal-form.ts";

const cases: readonly (readonly [string, unknown, unknown])[] = [
  [
    "writes tuples as prefixItems",
    t.Tuple([t.String(), t.Integer()]),
    { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], items: false, minItems: 2 },
  ],
  ["writes the empty tuple", t.Tuple([]), { type: "array", items: false, minItems: 0 }],
  [
    "keeps what an old tuple allows behind its items",
    { items: [{ type: "string" }], additionalItems: { type: "integer" } },
    { prefixItems: [{ type: "string" }], items: { type: "integer" } },
  ],
  [
    "writes a record over all keys as additionalProperties",
    t.Record(t.String(), t.Integer()),
    { type: "object", additionalProperties: { type: "integer" } },
  ],
  ["writes nullable as a type", { type: "string", nullable: true }, { type: ["string", "null"] }],
  ["drops nullable without a type", { nullable: true }, {}],
  [
    "makes named parts stand on their own",
    t.Cyclic({ Node: t.Object({ next: t.Optional(t.Ref("Node")) }) }, "Node"),
    {
      $ref: "#/$defs/Node",
      $defs: { Node: { type: "object", properties: { next: { $ref: "#/$defs/Node" } } } },
    },
  ],
  [
    "keeps only the definitions that are used, and names them",
    {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: "https://example.com/root",
      properties: { a: { $ref: "#/definitions/A" }, self: { $ref: "#" }, too: { $ref: "https://example.com/root" } },
      definitions: { A: { type: "string" }, B: { type: "integer" } },
    },
    {
      properties: { a: { $ref: "#/$defs/A" }, self: { $ref: "#" }, too: { $ref: "#" } },
      $defs: { A: { type: "string" } },
    },
  ],
  [
    "follows anchors, ids with pointers, and escaped pointers",
    {
      properties: {
        a: { $ref: "#here" },
        b: { $ref: "other#/properties/x~1y" },
        c: { $ref: "#/properties/d%25" },
        "d%": true,
      },
      $defs: { A: { $anchor: "here", type: "null" }, B: { $id: "other", properties: { "x/y": { type: "string" } } } },
    },
    {
      properties: {
        a: { $ref: "#/$defs/here" },
        b: { $ref: "#/$defs/x_1y" },
        c: { $ref: "#/$defs/d_25" },
        "d%": true,
      },
      $defs: { here: { type: "null" }, x_1y: { type: "string" }, d_25: true },
    },
  ],
  [
    "gives two parts of one name two names",
    {
      allOf: [{ $ref: "#/$defs/A" }, { $ref: "#/$defs/B/$defs/A" }, { $ref: "#/$defs/C/$defs/A" }],
      $defs: {
        A: { type: "string" },
        B: { $defs: { A: { minLength: 1 } } },
        C: { $defs: { A: { maxLength: 2 } } },
      },
    },
    {
      allOf: [{ $ref: "#/$defs/A" }, { $ref: "#/$defs/A2" }, { $ref: "#/$defs/A3" }],
      $defs: { A: { type: "string" }, A2: { minLength: 1 }, A3: { maxLength: 2 } },
    },
  ],
  [
    "reads # inside a part with an id as that part",
    { $defs: { N: { $id: "N", properties: { next: { $ref: "#" } } } }, $ref: "N" },
    { $ref: "#/$defs/N", $defs: { N: { properties: { next: { $ref: "#/$defs/N" } } } } },
  ],
  ["reads bigint limits and regular expressions", { minimum: 5n, pattern: /^a$/ }, { minimum: 5, pattern: "^a$" }],
  [
    "does not require what has a default",
    t.Object({ a: t.Integer({ default: 1 }), b: t.Integer() }),
    { type: "object", properties: { a: { type: "integer", default: 1 }, b: { type: "integer" } }, required: ["b"] },
  ],
  ["leaves undefined keywords out", { type: "string", format: undefined }, { type: "string" }],
];

describe("the normal form", () => {
  for (const [name, schema, expected] of cases) {
    it(name, () => {
      assert.deepEqual(toNormalForm(schema, true), expected);
    });
  }

  it("keeps required fields with defaults of a foreign output", () => {
    const schema = { type: "object", properties: { a: { default: 1 } }, required: ["a"] };
    assert.deepEqual(toNormalForm(schema, false), schema);
  });

  it("shares nothing with the schema it was made from", () => {
    const values = ["a", { b: 1 }];
    const result = toNormalForm({ enum: values }, true);
    assert.notEqual(result.enum, values);
    assert.notEqual(result.enum?.[1], values[1]);
  });
});
