import type { JsonSchema } from "../../base/index.ts";

/**
 * A message that a schema describes, as good as one can be made without knowing what it means: defaults, first values of
 * enumerations, least numbers, shortest lists. Patterns are not solved: such a message may be refused as invalid, which
 * comes after access was decided.
 */
export function sampleMessage(schema: JsonSchema | null, depth = 0): unknown {
  if (schema === null || depth > depthMax) return {};
  const { default: given, const: constant, enum: choices, examples } = schema as Sampled;
  if (given !== undefined) return given;
  if (constant !== undefined) return constant;
  if (choices?.[0] !== undefined) return choices[0];
  if (examples?.[0] !== undefined) return examples[0];
  const variant = schema.anyOf?.[0] ?? schema.oneOf?.[0] ?? schema.allOf?.[0];
  if (variant) return sampleMessage(variant, depth + 1);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object":
      return sampleObject(schema, depth);
    case "array":
      return Array.from({ length: Math.min((schema as Sampled).minItems ?? 0, 10) }, () =>
        sampleMessage(typeof schema.items === "object" ? schema.items : null, depth + 1),
      );
    case "integer":
    case "number":
      return Math.ceil((schema as Sampled).minimum ?? 1);
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return sampleText(schema as Sampled);
  }
}

type Sampled = JsonSchema & {
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly minItems?: number;
  readonly minimum?: number;
  readonly minLength?: number;
};

const depthMax = 16;

const formats: Readonly<Record<string, string>> = {
  "date-time": "2026-01-01T00:00:00Z",
  date: "2026-01-01",
  time: "00:00:00Z",
  email: "someone@example.com",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
};

function sampleObject({ properties = {}, required = [] }: JsonSchema, depth: number): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const name of required) message[name] = sampleMessage(properties[name] ?? null, depth + 1);
  return message;
}

function sampleText({ format, minLength = 1 }: Sampled): string {
  return formats[format ?? ""] ?? "sample".padEnd(Math.min(minLength, 1000), "e");
}
