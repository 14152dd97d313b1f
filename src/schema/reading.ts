import type { JsonSchema } from "../base/index.ts";
import { unusable } from "./errors.ts";
import { merge, union } from "./merging.ts";
import {
  type ArrayShape,
  any,
  type Branch,
  type ObjectShape,
  type RefShape,
  type Scalar,
  type Shape,
  type Shapes,
  scalarTypes,
} from "./shape.ts";
import { pointerStep, resolvePointer } from "./traversal.ts";

/** The shape of a schema in normal form. */
export function toShapes(schema: JsonSchema): Shapes {
  const named = new Map<string, Shape>();

  const unfinished = new Set<string>();

  function refer(pointer: string): RefShape {
    if (!named.has(pointer)) {
      named.set(pointer, any);
      unfinished.add(pointer);
      named.set(pointer, build(resolvePointer(schema, pointer), pointer));
      unfinished.delete(pointer);
    }
    return { kind: "ref", pointer };
  }

  function build(node: JsonSchema | boolean | undefined, pointer: string): Shape {
    if (node === undefined || node === true) return any;
    if (node === false) return { kind: "scalar", types: [], values: [] };
    const parts = [own(node, pointer), ...composed(node, pointer)].filter((shape) => shape.kind !== "any");
    return parts.length > 1 ? parts.map(written).reduce(merge) : (parts[0] ?? any);
  }

  /** Among several parts a name is written out, so that they merge into one; within its own definition it stays. */
  function written(shape: Shape): Shape {
    if (shape.kind !== "ref" || unfinished.has(shape.pointer)) return shape;
    return written(named.get(shape.pointer) ?? any);
  }

  /** The shapes of the other schemas that a node applies to the same value. */
  function composed(node: JsonSchema, pointer: string): Shape[] {
    const shapes: Shape[] = node.$ref === undefined ? [] : [refer(node.$ref)];
    node.allOf?.forEach((part, i) => {
      shapes.push(build(part, `${pointer}/allOf/${i}`));
    });
    for (const keyword of ["anyOf", "oneOf"] as const) {
      const parts = node[keyword];
      if (parts !== undefined) shapes.push(union(parts.map((part, i) => branch(part, `${pointer}/${keyword}/${i}`))));
    }
    for (const keyword of ["then", "else"]) {
      shapes.push(build(node[keyword] as JsonSchema | undefined, `${pointer}/${keyword}`));
    }
    for (const [name, part] of Object.entries((node.dependentSchemas ?? {}) as Record<string, JsonSchema>)) {
      shapes.push(build(part, `${pointer}/dependentSchemas${pointerStep(name)}`));
    }
    return shapes;
  }

  const branch = (node: JsonSchema, pointer: string): Branch => ({ shape: build(node, pointer), pointer });

  /** The shape by a node's own keywords. */
  function own(node: JsonSchema, pointer: string): Shape {
    if (node["x-plinth"] === "bytes") return { kind: "bytes" };
    if (node.const !== undefined) return literals([node.const]);
    if (node.enum !== undefined) return literals(node.enum);
    const namesMembers = objectKeywords.some((keyword) => node[keyword] !== undefined);
    const namesItems = node.prefixItems !== undefined || node.items !== undefined;
    const composes = composing.some((keyword) => node[keyword] !== undefined);
    const types = node.type === undefined ? (namesMembers || namesItems ? everyType : []) : [node.type].flat();
    const scalars = scalarTypes.filter((type) => types.includes(type));
    if (types.length === 0 || (composes && !namesMembers && !namesItems && scalars.length < types.length)) return any;
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

const everyType = ["object", "array", ...scalarTypes];

function literals(values: readonly unknown[]): Shape {
  const scalars = values.filter((value) => value === null || typeof value !== "object") as Scalar[];
  return scalars.length < values.length ? any : { kind: "scalar", types: [], values: scalars };
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
