import { depthMax, tooDeep } from "./errors.ts";
import type { Node, Shape } from "./shape.ts";
import { memberOf } from "./shape.ts";

/**
 * The value with declared members only. What does not fit the shape stays as it is: this serves the loose form, in which
 * two ages of a schema talk, and the validator decides there.
 */
export function prune(shape: Shape, value: unknown): unknown {
  return pruneNode(shape, shape.root, value, 0);
}

function pruneNode(shape: Shape, index: number, value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (depth > depthMax) throw tooDeep();
  const node = shape.nodes[index] as Node;
  if (node.kind === "union") {
    const branch = node.branches[Array.isArray(value) ? 5 : 6];
    return branch === undefined ? value : pruneNode(shape, branch, value, depth);
  }
  if (node.kind === "array" && Array.isArray(value)) {
    return value.map((item) => pruneNode(shape, node.items, item, depth + 1));
  }
  if (node.kind !== "object" || Array.isArray(value)) return value;
  return pruneObject(shape, node, value as Readonly<Record<string, unknown>>, depth + 1);
}

function pruneObject(
  shape: Shape,
  node: Node & { kind: "object" },
  value: Readonly<Record<string, unknown>>,
  depth: number,
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const field of node.fields) {
    const member = memberOf(value, field.name);
    if (member !== undefined) kept[field.name] = pruneNode(shape, field.node, member, depth);
  }
  if (node.rest === undefined) return kept;
  const names = new Set(node.fields.map((field) => field.name));
  for (const name of Object.keys(value)) {
    if (name === "__proto__" || names.has(name)) continue;
    kept[name] = pruneNode(shape, node.rest, value[name], depth);
  }
  return kept;
}
