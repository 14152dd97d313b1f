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

/** The shape of a value about which nothing is said. */
export const any: AnyShape = { kind: "any" };

export const scalarTypes: readonly ScalarType[] = ["string", "number", "integer", "boolean", "null"];

/** Follows names to what they stand for. */
export function dereference(shape: Shape, shapes: Shapes): Exclude<Shape, RefShape> {
  let current = shape;
  while (current.kind === "ref") current = shapes.named.get(current.pointer) ?? any;
  return current;
}
