import type { Branch, ObjectShape, Scalar, Shape, Shapes, UnionShape } from "./shape.ts";
import { dereference } from "./shape.ts";

/** The four kinds of value that a program can tell apart by looking. */
export type Kind = "scalar" | "bytes" | "array" | "object";

/** How to find the branch of a union for a value: first by kind, then by a constant field, then by asking each branch. */
export interface Branching {
  /** Some branch takes text as it is; otherwise text stands for bytes, if there are any. */
  readonly text: boolean;
  readonly bytes: Branch | undefined;
  readonly arrays: readonly Branch[];
  readonly objects: readonly Branch[];
  readonly tag: Tag | undefined;
}

/** A required field whose constants are different in every object branch. */
export interface Tag {
  readonly name: string;
  readonly cases: readonly { readonly values: readonly Scalar[]; readonly branch: Branch }[];
}

export function toBranching(union: UnionShape, shapes: Shapes): Branching {
  const of = (kind: Kind): Branch[] => union.branches.filter(({ shape }) => kindsOf(shape, shapes).has(kind));
  const objects = of("object");
  return {
    text: union.branches.some(({ shape }) => takesText(shape, shapes)),
    bytes: of("bytes")[0],
    arrays: of("array"),
    objects,
    tag: findTag(objects, shapes),
  };
}

function takesText(shape: Shape, shapes: Shapes): boolean {
  const inner = dereference(shape, shapes);
  if (inner.kind !== "scalar") return inner.kind === "any";
  return inner.types.includes("string") || inner.values.some((value) => typeof value === "string");
}

const everyKind: readonly Kind[] = ["scalar", "bytes", "array", "object"];

function kindsOf(shape: Shape, shapes: Shapes): ReadonlySet<Kind> {
  const inner = dereference(shape, shapes);
  switch (inner.kind) {
    case "any":
      return new Set(everyKind);
    case "union":
      return new Set(inner.branches.flatMap((branch) => [...kindsOf(branch.shape, shapes)]));
    case "all":
      return new Set(everyKind.filter((kind) => inner.parts.every((part) => kindsOf(part, shapes).has(kind))));
    default:
      return new Set<Kind>([inner.kind]);
  }
}

function findTag(branches: readonly Branch[], shapes: Shapes): Tag | undefined {
  if (branches.length < 2) return undefined;
  const objects = branches.map(({ shape }) => dereference(shape, shapes));
  if (!objects.every((shape): shape is ObjectShape => shape.kind === "object")) return undefined;
  for (const { name } of (objects[0] as ObjectShape).properties) {
    const cases = branches.map((branch, i) => ({
      branch,
      values: constantsOf(objects[i] as ObjectShape, name, shapes),
    }));
    const all = cases.flatMap(({ values }) => values);
    if (cases.every(({ values }) => values.length > 0) && new Set(all).size === all.length) return { name, cases };
  }
  return undefined;
}

function constantsOf(object: ObjectShape, name: string, shapes: Shapes): readonly Scalar[] {
  const property = object.properties.find((candidate) => candidate.name === name);
  if (property === undefined || !property.required) return [];
  const shape = dereference(property.shape, shapes);
  return shape.kind === "scalar" && shape.types.length === 0 ? shape.values : [];
}
