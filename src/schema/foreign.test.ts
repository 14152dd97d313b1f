import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toStandardJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import * as z from "zod";
import { isError, PlinthError, StartError } from "../base/index.ts";
import { compile, type Schema } from "./index.ts";

const refusal = (schema: unknown): string => {
  try {
    compile(schema as Schema);
  } catch (thrown) {
    assert.ok(thrown instanceof StartError && thrown.reason === "SCHEMA_UNUSABLE", String(thrown));
    return thrown.message;
  }
  return assert.fail("it was taken");
};

const zodUser = z.object({
  name: z.string().min(1),
  age: z.number().int().default(18),
  pet: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("cat"), lives: z.number() }),
    z.object({ kind: z.literal("dog"), good: z.boolean() }),
  ]),
});
const valibotUser = toStandardJsonSchema(
  v.object({
    name: v.pipe(v.string(), v.minLength(1)),
    age: v.optional(v.number(), 18),
    pet: v.variant("kind", [
      v.object({ kind: v.literal("cat"), lives: v.number() }),
      v.object({ kind: v.literal("dog"), good: v.boolean() }),
    ]),
  }),
);

for (const [library, schema] of [
  ["zod", zodUser],
  ["valibot", valibotUser],
] as const) {
  describe(`a ${library} schema`, () => {
    const compiled = compile<Schema>(schema);
    const given = { name: "Ann", pet: { kind: "dog", good: true, secret: 1 }, secret: 2 };
    const parsed = { name: "Ann", age: 18, pet: { kind: "dog", good: true } };

    it("is compiled once, and is not native", () => {
      assert.equal(compile<Schema>(schema), compiled);
      assert.equal(compiled.native, false);
    });

    it("tells its JSON Schema, of input and output", () => {
      assert.deepEqual(compiled.jsonSchema.required, ["name", "pet"]);
      assert.equal(compiled.jsonSchema.properties?.name?.type, "string");
      assert.equal(compiled.jsonSchema.$schema, undefined);
      assert.equal(compiled.outputJsonSchema.properties?.age?.type !== undefined, true);
    });

    it("checks by its own library, and gives its output", () => {
      assert.equal(compiled.accepts(given), true);
      assert.deepEqual(compiled.violations(given), []);
      assert.deepEqual(compiled.parse(given), parsed);
    });

    it("gives its violations by pointer, in its own words", () => {
      const wrong = { name: "", pet: { kind: "cat", lives: "x" } };
      assert.equal(compiled.accepts(wrong), false);
      assert.deepEqual(
        compiled.violations(wrong).map(({ pointer }) => pointer),
        ["/name", "/pet/lives"],
      );
      for (const { message, keyword } of compiled.violations(wrong))
        assert.ok(message.length > 0 && keyword.length > 0);
      assert.throws(
        () => compiled.parse(wrong),
        (thrown) =>
          isError(thrown, "VALIDATION_FAILED") && (thrown.details as { violations: unknown[] }).violations.length === 2,
      );
    });

    it("copies and writes declared fields only", () => {
      const output = { ...given, age: 5 };
      assert.deepEqual(compiled.copy(output), { ...parsed, age: 5 });
      assert.deepEqual(JSON.parse(compiled.stringify(output)), { ...parsed, age: 5 });
    });
  });
}

describe("foreign schemas", () => {
  it("may transform: the handler gets the output, callers see the input", () => {
    const schema = z.object({ at: z.string().transform(Number).pipe(z.number()) });
    const compiled = compile(schema);
    assert.deepEqual(compiled.parse({ at: "5" }), { at: 5 });
    assert.equal(compiled.jsonSchema.properties?.at?.type, "string");
    assert.equal(compiled.outputJsonSchema.properties?.at?.type, "number");
    assert.equal(compiled.stringify({ at: 5 }), '{"at":5}');
  });

  it("whose output has no JSON Schema still parse; copying and writing says why it cannot", () => {
    const compiled = compile(z.object({ at: z.string().transform((s) => new Date(s)) }));
    const output = compiled.parse({ at: "2026-01-01" });
    assert.ok(output.at instanceof Date);
    for (const use of [
      () => compiled.copy(output),
      () => compiled.stringify(output),
      () => compiled.outputJsonSchema,
    ]) {
      assert.throws(
        use,
        /no JSON Schema for its output .*: use types that JSON has; give a transform a described result/,
      );
    }
  });

  it("of branches that have no tag are copied by the one that fits, whatever formats the library knows", () => {
    const branch = (name: string) => ({
      type: "object",
      properties: { [name]: { type: "string", format: "acme" } },
      required: [name],
    });
    const jsonSchema = { input: () => ({}), output: () => ({ anyOf: [branch("a"), branch("b")], "acme-note": 1 }) };
    const schema = { "~standard": { version: 1, vendor: "acme", validate: () => ({ value: 1 }), jsonSchema } };
    assert.deepEqual(compile(schema as unknown as Schema).copy({ b: "1", secret: 1 }), { b: "1" });
  });

  it("may be recursive", () => {
    const Node = z.object({
      v: z.number(),
      get next() {
        return Node.nullable();
      },
    });
    const compiled = compile(Node as unknown as Schema);
    const value = { v: 1, next: { v: 2, next: null, secret: 1 } };
    assert.equal(compiled.stringify(value), '{"v":1,"next":{"v":2,"next":null}}');
  });

  it("give a name to violations that have none, and take any form of path", () => {
    const issues = [{ message: "is odd", path: ["a", { key: 0 }, "b/c"] }, { message: "is off" }];
    const jsonSchema = { input: () => ({}), output: () => ({}) };
    const schema = { "~standard": { version: 1, vendor: "own", validate: () => ({ issues }), jsonSchema } };
    assert.deepEqual(compile(schema as unknown as Schema).violations({}), [
      { pointer: "/a/0/b~1c", message: "is odd", keyword: "custom" },
      { pointer: "", message: "is off", keyword: "custom" },
    ]);
  });

  it("give at most 100 violations", () => {
    const compiled = compile(z.array(z.string()));
    assert.equal(compiled.violations(Array.from({ length: 200 }, () => 1)).length, 100);
  });

  it("may be functions", () => {
    const schema = Object.assign(() => {}, { "~standard": zodUser["~standard"] });
    assert.equal(compile(schema as unknown as Schema).native, false);
  });

  it("are refused without JSON Schema, with the remedy of their library", () => {
    assert.match(refusal(v.string()), /\(valibot\) has no JSON Schema: wrap it in toStandardJsonSchema\(\)/);
    const old = { "~standard": { version: 1, vendor: "zod", validate: (value: unknown) => ({ value }) } };
    assert.match(refusal(old), /use zod 4.2 or later/);
    const other = { "~standard": { version: 1, vendor: "acme", validate: (value: unknown) => ({ value }) } };
    assert.match(refusal(other), /\(acme\) has no JSON Schema: use a version of it/);
  });

  it("are refused when their input has no JSON Schema", () => {
    assert.match(
      refusal(z.object({ at: z.date() })),
      /no JSON Schema for its input \(Date cannot.*\): use types that JSON has/,
    );
  });

  it("are refused when they validate asynchronously", () => {
    assert.match(refusal(z.any().refine(async () => true)), /validates asynchronously: keep its refinements/);
  });

  it("that turn out to be asynchronous fail the call with SCHEMA_ASYNC, and no rejection is left over", () => {
    const late = (value: unknown) => (value === undefined ? { value } : Promise.reject(new Error("late")));
    const jsonSchema = { input: () => ({}), output: () => ({}) };
    const own = { "~standard": { version: 1, vendor: "own", validate: late, jsonSchema } };
    for (const schema of [own as unknown as Schema, z.string().refine(async () => true)]) {
      const compiled = compile<Schema>(schema);
      for (const use of [compiled.parse, compiled.accepts, compiled.violations]) {
        assert.throws(
          () => use("a"),
          (thrown) => thrown instanceof PlinthError && thrown.code === "internal" && thrown.reason === "SCHEMA_ASYNC",
        );
      }
    }
  });

  it("that throw when asked with undefined are taken", () => {
    const validate = (value: unknown) => ({ value: (value as { a: number }).a });
    const schema = {
      "~standard": { version: 1, vendor: "own", validate, jsonSchema: { input: () => ({}), output: () => ({}) } },
    };
    assert.equal(compile(schema as unknown as Schema).parse({ a: 1 }), 1);
  });

  it("whose JSON Schema is broken are refused", () => {
    const jsonSchema = { input: () => ({}), output: () => assert.fail("no") };
    const schema = { "~standard": { version: 1, vendor: "own", validate: () => ({ value: 1 }), jsonSchema } };
    assert.throws(() => compile(schema as unknown as Schema).stringify(1), StartError);
  });
});
