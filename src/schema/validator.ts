import { Ajv2020, type Options, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { JsonSchema } from "../base/index.ts";
import { isBytes } from "./bytes.ts";
import { unusable } from "./errors.ts";
import { explain } from "./explanation.ts";
import { isInherited } from "./program.ts";
import { eachPart } from "./traversal.ts";
import { type Violation, violationsMax } from "./violation.ts";

/** The checks of one schema. Native schemas only: a foreign one checks itself. */
export interface Validator {
  accepts(value: unknown): boolean;
  violations(value: unknown): readonly Violation[];
  /** The check of one part of the schema, by its pointer ("#/properties/id"). */
  part(pointer: string): (value: unknown) => boolean;
}

/** Above this many members and items, a wrong value is answered with its first violation only: listing all has a price. */
export const listedMembersMax = 10_000;

/**
 * Two checkers of one schema: a quick one that stops at the first violation, made at once, and a thorough one that
 * lists them, made when the first wrong value arrives.
 */
export function createValidator(schema: JsonSchema): Validator {
  const quick = compileWith(schema, { allErrors: false });
  let thorough: CompiledParts | undefined;

  return {
    accepts: traitsOf(schema).unbounded ? withinStack(quick.root) : (value) => quick.root(value),
    violations(value) {
      try {
        if (quick.root(value)) return [];
        if (hasMoreMembers(value, listedMembersMax)) {
          return explain(schema, quick.root.errors ?? [], quick.part).slice(0, 1);
        }
        thorough ??= compileWith(schema, { allErrors: true });
        thorough.root(value);
        return explain(schema, thorough.root.errors ?? [], thorough.part).slice(0, violationsMax);
      } catch (cause) {
        if (cause instanceof RangeError) return [{ pointer: "", message: "is nested too deeply", keyword: "depth" }];
        throw cause;
      }
    },
    part: quick.part,
  };
}

/** The check of parts of a foreign schema's JSON Schema, to tell the branches of a union apart. Formats are left out. */
export function createPartChecks(schema: JsonSchema): (pointer: string) => (value: unknown) => boolean {
  let parts: CompiledParts | undefined;
  return (pointer) => {
    parts ??= compileWith(schema, { allErrors: false, strict: false, validateFormats: false });
    return parts.part(pointer);
  };
}

interface CompiledParts {
  readonly root: ValidateFunction;
  part(pointer: string): ValidateFunction;
}

const rootKey = "plinth:schema";

function compileWith(schema: JsonSchema, options: Options): CompiledParts {
  const ajv = createAjv(schema, options);
  try {
    ajv.addSchema(schema, rootKey);
    const root = ajv.getSchema(rootKey);
    if (root === undefined) throw new Error("it does not compile");
    return {
      root,
      part(pointer) {
        const check = ajv.getSchema(rootKey + pointer.split("/").map(encodeURIComponent).join("/").replace("%23", "#"));
        if (check === undefined) throw new Error(`no schema at ${pointer}`);
        return check;
      },
    };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw unusable("", `cannot be compiled (${message})`, "check its keywords, formats and patterns", cause);
  }
}

/** Annotations that other documents add. They check nothing. */
const annotations = ["example", "externalDocs", "xml", "discriminator"];

function createAjv(schema: JsonSchema, options: Options): Ajv2020 {
  const traits = traitsOf(schema);
  const ajv = new Ajv2020({
    meta: false,
    validateSchema: false,
    strictTypes: false,
    strictTuples: false,
    verbose: true,
    logger: false,
    code: { optimize: false }, // It more than doubles the time to compile, and the engine does the same anyway.
    ownProperties: traits.inherited,
    ...options,
  });
  if (traits.formats) formats.default(ajv);
  ajv.addVocabulary(annotations);
  ajv.addKeyword({
    keyword: "x-plinth",
    schemaType: "string",
    compile: (kind) => (kind === "bytes" ? isBytes : () => true),
  });
  for (const keyword of traits.vendorKeywords) if (ajv.getKeyword(keyword) === false) ajv.addKeyword(keyword);
  return ajv;
}

interface Traits {
  /** Some field has a name that every object inherits: fields are then only looked for among an object's own members. */
  inherited: boolean;
  /** The schema does not bound the depth of what is walked: a hostile value could use up the stack. */
  unbounded: boolean;
  formats: boolean;
  /** x-…: annotations of whoever wrote the schema. */
  readonly vendorKeywords: Set<string>;
}

function traitsOf(schema: JsonSchema): Traits {
  const traits: Traits = { inherited: false, unbounded: false, formats: false, vendorKeywords: new Set() };
  eachPart(schema, (node) => {
    traits.inherited ||= [...Object.keys(node.properties ?? {}), ...(node.required ?? [])].some(isInherited);
    traits.unbounded ||= node.$ref !== undefined || node.uniqueItems === true;
    traits.formats ||= node.format !== undefined;
    for (const keyword of Object.keys(node)) if (keyword.startsWith("x-")) traits.vendorKeywords.add(keyword);
  });
  return traits;
}

function withinStack(check: ValidateFunction): (value: unknown) => boolean {
  return (value) => {
    try {
      return check(value);
    } catch (cause) {
      if (cause instanceof RangeError) return false;
      throw cause;
    }
  };
}

/** Counts without recursion, and stops as soon as it knows. */
function hasMoreMembers(value: unknown, max: number): boolean {
  const open: unknown[] = [value];
  let count = 0;
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || next instanceof Uint8Array) continue;
    const members = Array.isArray(next) ? next : Object.values(next);
    count += members.length;
    if (count > max) return true;
    for (const member of members) open.push(member);
  }
  return false;
}
