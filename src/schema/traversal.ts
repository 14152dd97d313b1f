import type { JsonSchema } from "../base/index.ts";

/** The keywords that hold schemas, by how they hold them: by name, in a list, alone. */
export const schemaMaps: ReadonlySet<string> = new Set([
  "properties",
  "patternProperties",
  "$defs",
  "definitions",
  "dependentSchemas",
]);
export const schemaLists: ReadonlySet<string> = new Set(["anyOf", "oneOf", "allOf", "prefixItems"]);
export const schemaSingles: ReadonlySet<string> = new Set([
  "items",
  "additionalProperties",
  "unevaluatedProperties",
  "unevaluatedItems",
  "contains",
  "propertyNames",
  "not",
  "if",
  "then",
  "else",
]);

/** Visits a schema in normal form and every schema inside it, with its pointer ("#", "#/properties/id"). */
export function eachPart(root: unknown, visit: (node: JsonSchema, pointer: string) => void, pointer = "#"): void {
  if (typeof root !== "object" || root === null) return;
  const node = root as JsonSchema;
  visit(node, pointer);
  for (const [keyword, value] of Object.entries(node)) {
    const place = `${pointer}/${keyword}`;
    if (schemaSingles.has(keyword)) {
      eachPart(value, visit, place);
    } else if (schemaLists.has(keyword) && Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) eachPart(value[i], visit, `${place}/${i}`);
    } else if (schemaMaps.has(keyword) && typeof value === "object" && value !== null) {
      for (const [name, part] of Object.entries(value)) eachPart(part, visit, place + pointerStep(name));
    }
  }
}

/** What a pointer within a schema means; undefined when there is nothing. */
export function resolvePointer(root: JsonSchema, pointer: string): JsonSchema | boolean | undefined {
  let node: unknown = root;
  for (const step of pointer.split("/").slice(1)) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, key)) return undefined;
    node = (node as Record<string, unknown>)[key];
  }
  return typeof node === "boolean" || (typeof node === "object" && node !== null) ? (node as JsonSchema) : undefined;
}

/** A member or index as one step of a JSON Pointer (RFC 6901). */
export function pointerStep(key: PropertyKey): string {
  return `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
