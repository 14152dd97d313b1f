import type { StandardTypedV1 } from "@standard-schema/spec";
import type { Static, TSchema } from "typebox";
import { type JsonSchema, StartError } from "../base/index.ts";
import { CopierWriter, type PartCheck } from "./copier.ts";
import { unusable, validationFailed } from "./errors.ts";
import {
  type ForeignSchema,
  foreignJsonSchema,
  foreignValidate,
  foreignViolations,
  isForeign,
  refuseAsync,
} from "./foreign.ts";
import { toNormalForm } from "./normal-form.ts";
import { createProgram } from "./program.ts";
import { toShapes } from "./reading.ts";
import { SerializerWriter } from "./serializer.ts";
import type { Shapes } from "./shape.ts";
import { eachPart } from "./traversal.ts";
import { createPartChecks, createValidator, type Validator } from "./validator.ts";
import type { Violation } from "./violation.ts";

/**
 * A schema is a value that says what data may look like. Compiling turns it, once and at start, into the four things
 * that every edge of a process does with data: check it, say what is wrong with it, copy it, write it as JSON.
 *
 * Two kinds are taken. A *native* schema is JSON Schema (draft 2020-12), best built with `t`; checking never changes the
 * value. A *foreign* one is any Standard Schema that can tell its JSON Schema (zod, valibot, arktype); it is checked by
 * its own library, which may also transform the value.
 *
 * Promises:
 * - What `copy` and native `parse` return shares nothing with what they were given, and holds declared fields only: a
 *   member that the schema does not name is dropped, unless the schema says `additionalProperties: true` or describes no
 *   members at all. A member named `__proto__` is always dropped.
 * - `stringify(value)` is the JSON of `copy(value)`: an undeclared field never leaks, whatever the handler returned.
 * - `accepts` makes no copy of a native value, and allocates nothing for one that fits (some formats aside).
 * - `parse` fills in the `default` of an absent field; such a field is not required of the caller.
 *
 * Not promised: `copy` and `stringify` do not check. They take any value without throwing, save for two: nesting beyond
 * 64 levels (VALUE_TOO_DEEP), and in `stringify` a bigint (TypeError). Foreign `parse` returns what the library made,
 * which may share parts with its input (`z.any()`).
 *
 * Limits: 100 violations; of a value with more than 10 000 members only the first violation; unknown data and recursive
 * schemas 64 levels deep; a schema 10 000 nodes. Unions with a required constant field (`kind: t.Literal("card")`) are
 * told apart by it, at the price of one comparison; without one, by checking the value against every branch.
 */
export interface Compiled<T = any> {
  /** What a caller may send: draft 2020-12, standing on its own, each `$ref` being `#` or `#/$defs/NAME`. */
  readonly jsonSchema: JsonSchema;
  /** What a handler receives, or a caller gets back. The same object for a native schema. */
  readonly outputJsonSchema: JsonSchema;
  readonly native: boolean;
  accepts(value: unknown): boolean;
  /** Everything that is wrong, at most 100; empty when nothing is. */
  violations(value: unknown): readonly Violation[];
  /** Throws invalid_argument VALIDATION_FAILED with `details.violations`; never executed. */
  parse(value: unknown): T;
  copy(value: T): T;
  stringify(value: T): string;
}

/** TypeBox marks what it builds. The marks also keep a schema of another library from passing as a native one. */
export type NativeSchema = TSchema & ({ readonly "~kind": string } | { readonly "~unsafe": unknown });

export type Schema = NativeSchema | ForeignSchema<any, any>;

/** What a handler receives, and what a caller gets back. */
export type Infer<S> = S extends StandardTypedV1<any, infer Output> ? Output : S extends TSchema ? Static<S> : never;

/** What a caller gives. It differs from `Infer` where a foreign schema has defaults or transforms. */
export type InferInput<S> = S extends StandardTypedV1<infer Input, any> ? Input : S extends TSchema ? Static<S> : never;

const compiled = new WeakMap<object, Compiled>();

/**
 * Compiles a schema, once for each schema object. Throws StartError SCHEMA_UNUSABLE, which names the place and the
 * remedy, for a schema that is no JSON Schema, has none, or validates asynchronously.
 */
export function compile<S extends Schema>(schema: S): Compiled<Infer<S>> {
  let result = compiled.get(schema);
  if (result === undefined) {
    result = isForeign(schema) ? compileForeign(schema) : compileNative(schema);
    compiled.set(schema, result);
  }
  return result;
}

function compileNative(schema: unknown): Compiled {
  const jsonSchema = toNormalForm(schema, true);
  const shapes = toShapes(jsonSchema);
  const validator = createValidator(jsonSchema);
  checkDefaults(jsonSchema, validator);
  const { copy, fill, stringify } = compileStructure(jsonSchema, shapes, validator.part);
  return {
    jsonSchema,
    outputJsonSchema: jsonSchema,
    native: true,
    accepts: validator.accepts,
    violations: validator.violations,
    parse(value) {
      if (!validator.accepts(value)) throw validationFailed(validator.violations(value));
      return fill(value);
    },
    copy,
    stringify,
  };
}

/**
 * A transform may leave the output without JSON Schema. Such a schema still serves to parse requests; its output can be
 * neither copied nor written, and asking for that throws the StartError then.
 */
function compileForeign(schema: ForeignSchema): Compiled {
  refuseAsync(schema);
  const jsonSchema = toNormalForm(foreignJsonSchema(schema, "input"), false);
  const output = compileOutput(schema);
  return {
    jsonSchema,
    get outputJsonSchema() {
      return output().jsonSchema;
    },
    native: false,
    accepts: (value) => foreignValidate(schema, value).issues === undefined,
    violations(value) {
      const { issues } = foreignValidate(schema, value);
      return issues === undefined ? [] : foreignViolations(issues);
    },
    parse(value) {
      const result = foreignValidate(schema, value);
      if (result.issues !== undefined) throw validationFailed(foreignViolations(result.issues));
      return result.value;
    },
    copy: (value) => output().copy(value),
    stringify: (value) => output().stringify(value),
  };
}

interface Structure {
  copy(value: unknown): unknown;
  /** Copies, and gives absent fields their default. */
  fill(value: unknown): unknown;
  stringify(value: unknown): string;
}

function compileOutput(schema: ForeignSchema): () => Structure & { jsonSchema: JsonSchema } {
  try {
    const jsonSchema = toNormalForm(foreignJsonSchema(schema, "output"), false);
    const output = { jsonSchema, ...compileStructure(jsonSchema, toShapes(jsonSchema), createPartChecks(jsonSchema)) };
    return () => output;
  } catch (cause) {
    if (!(cause instanceof StartError)) throw cause;
    return () => {
      throw cause;
    };
  }
}

function compileStructure(jsonSchema: JsonSchema, shapes: Shapes, check: PartCheck): Structure {
  const program = createProgram();
  const copier = new CopierWriter(program, shapes, check, false);
  const filler = hasDefault(jsonSchema) ? new CopierWriter(program, shapes, check, true) : copier;
  const serializer = new SerializerWriter(program, shapes, check, copier);
  const names = [copier, filler, serializer].map((writer) => writer.nameOf(shapes.root));
  const [copy, fill, text] = program.link(names) as [Transform, Transform, (value: unknown, depth: number) => string];
  return {
    copy: (value) => copy(value, 0),
    fill: (value) => fill(value, 0),
    stringify: (value) => (value === undefined ? "null" : text(value, 0)),
  };
}

function hasDefault(schema: JsonSchema): boolean {
  let found = false;
  eachPart(schema, (node) => {
    found ||= node.default !== undefined;
  });
  return found;
}

/** A default that breaks its own schema would be handed to handlers unchecked. */
function checkDefaults(schema: JsonSchema, validator: Validator): void {
  eachPart(schema, (node, pointer) => {
    if (node.default === undefined || validator.part(pointer)(node.default)) return;
    throw unusable(
      pointer.slice(1),
      `has the default ${JSON.stringify(node.default)}, which breaks it`,
      "change one of them",
    );
  });
}

type Transform = (value: unknown, depth: number) => unknown;
