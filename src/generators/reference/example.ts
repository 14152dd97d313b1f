import type { JsonSchema } from "../../base/index.ts";

const byFormat: Readonly<Record<string, string>> = {
  email: "ada@example.com",
  date: "2026-01-31",
  "date-time": "2026-01-31T12:00:00Z",
  uuid: "0190b8f0-0000-7000-8000-000000000000",
  uri: "https://example.com",
};

const depthMax = 8;

/** A value of the schema, for documents: its own example or default where it has one. Pure; the same for the same schema. */
export function exampleOf(schema: JsonSchema, depth = 0): unknown {
  const { examples } = schema as { readonly examples?: readonly unknown[] };
  if (examples && examples.length > 0) return examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const option = schema.anyOf?.[0] ?? schema.oneOf?.[0] ?? schema.allOf?.[0];
  if (option) return exampleOf(option, depth + 1);
  if (depth > depthMax) return null;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name]) => schema.required?.includes(name))
          .map(([name, field]) => [name, exampleOf(field, depth + 1)]),
      );
    case "array":
      return typeof schema.items === "object" ? [exampleOf(schema.items, depth + 1)] : [];
    case "integer":
    case "number":
      return typeof schema.minimum === "number" ? schema.minimum : 1;
    case "boolean":
      return true;
    case "null":
      return null;
    default:
      return byFormat[schema.format ?? ""] ?? "x".repeat(typeof schema.minLength === "number" ? schema.minLength : 1);
  }
}
