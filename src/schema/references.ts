import type { JsonSchema } from "../base/index.ts";
import { unusable } from "./errors.ts";
import { schemaLists, schemaMaps, schemaSingles } from "./traversal.ts";

/** The reading of a `$ref`: the node it means, and the `$id` scope that node lives in. */
export interface Target {
  readonly node: JsonSchema | boolean;
  readonly resource: JsonSchema;
}

const nodesMax = 10_000;

/**
 * Finds what each `$ref` of a document means: JSON pointers, `$id`s, `$anchor`s, and the bare names that TypeBox's
 * `t.Ref("Name")` writes. References to other documents are refused; nothing is ever fetched.
 *
 * At most 10 000 nodes: a schema built of the same parts over and over can grow without end when it is written out.
 */
export function createReferences(root: JsonSchema): (ref: string, resource: JsonSchema, where: string) => Target {
  const named = new Map<string, Target>();
  const defs = new Map<string, Target>();
  let count = 0;

  function index(node: unknown, resource: JsonSchema, path: ReadonlySet<unknown>, where: string): void {
    if (typeof node !== "object" || node === null) return;
    if (path.has(node)) throw unusable(where, "contains itself as an object", "write a $ref (t.Cyclic) instead");
    if (++count > nodesMax) throw unusable("", "has more than 10000 parts", "name what repeats with t.Cyclic or $defs");
    const schema = node as JsonSchema;
    const inside = new Set(path).add(node);
    const id = schema.$id;
    const own = typeof id === "string" ? schema : resource;
    if (typeof id === "string") named.set(id, { node: schema, resource: own });
    const anchor = schema.$anchor;
    if (typeof anchor === "string") named.set(`#${anchor}`, { node: schema, resource: own });
    for (const [keyword, child] of Object.entries(schema)) {
      const place = `${where}/${keyword}`;
      if (schemaMaps.has(keyword) && typeof child === "object" && child !== null) {
        for (const [name, part] of Object.entries(child)) {
          index(part, own, inside, `${place}/${name}`);
          if (keyword === "$defs" && !defs.has(name)) defs.set(name, { node: part as JsonSchema, resource: own });
        }
      } else if (Array.isArray(child) && (schemaLists.has(keyword) || keyword === "items")) {
        for (let i = 0; i < child.length; i++) index(child[i], own, inside, `${place}/${i}`);
      } else if (schemaSingles.has(keyword)) {
        index(child, own, inside, place);
      }
    }
  }
  index(root, root, new Set(), "");

  return (ref, resource, where) => {
    const hash = ref.indexOf("#");
    const base = hash === -1 ? ref : ref.slice(0, hash);
    const fragment = hash === -1 ? "" : decodeURIComponent(ref.slice(hash + 1));
    const start = base === "" ? { node: resource, resource } : (named.get(base) ?? defs.get(base));
    const target =
      start === undefined
        ? undefined
        : fragment === ""
          ? start
          : fragment.startsWith("/")
            ? (follow(start, fragment) ?? (base === "" ? follow({ node: root, resource: root }, fragment) : undefined))
            : named.get(`#${fragment}`);
    if (target === undefined) {
      throw unusable(
        where,
        `refers to "${ref}", which is not in it`,
        "put the target under $defs and refer to #/$defs/NAME",
      );
    }
    return target;
  };
}

function follow(start: Target, pointer: string): Target | undefined {
  let node: unknown = start.node;
  let resource = start.resource;
  for (const part of pointer.slice(1).split("/")) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, key)) return undefined;
    node = (node as Record<string, unknown>)[key];
    if (typeof node === "object" && node !== null && typeof (node as JsonSchema).$id === "string") {
      resource = node as JsonSchema;
    }
  }
  if (typeof node !== "boolean" && (typeof node !== "object" || node === null || Array.isArray(node))) return undefined;
  return { node: node as JsonSchema | boolean, resource };
}
