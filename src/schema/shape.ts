import type { JsonSchema } from "../base/index.ts";
import { unusable } from "./errors.ts";
import { pointerStep, resolvePointer } from "./traversal.ts";

/**
 * What a schema says about the *structure* of a value, with all that only constrains it left out. Copier, serializer and
 * the reader of query strings are each compiled from a shape.
 */
export type Shape = AnyShape | ScalarShape | BytesShape | ObjectShape | ArrayShape | UnionShape | AllShape | RefShape;

export interface AnyShape {
  readonly kind: "any";
}
export type ScalarType = "string" | "number" | "integer" | "boolean" | "null";
export type Scalar = string | number | boolean | null;
export interface ScalarShape {
  readonly kind: "scalar";
  /** Any value of these types. */
  readonly types: readonly ScalarType[];
  /** And these values, from const and enum. */
  readonly values: readonly Scalar[];
}
export interface BytesShape {
  readonly kind: "bytes";
}
export interface Property {
  readonly name: string;
  readonly shape: Shape;
  readonly required: boolean;
  /** undefined: none. */
  readonly fallback: unknown;
}
export interface ObjectShape {
  readonly kind: "object";
  readonly properties: readonly Property[];
  readonly patterns: readonly { readonly source: string; readonly shape: Shape }[];
  /** The shape of members not named above. undefined: they are undeclared, and dropped. */
  readonly rest: Shape | undefined;
  /** The schema says "an object" and no more; another schema that names the members takes precedence. */
  readonly bare: boolean;
}
export interface ArrayShape {
  readonly kind: "array";
  readonly prefix: readonly Shape[];
  readonly rest: Shape | undefined;
}
export interface Branch {
  readonly shape: Shape;
  /** The branch's own schema, to ask whether a value fits. "" where the JSON type alone decides. */
  readonly pointer: string;
}
export interface UnionShape {
  readonly kind: "union";
  readonly branches: readonly Branch[];
}
/** Several schemas speak about the same value, and each may declare members. */
export interface AllShape {
  readonly kind: "all";
  readonly parts: readonly Shape[];
}
/** A named part, which may contain itself. */
export interface RefShape {
  readonly kind: "ref";
  readonly pointer: string;
}

export interface Shapes {
  readonly root: Shape;
  readonly named: ReadonlyMap<string, Shape>;
}

const any: AnyShape = { kind: "any" };
const nothing: ObjectShape = { kind: "object", properties: [], patterns: [], rest: undefined, bare: false };
const scalarTypes: readonly ScalarType[] = ["string", "number", "integer", "boolean", "null"];
const everyType = ["object", "array", ...scalarTypes];

/** The shape of a schema in normal form. */
export function toShapes(schema: JsonSchema): Shapes {
  const named = new Map<string, Shape>();

  function refer(pointer: string): Shape {
    if (!named.has(pointer)) {
      named.set(pointer, any);
      named.set(pointer, build(resolvePointer(schema, pointer), pointer));
    }
    return { kind: "ref", pointer };
  }

  function build(node: JsonSchema | boolean | undefined, pointer: string): Shape {
    if (node === undefined || node === true) return any;
    if (node === false) return { kind: "scalar", types: [], values: [] };
    let shape = own(node, pointer);
    const add = (part: Shape): void => {
      shape = merge(shape, part);
    };
    if (node.$ref !== undefined) add(refer(node.$ref));
    node.allOf?.forEach((part, i) => {
      add(build(part, `${pointer}/allOf/${i}`));
    });
    for (const keyword of ["anyOf", "oneOf"] as const) {
      const parts = node[keyword];
      if (parts !== undefined) add(union(parts.map((part, i) => branch(part, `${pointer}/${keyword}/${i}`))));
    }
    for (const keyword of ["then", "else"])
      add(build(node[keyword] as JsonSchema | undefined, `${pointer}/${keyword}`));
    for (const [name, part] of Object.entries((node.dependentSchemas ?? {}) as Record<string, JsonSchema>)) {
      add(build(part, `${pointer}/dependentSchemas${pointerStep(name)}`));
    }
    return shape;
  }

  const branch = (node: JsonSchema, pointer: string): Branch => ({ shape: build(node, pointer), pointer });

  /** The shape by a node's own keywords. */
  function own(node: JsonSchema, pointer: string): Shape {
    if (node["x-plinth"] === "bytes") return { kind: "bytes" };
    if (node.const !== undefined) return literals([node.const]);
    if (node.enum !== undefined) return literals(node.enum);
    const namesMembers = objectKeywords.some((keyword) => node[keyword] !== undefined);
    const namesItems = node.prefixItems !== undefined || node.items !== undefined;
    const composed = composing.some((keyword) => node[keyword] !== undefined);
    const types = node.type === undefined ? (namesMembers || namesItems ? everyType : []) : [node.type].flat();
    const scalars = scalarTypes.filter((type) => types.includes(type));
    if (types.length === 0 || (composed && !namesMembers && !namesItems && scalars.length < types.length)) return any;
    const shapes: Shape[] = [];
    if (types.includes("object")) shapes.push(objectShape(node, pointer));
    if (types.includes("array")) shapes.push(arrayShape(node, pointer));
    if (scalars.length > 0) shapes.push({ kind: "scalar", types: scalars, values: [] });
    return shapes.length === 1 ? (shapes[0] as Shape) : union(shapes.map((shape) => ({ shape, pointer: "" })));
  }

  function objectShape(node: JsonSchema, pointer: string): ObjectShape {
    const required = new Set(node.required ?? []);
    const properties = Object.entries(node.properties ?? {}).map(([name, part]) => ({
      name,
      shape: build(part, `${pointer}/properties${pointerStep(name)}`),
      required: required.has(name),
      fallback: part.default,
    }));
    const patterns = Object.entries(node.patternProperties ?? {}).map(([source, part]) => ({
      source,
      shape: build(part, `${pointer}/patternProperties${pointerStep(source)}`),
    }));
    const keyword = node.additionalProperties === undefined ? "unevaluatedProperties" : "additionalProperties";
    const others = node[keyword] as JsonSchema | boolean | undefined;
    const bare = others === undefined && node.properties === undefined && node.patternProperties === undefined;
    const rest = bare
      ? any
      : others === undefined || others === false
        ? undefined
        : build(others, `${pointer}/${keyword}`);
    return { kind: "object", properties, patterns, rest, bare };
  }

  function arrayShape(node: JsonSchema, pointer: string): ArrayShape {
    return {
      kind: "array",
      prefix: (node.prefixItems ?? []).map((part, i) => build(part, `${pointer}/prefixItems/${i}`)),
      rest: node.items === false ? undefined : build(node.items, `${pointer}/items`),
    };
  }

  refer("#");
  for (const [pointer, shape] of named) requireGround(pointer, shape, named, new Set([pointer]));
  return { root: named.get("#") as Shape, named };
}

const objectKeywords = ["properties", "patternProperties", "additionalProperties", "unevaluatedProperties"];
const composing = ["$ref", "allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas"];

function literals(values: readonly unknown[]): Shape {
  const scalars = values.filter((value) => value === null || typeof value !== "object") as Scalar[];
  return scalars.length < values.length ? any : { kind: "scalar", types: [], values: scalars };
}

function union(branches: readonly Branch[]): Shape {
  const flat = branches.flatMap(({ shape, pointer }) =>
    shape.kind === "union"
      ? shape.branches.map((inner) => ({ ...inner, pointer: inner.pointer || pointer }))
      : [{ shape, pointer }],
  );
  if (flat.length === 1) return (flat[0] as Branch).shape;
  if (flat.every(({ shape }) => isOpen(shape))) return any;
  const scalars = flat.filter(({ shape }) => shape.kind === "scalar");
  if (scalars.length < flat.length) return { kind: "union", branches: flat };
  return scalars.map(({ shape }) => shape as ScalarShape).reduce(joinScalars);
}

/** Says nothing about members: `{}`, or "an object". */
function isOpen(shape: Shape): boolean {
  return shape.kind === "any" || (shape.kind === "object" && shape.bare);
}

function joinScalars(a: ScalarShape, b: ScalarShape): ScalarShape {
  const types = scalarTypes.filter((type) => a.types.includes(type) || b.types.includes(type));
  return { kind: "scalar", types, values: [...new Set([...a.values, ...b.values])] };
}

/** One value that two schemas describe. */
function merge(a: Shape, b: Shape): Shape {
  if (a.kind === "any") return b;
  if (b.kind === "any") return a;
  if (a.kind === "scalar" && b.kind === "scalar") return a.types.length === 0 ? a : b;
  if (a.kind === "object" && b.kind === "object") return mergeObjects(a, b);
  if (a.kind === "array" && b.kind === "array") return a.rest?.kind === "any" && a.prefix.length === 0 ? b : a;
  if (a.kind === "object" && a.bare) return b;
  if (b.kind === "object" && b.bare) return a;
  if (a.kind === "object") return mergeByType(a, b) ?? together(a, b);
  if (b.kind === "object") return mergeByType(b, a) ?? together(a, b);
  return together(a, b);
}

/** "An object with these members" beside "if an object, then with those". */
function mergeByType(a: ObjectShape, b: Shape): Shape | undefined {
  if (b.kind !== "union" || b.branches.some(({ pointer }) => pointer !== "")) return undefined;
  const object = b.branches.find(({ shape }) => shape.kind === "object");
  return object === undefined ? undefined : merge(a, object.shape);
}

function together(a: Shape, b: Shape): Shape {
  return { kind: "all", parts: [a, b].flatMap((part) => (part.kind === "all" ? part.parts : [closed(part)])) };
}

/** In company, a branch that names no members adds none. */
function closed(shape: Shape): Shape {
  if (shape.kind !== "union") return shape;
  return { ...shape, branches: shape.branches.map((b) => (isOpen(b.shape) ? { ...b, shape: nothing } : b)) };
}

function mergeObjects(a: ObjectShape, b: ObjectShape): ObjectShape {
  if (a.bare) return b;
  if (b.bare) return a;
  const properties = new Map(a.properties.map((property) => [property.name, property]));
  for (const property of b.properties) {
    const other = properties.get(property.name);
    properties.set(property.name, other === undefined ? property : mergeProperties(other, property));
  }
  const rest = a.rest === undefined || b.rest === undefined ? (a.rest ?? b.rest) : merge(a.rest, b.rest);
  return {
    kind: "object",
    properties: [...properties.values()],
    patterns: [...a.patterns, ...b.patterns],
    rest,
    bare: false,
  };
}

function mergeProperties(a: Property, b: Property): Property {
  return {
    name: a.name,
    shape: merge(a.shape, b.shape),
    required: a.required || b.required,
    fallback: a.fallback ?? b.fallback,
  };
}

/** A named part may contain itself in a member or an item, but not be made of itself. */
function requireGround(name: string, shape: Shape, named: Shapes["named"], path: ReadonlySet<string>): void {
  if (shape.kind === "union") for (const { shape: part } of shape.branches) requireGround(name, part, named, path);
  if (shape.kind === "all") for (const part of shape.parts) requireGround(name, part, named, path);
  if (shape.kind !== "ref") return;
  if (path.has(shape.pointer))
    throw unusable(name.slice(1), "refers to itself", "let it contain itself only in a field");
  requireGround(name, named.get(shape.pointer) ?? any, named, new Set(path).add(shape.pointer));
}

/** Follows names to what they stand for. */
export function dereference(shape: Shape, shapes: Shapes): Exclude<Shape, RefShape> {
  let current = shape;
  while (current.kind === "ref") current = shapes.named.get(current.pointer) ?? any;
  return current;
}
