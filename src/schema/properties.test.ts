import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { compile, type Schema, t } from "./index.ts";

/**
 * The promises of a compiled schema, held against schemas and values made at random. Each sample is a schema, a value
 * that fits it, and what must be left of the value when the undeclared members are gone.
 */
interface Sample {
  readonly schema: Record<string, unknown>;
  readonly value: unknown;
  readonly declared: unknown;
}

const names = fc.constantFrom("a", "b", "c d", "é", '"q"', "line\u2028", "constructor", "7", "x/y", "~");
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("\ud800", '"', "\\", "\u0000", "x".repeat(50)),
);
const scalarSamples: fc.Arbitrary<Sample> = fc.oneof(
  text.map((value) => ({ schema: { type: "string" }, value, declared: value })),
  fc.integer().map((value) => ({ schema: { type: "integer" }, value, declared: value })),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => ({ schema: { type: "number" }, value, declared: value })),
  fc.boolean().map((value) => ({ schema: { type: "boolean" }, value, declared: value })),
  fc.constant({ schema: { type: "null" }, value: null, declared: null }),
  fc.integer().map((value) => ({ schema: { const: value }, value, declared: value })),
  text.map((value) => ({ schema: { enum: [value, "other", 1] }, value, declared: value })),
  fc.jsonValue({ maxDepth: 3 }).map((value) => {
    const clean = JSON.parse(JSON.stringify(value), function (this: unknown, key, member) {
      return key === "__proto__" ? undefined : member;
    });
    return { schema: {}, value: clean, declared: clean };
  }),
);

const samples: fc.Arbitrary<Sample> = fc.letrec<{ sample: Sample }>((tie) => {
  const inner = tie("sample");
  const object = fc.uniqueArray(fc.tuple(names, inner, fc.boolean(), fc.boolean()), {
    maxLength: 5,
    selector: ([n]) => n,
  });
  const undeclared = fc.dictionary(fc.constantFrom("secret", "hash", "toString"), fc.jsonValue({ maxDepth: 1 }));
  return {
    sample: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      scalarSamples,
      fc.tuple(object, undeclared).map(([fields, extra]) => objectSample(fields, extra)),
      fc.array(inner, { maxLength: 3 }).map(tupleSample),
      fc.tuple(inner, fc.nat(4)).map(([item, count]) => arraySample(item, count)),
      fc.tuple(inner, fc.array(names)).map(([item, keys]) => recordSample(item, keys)),
      inner.map((sample) => ({ ...sample, schema: { anyOf: [{ type: "null", const: null }, sample.schema] } })),
      fc.tuple(object, object, fc.boolean()).map(([a, b, first]) => taggedSample(a, b, first)),
    ),
  };
}).sample;

type Field = [name: string, sample: Sample, optional: boolean, present: boolean];

function objectSample(fields: readonly Field[], extra: Readonly<Record<string, unknown>>): Sample {
  const there = fields.filter(([, , optional, present]) => present || !optional);
  return {
    schema: {
      type: "object",
      properties: Object.fromEntries(fields.map(([name, { schema }]) => [name, schema])),
      required: fields.filter(([, , optional]) => !optional).map(([name]) => name),
    },
    value: { ...extra, ...Object.fromEntries(there.map(([name, { value }]) => [name, value])) },
    declared: Object.fromEntries(there.map(([name, { declared }]) => [name, declared])),
  };
}

function taggedSample(a: readonly Field[], b: readonly Field[], first: boolean): Sample {
  const tag = (value: string): Field => ["kind", { schema: { const: value }, value, declared: value }, false, true];
  const left = objectSample([tag("left"), ...a], { secret: 1 });
  const right = objectSample([...b, tag("right")], { secret: 1 });
  return { ...(first ? left : right), schema: { oneOf: [left.schema, right.schema] } };
}

function tupleSample(items: readonly Sample[]): Sample {
  return {
    schema: { type: "array", items: items.map(({ schema }) => schema), additionalItems: false },
    value: items.map(({ value }) => value),
    declared: items.map(({ declared }) => declared),
  };
}

function arraySample(item: Sample, count: number): Sample {
  return {
    schema: { type: "array", items: item.schema },
    value: Array.from({ length: count }, () => item.value),
    declared: Array.from({ length: count }, () => item.declared),
  };
}

function recordSample(item: Sample, keys: readonly string[]): Sample {
  return {
    schema: { type: "object", additionalProperties: item.schema },
    value: Object.fromEntries(keys.map((key) => [key, item.value])),
    declared: Object.fromEntries(keys.map((key) => [key, item.declared])),
  };
}

const toCompiled = (schema: Record<string, unknown>) => compile(schema as unknown as Schema);
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const runs = { numRuns: 300 };

/** Every object that can be reached. */
function objectsIn(value: unknown, found: Set<unknown> = new Set()): Set<unknown> {
  if (typeof value !== "object" || value === null) return found;
  found.add(value);
  for (const member of Object.values(value)) objectsIn(member, found);
  return found;
}

describe("for any schema and any value that fits it", () => {
  it("copy keeps what is declared and drops the rest", () => {
    fc.assert(
      fc.property(samples, ({ schema, value, declared }) => {
        assert.deepEqual(toCompiled(schema).copy(value), declared);
      }),
      runs,
    );
  });

  it("copy and parse share no object with what they were given", () => {
    fc.assert(
      fc.property(samples, ({ schema, value }) => {
        const compiled = toCompiled(schema);
        const given = objectsIn(value);
        for (const copy of [compiled.copy(value), compiled.parse(value)]) {
          for (const part of objectsIn(copy)) assert.ok(!given.has(part));
        }
      }),
      runs,
    );
  });

  it("stringify is the JSON of the copy", () => {
    fc.assert(
      fc.property(samples, ({ schema, value }) => {
        const compiled = toCompiled(schema);
        assert.deepEqual(JSON.parse(compiled.stringify(value)), asJson(compiled.copy(value)));
      }),
      runs,
    );
  });

  it("accepts agrees with another checker, and with violations", () => {
    fc.assert(
      fc.property(samples, samples, ({ schema }, { value }) => {
        const compiled = toCompiled(schema);
        const other = new Ajv2020({ strict: false, ownProperties: true }).compile(compiled.jsonSchema);
        assert.equal(compiled.accepts(value), other(value));
        assert.equal(compiled.violations(value).length === 0, compiled.accepts(value));
      }),
      { numRuns: 100 },
    );
  });
});

describe("for any schema and a value made for another", () => {
  it("copy never fails, shares nothing, and stringify is still its JSON", () => {
    fc.assert(
      fc.property(samples, samples, ({ schema }, { value }) => {
        const compiled = toCompiled(schema);
        const copy = compiled.copy(value);
        const given = objectsIn(value);
        for (const part of objectsIn(copy)) assert.ok(!given.has(part));
        assert.deepEqual(JSON.parse(compiled.stringify(value)), asJson(copy));
      }),
      { numRuns: 600 },
    );
  });

  it("an undeclared member never comes out", () => {
    const Strict = t.Object({ a: t.String(), b: t.Optional(t.Object({ c: t.Array(t.Integer()) })) });
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (a, b, c) => {
        const value = { a, b: { c: [c, { secret: 1 }], secret: b }, secret: "top" };
        const text = compile(Strict).stringify(value as never);
        assert.ok(!Object.hasOwn(JSON.parse(text), "secret"));
        assert.ok(!text.includes('"secret"') || typeof a === "string" || typeof c === "string");
      }),
      runs,
    );
  });
});
