import type { PlinthError } from "../base/index.ts";
import { mismatch } from "./errors.ts";
import type { Node, Shape, UnionKind } from "./shape.ts";
import { memberOf, unionKinds } from "./shape.ts";

/**
 * Where a value does not fit its shape, as the error that says so. Runs only after encoding failed: generated code keeps
 * no path, so this walks the value again and slowly.
 */
export function locate(shape: Shape, value: unknown): PlinthError | undefined {
  return locateIn(shape, shape.root, value, "");
}

const wanted: Readonly<Record<string, string>> = {
  null: "null",
  boolean: "a boolean",
  number: "a number",
  string: "a string",
  enum: "a string",
  bytes: "bytes (Uint8Array)",
  array: "an array",
  object: "an object",
};

function locateIn(shape: Shape, index: number, value: unknown, pointer: string): PlinthError | undefined {
  const node = shape.nodes[index] as Node;
  const kind = kindNameOf(value);
  if (node.kind === "any") return undefined;
  if (node.kind === "union") {
    const place = unionKinds.indexOf(kind as UnionKind);
    const branch = node.branches[place];
    if (branch !== undefined) return locateIn(shape, branch, value, pointer);
    const kinds = unionKinds.filter((_, i) => node.branches[i] !== undefined).map((name) => wanted[name]);
    return mismatch(kinds.join(" or "), value, pointer);
  }
  if ((node.kind === "enum" ? "string" : node.kind) !== kind && !(node.kind === "null" && value === undefined)) {
    return mismatch(wanted[node.kind] ?? node.kind, value, pointer);
  }
  if (node.kind === "array") {
    return first(
      (value as readonly unknown[]).map((item, i) => () => locateIn(shape, node.items, item, `${pointer}/${i}`)),
    );
  }
  if (node.kind !== "object") return undefined;
  const members = value as Readonly<Record<string, unknown>>;
  const fields = node.fields.filter((field) => field.isRequired || memberOf(members, field.name) !== undefined);
  const declared = fields.map(
    (field) => () =>
      locateIn(shape, field.node, memberOf(members, field.name), `${pointer}/${escapePointer(field.name)}`),
  );
  const { rest } = node;
  if (rest === undefined) return first(declared);
  const names = Object.keys(members).filter((name) => !node.fields.some((field) => field.name === name));
  const others = names.map((name) => () => locateIn(shape, rest, members[name], `${pointer}/${escapePointer(name)}`));
  return first([...declared, ...others]);
}

function first(steps: readonly (() => PlinthError | undefined)[]): PlinthError | undefined {
  for (const step of steps) {
    const found = step();
    if (found) return found;
  }
  return undefined;
}

function kindNameOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value;
}

/** RFC 6901. */
function escapePointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
