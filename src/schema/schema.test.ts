import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isError, PlinthError, StartError } from "../base/index.ts";
import { compile, t } from "./index.ts";

const Product = t.Object({
  id: t.String(),
  name: t.String({ minLength: 1 }),
  priceCents: t.Integer({ minimum: 0 }),
  tags: t.Optional(t.Array(t.String())),
});
const product = { id: "p1", name: "Lamp", priceCents: 1200, tags: ["light"] };

/** Compiles what the types would refuse. */
const compileAny = (schema: unknown) => compile(schema as typeof Product);
const refusal = (schema: unknown): string => {
  try {
    compileAny(schema);
  } catch (thrown) {
    assert.ok(thrown instanceof StartError, String(thrown));
    assert.equal(thrown.reason, "SCHEMA_UNUSABLE");
    return thrown.message;
  }
  return assert.fail("it was taken");
};

describe("compile", () => {
  it("compiles a schema object once", () => {
    assert.equal(compile(Product), compile(Product));
    assert.notEqual(compile(t.Object({})), compile(t.Object({})));
  });

  it("takes JSON Schema written by hand", () => {
    const compiled = compileAny({ type: "object", properties: { a: { type: "integer" } }, required: ["a"] });
    assert.deepEqual(compiled.copy({ a: 1, b: 2 } as never), { a: 1 });
    assert.equal(compiled.accepts({}), false);
  });

  it("says that a native schema checks without changing", () => {
    const compiled = compile(Product);
    assert.equal(compiled.native, true);
    assert.equal(compiled.outputJsonSchema, compiled.jsonSchema);
  });

  it("takes annotations of other documents and x- keywords", () => {
    const compiled = compile(t.String({ "x-note": 1, example: "a", discriminator: { propertyName: "k" }, xml: {} }));
    assert.equal(compiled.accepts("a"), true);
    assert.equal(compiled.jsonSchema["x-note"], 1);
  });

  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ["what is no schema", 5, /is not an object: build it with t/],
    ["null", [], /is not an object/],
    ["a misspelt keyword", { type: "string", minLenght: 1 }, /unknown keyword: "minLenght".*: check its keywords/],
    ["an unknown format", { type: "string", format: "phone" }, /unknown format "phone"/],
    ["a broken pattern", { type: "string", pattern: "(" }, /cannot be compiled/],
    ["a limit of the wrong type", { type: "string", minLength: "1" }, /minLength/],
    [
      "bigint",
      t.Object({ n: t.BigInt() }),
      /at \/properties\/n has the type "bigint", which is not JSON: use t.Integer/,
    ],
    ["undefined", t.Undefined(), /use t.Optional/],
    ["void", t.Void(), /use t.Null/],
    ["a function", t.Function([], t.Null()), /which is not JSON: use a JSON type/],
    [
      "t.Refine",
      t.Refine(
        t.String(),
        () => true,
        () => "",
      ),
      /t.Refine check/,
    ],
    ["t.Codec", t.Codec(t.String()).Decode(Number).Encode(String), /t.Codec/],
    [
      "a reference to nowhere",
      { $ref: "#/$defs/A" },
      /refers to "#\/\$defs\/A", which is not in it: put the target under/,
    ],
    ["a reference to another document", { $ref: "https://example.com/a.json" }, /refers to "https/],
    ["a dynamic reference", { $dynamicRef: "#a" }, /uses \$dynamicRef: use \$ref/],
    ["a name that only means itself", { $ref: "#/$defs/A", $defs: { A: { $ref: "#/$defs/A" } } }, /refers to itself/],
    ["a part made of itself", { allOf: [{ $ref: "#" }, { properties: { a: {} } }] }, /refers to itself: let it/],
    [
      "a field named __proto__",
      JSON.parse('{"properties":{"__proto__":{}}}'),
      /field named __proto__: give it another/,
    ],
    ["a default that breaks its schema", t.Object({ n: t.Integer({ default: "x" }) }), /default "x", which breaks it/],
    ["a keyword that is no JSON", { const: () => 1 }, /at \/const is not JSON/],
    ["a keyword that cannot be copied", { const: { f: () => 1 } }, /at \/const is not JSON/],
    ["a limit that is not finite", { maximum: Number.POSITIVE_INFINITY }, /at \/maximum is not JSON/],
    ["a part that is no schema", { properties: { a: 1 } }, /at \/properties\/a is not a schema/],
    ["parts that are no map", { properties: 1 }, /at \/properties is not an object/],
  ];
  for (const [name, schema, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.match(refusal(schema), message);
    });
  }

  it("refuses a schema that contains itself as an object", () => {
    const schema: Record<string, unknown> = { type: "object" };
    schema.properties = { self: schema };
    assert.match(refusal(schema), /contains itself as an object: write a \$ref/);
  });

  it("refuses a schema of more than 10 000 parts", () => {
    let schema: Record<string, unknown> = { type: "string" };
    for (let i = 0; i < 15; i++) schema = { type: "object", properties: { a: schema, b: schema } };
    assert.match(refusal(schema), /more than 10000 parts/);
  });
});

describe("accepts and violations", () => {
  const compiled = compile(Product);

  it("accepts what fits, also with undeclared members", () => {
    assert.equal(compiled.accepts({ ...product, extra: 1 }), true);
    assert.deepEqual(compiled.violations(product), []);
  });

  it("lists every violation by pointer, the missing field where it should be", () => {
    assert.deepEqual(compiled.violations({ name: "", priceCents: -1, tags: ["a", 5] }), [
      { pointer: "/id", message: "is required", keyword: "required" },
      { pointer: "/name", message: "must not be empty", keyword: "minLength" },
      { pointer: "/priceCents", message: "must be at least 0", keyword: "minimum" },
      { pointer: "/tags/1", message: "must be a string", keyword: "type" },
    ]);
  });

  it("refuses NaN and Infinity as numbers", () => {
    const number = compile(t.Number());
    assert.equal(number.accepts(Number.NaN), false);
    assert.equal(number.accepts(Number.POSITIVE_INFINITY), false);
  });

  it("does not take inherited members for fields", () => {
    const compiled = compile(t.Object({ constructor: t.String(), toString: t.Optional(t.Integer()) }));
    assert.deepEqual(
      compiled.violations({}).map(({ pointer }) => pointer),
      ["/constructor"],
    );
    const value = JSON.parse('{"constructor":"a"}');
    assert.deepEqual(Object.entries(compiled.parse(value)), [["constructor", "a"]]);
    assert.equal(compiled.stringify(value), '{"constructor":"a"}');
  });
});

describe("parse", () => {
  it("returns a fresh copy of the declared fields", () => {
    const given = { ...product, secret: "s" };
    const parsed = compile(Product).parse(given);
    assert.deepEqual(parsed, product);
    assert.notEqual(parsed.tags, given.tags);
  });

  it("throws VALIDATION_FAILED with every violation, never executed", () => {
    assert.throws(
      () => compile(Product).parse({ id: 1, name: "x" }),
      (thrown) => {
        assert.ok(isError(thrown, "VALIDATION_FAILED"));
        assert.ok(thrown instanceof PlinthError);
        assert.equal(thrown.code, "invalid_argument");
        assert.equal(thrown.executed, "no");
        assert.equal(thrown.retry, "never");
        assert.equal(thrown.message, "The data is not valid: /priceCents is required (and 1 more).");
        assert.equal((thrown.details as { violations: unknown[] }).violations.length, 2);
        return true;
      },
    );
    assert.throws(() => compile(Product).parse(5), /The data is not valid: the value must be an object\./);
  });

  it("fills in defaults, each time afresh, and does not require such fields", () => {
    const Query = t.Object({
      page: t.Integer({ default: 1, minimum: 1 }),
      sort: t.Optional(t.String({ default: "name" })),
      nested: t.Object({ deep: t.Boolean({ default: false }) }),
      list: t.Array(t.String(), { default: ["a"] }),
      note: t.Optional(t.String()),
      nothing: t.Union([t.Null(), t.String()], { default: null }),
    });
    const compiled = compile(Query);
    const expected = { page: 1, sort: "name", nested: { deep: false }, list: ["a"], nothing: null };
    const first = compiled.parse({ nested: {} });
    assert.deepEqual(first, expected);
    first.list.push("b");
    assert.deepEqual(compiled.parse({ nested: {} }), expected);
    assert.equal(compiled.parse({ page: 3, nested: {} }).page, 3);
    assert.deepEqual(compiled.jsonSchema.required, ["nested"]);
    assert.equal(compiled.accepts({ page: 0, nested: {} }), false);
  });

  it("leaves defaults alone when copying", () => {
    const compiled = compile(t.Object({ page: t.Integer({ default: 1 }) }));
    assert.equal(compiled.stringify({} as { page: number }), "{}");
  });

  it("fills in the default of a member that is undefined", () => {
    assert.deepEqual(compile(t.Object({ a: t.Integer({ default: 1 }) })).parse({ a: undefined }), { a: 1 });
  });
});

describe("bytes", () => {
  const File = t.Object({ name: t.String(), body: t.Bytes({ description: "the content" }) });
  const compiled = compile(File);
  const body = new Uint8Array([1, 2, 255]);

  it("are a Uint8Array in the program and base64 in JSON", () => {
    assert.equal(compiled.stringify({ name: "a", body }), '{"name":"a","body":"AQL/"}');
    const parsed = compiled.parse(JSON.parse('{"name":"a","body":"AQL/"}'));
    assert.ok(parsed.body instanceof Uint8Array && !Buffer.isBuffer(parsed.body));
    assert.deepEqual(parsed.body, body);
    assert.equal(compiled.jsonSchema.properties?.body?.["x-plinth"], "bytes");
  });

  it("are copied, also out of a Buffer", () => {
    const copy = compiled.copy({ name: "a", body: Buffer.from(body) });
    assert.deepEqual(copy.body, body);
    assert.notEqual(copy.body.buffer, body.buffer);
  });

  for (const wrong of ["AQL", "A===", "AQL_", "*", 5, null, [1]]) {
    it(`refuses ${JSON.stringify(wrong)}`, () => {
      assert.deepEqual(compiled.violations({ name: "a", body: wrong }), [
        { pointer: "/body", message: "must be bytes (in JSON: base64 text)", keyword: "x-plinth" },
      ]);
    });
  }

  it("write what is neither as null", () => {
    assert.equal(compiled.stringify({ name: "a", body: { x: 1 } as never }), '{"name":"a","body":null}');
    assert.equal(compiled.stringify({ name: "a", body: "AQL/" as never }), '{"name":"a","body":"AQL/"}');
    assert.deepEqual(compiled.copy({ name: "a", body: 5 as never }), { name: "a", body: 5 });
  });
});
