import type { JsonSchema } from "../base/index.ts";
import { unusable } from "./errors.ts";
import { createReferences } from "./references.ts";
import { schemaLists, schemaMaps, schemaSingles } from "./traversal.ts";

/**
 * The one form in which the rest of the house reads a schema: plain data of draft 2020-12, standing on its own. Every
 * `$ref` is `#` or `#/$defs/NAME`; `$id`, `$anchor`, `$schema` and `definitions` are gone; tuples are `prefixItems`;
 * `nullable` is a type; a record over every key is `additionalProperties`.
 *
 * In a native schema a property that has a `default` is not `required`: its absence is not a mistake.
 */
export function toNormalForm(source: unknown, native: boolean): JsonSchema {
  if (typeof source !== "object" || source === null || Array.isArray(source)) {
    throw unusable("", "is not an object", "build it with t, or give a Standard Schema that has JSON Schema");
  }
  const root = source as JsonSchema;
  const resolve = createReferences(root);
  const names = new Map<unknown, string>();
  const defs: Record<string, JsonSchema | boolean> = {};

  function refer(ref: string, resource: JsonSchema, where: string): string {
    const target = resolve(ref, resource, where);
    if (target.node === root) return "#";
    let name = names.get(target.node);
    if (name === undefined) {
      name = freeName(ref, defs);
      names.set(target.node, name);
      defs[name] = true;
      defs[name] = convert(target.node, target.resource, `/$defs/${name}`);
    }
    return `#/$defs/${name}`;
  }

  function convert(node: JsonSchema | boolean, outer: JsonSchema, where: string): JsonSchema | boolean {
    if (typeof node === "boolean") return node;
    if (typeof node !== "object" || node === null)
      throw unusable(where, "is not a schema", "write an object or a boolean");
    refuseForeignParts(node, where, native);
    const resource = typeof node.$id === "string" ? node : outer;
    const result: Record<string, unknown> = {};
    for (const [keyword, value] of Object.entries(node)) {
      if (value === undefined || dropped.has(keyword)) continue;
      const place = `${where}/${keyword}`;
      if (keyword === "$ref") result.$ref = refer(String(value), resource, where);
      else if (schemaMaps.has(keyword)) result[keyword] = convertMap(value, resource, place);
      else if (Array.isArray(value) && (schemaLists.has(keyword) || keyword === "items")) {
        result[keyword] = value.map((part, i) => convert(part, resource, `${place}/${i}`));
      } else if (schemaSingles.has(keyword)) result[keyword] = convert(value as JsonSchema, resource, place);
      else result[keyword] = plainValue(value, place);
    }
    if (Array.isArray(node.items)) {
      const rest = node.additionalItems as JsonSchema | boolean | undefined;
      if (node.items.length > 0) result.prefixItems = result.items;
      delete result.items;
      if (rest !== undefined) result.items = convert(rest, resource, `${where}/additionalItems`);
    }
    settle(result, native);
    return result as JsonSchema;
  }

  function convertMap(value: unknown, resource: JsonSchema, place: string): Record<string, unknown> {
    if (typeof value !== "object" || value === null) throw unusable(place, "is not an object", "map names to schemas");
    const result: Record<string, unknown> = {};
    for (const [name, part] of Object.entries(value)) {
      if (name === "__proto__") throw unusable(place, "declares a field named __proto__", "give it another name");
      result[name] = convert(part as JsonSchema, resource, `${place}/${name}`);
    }
    return result;
  }

  const result = convert(root, root, "") as Record<string, unknown>;
  if (Object.keys(defs).length > 0) result.$defs = defs;
  return result as JsonSchema;
}

const dropped: ReadonlySet<string> = new Set(["$schema", "$id", "$anchor", "$defs", "definitions", "additionalItems"]);
const jsonTypes: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean", "null", "object", "array"]);

/** TypeBox can say more than JSON Schema. What a checker would silently pass over is refused. */
function refuseForeignParts(node: JsonSchema, where: string, native: boolean): void {
  for (const keyword of ["$dynamicRef", "$recursiveRef"]) {
    if (keyword in node) throw unusable(where, `uses ${keyword}`, "use $ref");
  }
  if (!native) return;
  if ("~refine" in node) {
    throw unusable(
      where,
      "has a t.Refine check, which JSON Schema cannot carry",
      "use keywords such as pattern, or zod",
    );
  }
  if ("~codec" in node) {
    throw unusable(where, "has a t.Codec, which JSON Schema cannot carry", "convert in the handler, or use zod");
  }
  const types = Array.isArray(node.type) ? node.type : node.type === undefined ? [] : [node.type];
  for (const type of types) {
    if (jsonTypes.has(type)) continue;
    throw unusable(
      where,
      `has the type "${String(type)}", which is not JSON`,
      typeRemedies[String(type)] ?? "use a JSON type",
    );
  }
}

const typeRemedies: Readonly<Record<string, string>> = {
  bigint: "use t.Integer() up to 2^53, or t.String()",
  undefined: "use t.Optional(…) or t.Null()",
  void: "use t.Null() or t.Object({})",
  Date: 'use t.String({ format: "date-time" })',
};

/** The last touches to one node, once its parts are done. */
function settle(node: Record<string, unknown>, native: boolean): void {
  if (node.nullable === true && node.type !== undefined) {
    node.type = [...new Set([node.type, "null"].flat())];
  }
  delete node.nullable;
  const patterns = node.patternProperties as Record<string, unknown> | undefined;
  if (patterns !== undefined && node.additionalProperties === undefined && Object.keys(patterns).length === 1) {
    const every = patterns["^.*$"] ?? patterns["^(.*)$"];
    if (every !== undefined) {
      delete node.patternProperties;
      node.additionalProperties = every;
    }
  }
  if (native && Array.isArray(node.required)) {
    const properties = (node.properties ?? {}) as Record<string, JsonSchema>;
    const required = node.required.filter((name) => properties[String(name)]?.default === undefined);
    if (required.length > 0) node.required = required;
    else delete node.required;
  }
}

function freeName(ref: string, taken: Record<string, unknown>): string {
  const last = ref.slice(Math.max(ref.lastIndexOf("/"), ref.lastIndexOf("#")) + 1);
  const name = last.replaceAll(/[^A-Za-z0-9_.-]/g, "_") || "Schema";
  if (!Object.hasOwn(taken, name) && name !== "__proto__") return name;
  let suffix = 2;
  while (Object.hasOwn(taken, `${name}${suffix}`)) suffix++;
  return `${name}${suffix}`;
}

/** A keyword's own value: const, enum, default, limits, annotations. A fresh copy, so that nobody can change it later. */
function plainValue(value: unknown, where: string): unknown {
  if (typeof value === "bigint") return Number(value);
  if (
    typeof value === "function" ||
    typeof value === "symbol" ||
    (typeof value === "number" && !Number.isFinite(value))
  ) {
    throw unusable(where, "is not JSON", "write a plain value");
  }
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof RegExp) return value.source;
  try {
    return structuredClone(value);
  } catch (cause) {
    throw unusable(where, "is not JSON", "write plain data", cause);
  }
}
