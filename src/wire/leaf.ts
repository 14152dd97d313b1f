import type { JsonSchema } from "../base/index.ts";
import { unusableSchema } from "./errors.ts";

/** A schema for one kind of JSON value, with references and choices resolved. */
export interface Leaf {
  readonly kind: "any" | "null" | "boolean" | "number" | "string" | "bytes" | "array" | "object";
  /** Of a string: the only ones allowed. */
  readonly values?: readonly string[];
  /** Of an array: the schemas that an item may have. */
  readonly items?: readonly unknown[];
  /** Of an object: each member's schema, a value that fits any of which may stand there. */
  readonly properties?: ReadonlyMap<string, readonly unknown[]>;
  readonly required?: ReadonlySet<string>;
  /** Of an object: the schemas of members that it does not name; undefined when those are not sent. */
  readonly rest?: readonly unknown[];
}

const any: Leaf = { kind: "any" };
const everyKind = ["null", "boolean", "number", "string", "array", "object"];

/** A function that splits a schema found in `root` into its leaves. The same schema always gives the same leaves. */
export function leavesOf(root: JsonSchema): (schema: unknown) => readonly Leaf[] {
  const memo = new Map<unknown, readonly Leaf[]>();
  const open = new Set<unknown>();
  const byId = collectIds(root);
  let wasCut = false;

  const split = (schema: unknown): readonly Leaf[] => {
    if (typeof schema !== "object" || schema === null) return [any];
    const known = memo.get(schema);
    if (known) return known;
    if (open.has(schema)) {
      // Met again while it is being split: this choice adds nothing that the outer one does not have.
      wasCut = true;
      return [];
    }
    open.add(schema);
    const leaves = splitSchema(schema as JsonSchema);
    open.delete(schema);
    // What was found inside a cut choice holds only there; the outermost is whole.
    if (open.size === 0) wasCut = false;
    if (!wasCut) memo.set(schema, leaves);
    return leaves;
  };

  const splitSchema = (schema: JsonSchema): readonly Leaf[] => {
    if (schema["x-plinth"] === "bytes") return [{ kind: "bytes" }];
    const parts: (readonly Leaf[])[] = [];
    if (schema.$ref !== undefined) parts.push(split(resolve(root, byId, schema.$ref)));
    const own = ownLeaves(schema);
    if (own) parts.push(own);
    for (const choice of [schema.anyOf, schema.oneOf]) if (choice) parts.push(choice.flatMap(split));
    for (const part of schema.allOf ?? []) parts.push(split(part));
    return parts.length === 0 ? [any] : parts.reduce(intersect);
  };
  return split;
}

/** What the schema says without its references and combinations; undefined when that is nothing. */
function ownLeaves(schema: JsonSchema): readonly Leaf[] | undefined {
  if (schema.const !== undefined) return [schema.const].map(leafOfValue);
  if (schema.enum) return schema.enum.map(leafOfValue);
  if (schema.type !== undefined) return [schema.type].flat().map((type) => leafOfType(type, schema));
  if (schema.properties || schema.patternProperties || schema.items !== undefined || schema.prefixItems) {
    return everyKind.map((type) => leafOfType(type, schema));
  }
  return undefined;
}

function leafOfValue(value: unknown): Leaf {
  if (typeof value === "string") return { kind: "string", values: [value] };
  if (value === null) return { kind: "null" };
  return typeof value === "boolean" || typeof value === "number" ? { kind: typeof value as "number" } : any;
}

function leafOfType(type: string, schema: JsonSchema): Leaf {
  switch (type) {
    case "null":
    case "boolean":
    case "number":
    case "string":
      return { kind: type };
    case "integer":
      return { kind: "number" };
    case "array":
      return { kind: "array", items: itemSchemas(schema) };
    case "object":
      return objectLeaf(schema);
    default:
      return any;
  }
}

function itemSchemas(schema: JsonSchema): readonly unknown[] {
  // Before draft 2020-12, `items` could be the list that is `prefixItems` now.
  const first = schema.prefixItems ?? (Array.isArray(schema.items) ? (schema.items as readonly unknown[]) : []);
  const more = Array.isArray(schema.items) ? schema.additionalItems : schema.items;
  if (first.length > 0) return more === undefined || more === false ? first : [...first, more];
  return [more ?? true];
}

function objectLeaf(schema: JsonSchema): Leaf {
  const properties = new Map<string, readonly unknown[]>();
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    if (name !== "__proto__") properties.set(name, [member]);
  }
  const patterns = Object.values(schema.patternProperties ?? {});
  const more = schema.additionalProperties;
  const isOpen =
    (more !== undefined && more !== false) || (more === undefined && !schema.properties && !patterns.length);
  const rest = isOpen ? [...patterns, more ?? true] : patterns;
  const leaf: Leaf = { kind: "object", properties, required: new Set(schema.required ?? []) };
  return rest.length > 0 ? { ...leaf, rest } : leaf;
}

/** The leaves of a value that must fit both. Where that cannot be said exactly, what is sent may be more, never less. */
function intersect(left: readonly Leaf[], right: readonly Leaf[]): readonly Leaf[] {
  const kindsOfLeft = left.filter((leaf) => leaf.kind !== "any");
  const kindsOfRight = right.filter((leaf) => leaf.kind !== "any");
  const both = kindsOfLeft.flatMap((a) =>
    kindsOfRight.filter((b) => b.kind === a.kind).map((b) => intersectLeaf(a, b)),
  );
  if (kindsOfRight.length < right.length) both.push(...left);
  if (kindsOfLeft.length < left.length) both.push(...kindsOfRight);
  return both.length > 0 ? both : [...left, ...right];
}

function intersectLeaf(a: Leaf, b: Leaf): Leaf {
  if (a.kind === "array") return (a.items?.length ?? 0) > 0 && a.items?.[0] !== true ? a : b;
  if (a.kind === "string") return a.values ? a : b;
  if (a.kind !== "object") return a;
  const properties = new Map(a.properties);
  for (const [name, schemas] of b.properties ?? []) properties.set(name, [...(properties.get(name) ?? []), ...schemas]);
  const required = new Set([...(a.required ?? []), ...(b.required ?? [])]);
  const rest = [...(a.rest ?? []), ...(b.rest ?? [])];
  const leaf: Leaf = { kind: "object", properties, required };
  return rest.length > 0 ? { ...leaf, rest } : leaf;
}

const ambiguous = Symbol("ambiguous");

/** Schemas by their `$id`, `$anchor`, and name under any `$defs`. */
function collectIds(root: JsonSchema): ReadonlyMap<string, unknown> {
  const byId = new Map<string, unknown>();
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    const schema = value as JsonSchema;
    if (typeof schema.$id === "string" && !byId.has(schema.$id)) byId.set(schema.$id, schema);
    if (typeof schema.$anchor === "string") byId.set(`#${schema.$anchor}`, schema);
    if (typeof schema.$defs === "object") {
      for (const [name, member] of Object.entries(schema.$defs)) {
        byId.set(name, byId.has(name) && byId.get(name) !== member ? ambiguous : member);
      }
    }
    for (const member of Object.values(value)) visit(member);
  };
  visit(root);
  return byId;
}

function resolve(root: JsonSchema, byId: ReadonlyMap<string, unknown>, reference: string): unknown {
  if (reference === "#") return root;
  const named = byId.get(reference);
  if (named === ambiguous) throw unusableSchema(`two schemas under "$defs" are named "${reference}": rename one`);
  if (named !== undefined) return named;
  if (!reference.startsWith("#/")) throw unusableSchema(`the schema reference "${reference}" names no schema in it`);
  let place: unknown = root;
  for (const part of decodeURIComponent(reference.slice(2)).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const isMember = typeof place === "object" && place !== null && Object.hasOwn(place, name);
    if (!isMember) throw unusableSchema(`the schema reference "${reference}" names no schema in it`);
    place = (place as Record<string, unknown>)[name];
  }
  return place;
}
