import {
  type ArrayShape,
  any,
  type Branch,
  type ObjectShape,
  type Property,
  type ScalarShape,
  type Shape,
  scalarTypes,
} from "./shape.ts";

/** The shape of a value that fits any of several schemas. */
export function union(branches: readonly Branch[]): Shape {
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

const nothing: ObjectShape = { kind: "object", properties: [], patterns: [], rest: undefined, bare: false };

function joinScalars(a: ScalarShape, b: ScalarShape): ScalarShape {
  const types = scalarTypes.filter((type) => a.types.includes(type) || b.types.includes(type));
  return { kind: "scalar", types, values: [...new Set([...a.values, ...b.values])] };
}

/** The shape of a value that two schemas describe. */
export function merge(a: Shape, b: Shape): Shape {
  if (a.kind === "any") return b;
  if (b.kind === "any") return a;
  if (a.kind === "scalar" && b.kind === "scalar") return a.types.length === 0 ? a : b;
  if (a.kind === "object" && b.kind === "object") return mergeObjects(a, b);
  if (a.kind === "array" && b.kind === "array") return mergeArrays(a, b);
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

function mergeArrays(a: ArrayShape, b: ArrayShape): ArrayShape {
  const length = Math.max(a.prefix.length, b.prefix.length);
  const prefix = Array.from({ length }, (_, i) => merge(a.prefix[i] ?? a.rest ?? any, b.prefix[i] ?? b.rest ?? any));
  const rest = a.rest === undefined || b.rest === undefined ? undefined : merge(a.rest, b.rest);
  return { kind: "array", prefix, rest };
}

function mergeProperties(a: Property, b: Property): Property {
  return {
    name: a.name,
    shape: merge(a.shape, b.shape),
    required: a.required || b.required,
    fallback: a.fallback ?? b.fallback,
  };
}
