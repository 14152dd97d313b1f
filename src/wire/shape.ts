import { createHash } from "node:crypto";
import type { JsonSchema } from "../base/index.ts";
import { unusableSchema } from "./errors.ts";
import type { Leaf } from "./leaf.ts";
import { leavesOf } from "./leaf.ts";

/**
 * What of a JSON Schema matters on the wire: names, order, and kinds of values. Titles, formats and limits do not.
 *
 * A shape is a table of nodes, since schemas may be recursive. Where a schema gives a choice (`anyOf`, `oneOf`, several
 * types), the choices of one kind of JSON value are merged: two kinds of object become one whose members are those of
 * both. So a reader needs only to see whether it has a string or an object, and nothing undeclared is ever sent.
 */
export type Node =
  | { readonly kind: "any" | "null" | "boolean" | "number" | "string" | "bytes" }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  | { readonly kind: "array"; readonly items: number }
  | { readonly kind: "object"; readonly fields: readonly Field[]; readonly rest: number | undefined }
  | { readonly kind: "union"; readonly branches: readonly (number | undefined)[] };

export interface Field {
  readonly name: string;
  readonly isRequired: boolean;
  readonly node: number;
}

export interface Shape {
  readonly nodes: readonly Node[];
  readonly root: number;
}

/** The kinds of value that a union tells apart, in the order of their tags. */
export const unionKinds = ["null", "boolean", "number", "string", "bytes", "array", "object"] as const;
export type UnionKind = (typeof unionKinds)[number];

const nodeCountMax = 10_000;
/** Of the walk over a schema, which for recursive ones is longer than any value is deep. */
const pathLengthMax = 500;

export function shapeOf(schema: JsonSchema): Shape {
  const nodes: Node[] = [];
  const indexes = new Map<string, number>();
  const schemaIds = new Map<unknown, number>();
  const leafOf = leavesOf(schema);
  let pathLength = 0;

  const idOf = (value: unknown): number => {
    const known = schemaIds.get(value);
    if (known !== undefined) return known;
    schemaIds.set(value, schemaIds.size);
    return schemaIds.size - 1;
  };

  /** The node for a value that is one of `schemas`. */
  const nodeFor = (schemas: readonly unknown[]): number => {
    const leaves = [...new Set(schemas.flatMap((each) => leafOf(each)))];
    const key = leaves.map(idOf).sort().join();
    const known = indexes.get(key);
    if (known !== undefined) return known;
    const index = nodes.length;
    if (index >= nodeCountMax) throw unusableSchema(`a schema has more than ${nodeCountMax} parts: split it`);
    indexes.set(key, index);
    nodes.push({ kind: "any" });
    if (++pathLength > pathLengthMax) throw unusableSchema(`a schema nests over ${pathLengthMax} levels: flatten it`);
    nodes[index] = build(leaves);
    pathLength--;
    return index;
  };

  const build = (leaves: readonly Leaf[]): Node => {
    if (leaves.some((leaf) => leaf.kind === "any")) return { kind: "any" };
    const groups = unionKinds.map((kind) => leaves.filter((leaf) => leaf.kind === kind));
    const present = groups.filter((group) => group.length > 0);
    if (present.length === 0) return { kind: "any" };
    if (present.length === 1) return buildKind(present[0] as Leaf[]);
    return { kind: "union", branches: groups.map((group) => (group.length === 0 ? undefined : branch(group))) };
  };

  const branch = (group: readonly Leaf[]): number => {
    const key = `one of ${group.map(idOf).sort().join()}`;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    const index = nodes.push({ kind: "any" }) - 1;
    indexes.set(key, index);
    nodes[index] = buildKind(group);
    return index;
  };

  const buildKind = (group: readonly Leaf[]): Node => {
    const kind = (group[0] as Leaf).kind;
    if (kind === "string") return buildString(group);
    if (kind === "array") return { kind: "array", items: nodeFor(group.flatMap((leaf) => leaf.items ?? [true])) };
    if (kind === "object") return buildObject(group);
    return { kind } as Node;
  };

  const buildObject = (group: readonly Leaf[]): Node => {
    const names = [...new Set(group.flatMap((leaf) => [...(leaf.properties?.keys() ?? [])]))];
    const rests = group.flatMap((leaf) => leaf.rest ?? []);
    const fields = names.map((name) => ({
      name,
      isRequired: group.every((leaf) => leaf.required?.has(name) && leaf.properties?.has(name)),
      node: nodeFor(group.flatMap((leaf) => leaf.properties?.get(name) ?? leaf.rest ?? [])),
    }));
    return { kind: "object", fields, rest: rests.length === 0 ? undefined : nodeFor(rests) };
  };

  return { nodes, root: nodeFor([schema]) };
}

function buildString(group: readonly Leaf[]): Node {
  if (group.some((leaf) => leaf.values === undefined)) return { kind: "string" };
  return { kind: "enum", values: [...new Set(group.flatMap((leaf) => leaf.values ?? []))] };
}

/** A declared member. What every object inherits ("constructor", "toString") does not count. */
export function memberOf(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return isInherited(name) && !Object.hasOwn(value, name) ? undefined : value[name];
}

export function isInherited(name: string): boolean {
  return name in Object.prototype;
}

/** The nodes that a node leads to. */
export function childrenOf(node: Node): readonly number[] {
  if (node.kind === "array") return [node.items];
  if (node.kind === "union") return node.branches.filter((branch) => branch !== undefined);
  if (node.kind !== "object") return [];
  const fields = node.fields.map((field) => field.node);
  return node.rest === undefined ? fields : [...fields, node.rest];
}

/**
 * SHA-256 (hex) of the shape: equal for schemas that are equal on the wire, however they are put together. Nodes that
 * cannot be told apart are one (Moore's partition refinement); the rest is written out from the root.
 */
export function fingerprintOf(shape: Shape): string {
  const classes = classesOf(shape);
  const numbers = new Map<number, number>();
  const lines: string[] = [];
  const visit = (index: number): number => {
    const known = numbers.get(classes[index] as number);
    if (known !== undefined) return known;
    const number = numbers.size;
    numbers.set(classes[index] as number, number);
    lines.push("");
    const node = shape.nodes[index] as Node;
    lines[number] = `${describe(node)}(${childrenOf(node).map(visit).join()})`;
    return number;
  };
  visit(shape.root);
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

/** For each node the number of its class: same description, and children of the same classes. */
function classesOf(shape: Shape): readonly number[] {
  const words = shape.nodes.map(describe);
  const children = shape.nodes.map(childrenOf);
  let classes: readonly number[] = words.map(() => 0);
  for (let classCount = 0; ; ) {
    const seen = new Map<string, number>();
    classes = words.map((word, index) => {
      const key = `${word}(${(children[index] as readonly number[]).map((child) => classes[child]).join()})`;
      const number = seen.get(key) ?? seen.size;
      seen.set(key, number);
      return number;
    });
    if (seen.size === classCount) return classes;
    classCount = seen.size;
  }
}

function describe(node: Node): string {
  if (node.kind === "enum") return `enum${JSON.stringify(node.values)}`;
  if (node.kind === "union") return `union${node.branches.map((branch) => (branch === undefined ? 0 : 1)).join("")}`;
  if (node.kind !== "object") return node.kind;
  const fields = node.fields.map((field) => [field.name, field.isRequired]);
  return `object${JSON.stringify(fields)}${node.rest === undefined ? "" : "+"}`;
}
