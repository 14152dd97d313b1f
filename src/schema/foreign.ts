import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { asynchronous, unusable } from "./errors.ts";
import { pointerStep } from "./traversal.ts";
import { type Violation, violationsMax } from "./violation.ts";

/**
 * A schema of another library that speaks Standard Schema, and can tell its JSON Schema: zod from 4.2, arktype from
 * 2.1.28, valibot through `toStandardJsonSchema` of @valibot/to-json-schema.
 */
export interface ForeignSchema<Input = unknown, Output = Input> {
  readonly "~standard": StandardSchemaV1.Props<Input, Output> & StandardJSONSchemaV1.Props<Input, Output>;
}

export function isForeign(schema: unknown): schema is ForeignSchema {
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return false;
  return "~standard" in schema && typeof schema["~standard"] === "object" && schema["~standard"] !== null;
}

/** Its JSON Schema. Refuses what has none; "output" may have none where "input" has (a transform). */
export function foreignJsonSchema(schema: ForeignSchema, side: "input" | "output"): Record<string, unknown> {
  const standard = schema["~standard"];
  const convert = standard.jsonSchema?.[side];
  if (typeof convert !== "function") {
    const remedy = remedies[standard.vendor] ?? "use a version of it that has ~standard.jsonSchema, or write it with t";
    throw unusable("", `(${standard.vendor}) has no JSON Schema`, remedy);
  }
  try {
    return convert({ target: "draft-2020-12" });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const remedy = "use types that JSON has; give a transform a described result (zod: .pipe(z.number()))";
    throw unusable("", `(${standard.vendor}) has no JSON Schema for its ${side} (${message})`, remedy, cause);
  }
}

const remedies: Readonly<Record<string, string>> = {
  valibot: "wrap it in toStandardJsonSchema() of @valibot/to-json-schema",
  zod: "use zod 4.2 or later",
};

/** Asks once, with undefined, whether it answers at once. Many asynchronous schemas show here; the others at first use. */
export function refuseAsync(schema: ForeignSchema): void {
  let answer: unknown;
  try {
    answer = schema["~standard"].validate(undefined);
  } catch {
    return;
  }
  if (!(answer instanceof Promise)) return;
  answer.catch(() => {});
  throw unusable(
    "",
    `(${schema["~standard"].vendor}) validates asynchronously`,
    "keep its refinements and transforms synchronous, and ask databases and networks in the handler",
  );
}

/** The outcome of its own validation. Throws SCHEMA_ASYNC if that turns out to need waiting for. */
export function foreignValidate(schema: ForeignSchema, value: unknown): StandardSchemaV1.Result<unknown> {
  const answer = schema["~standard"].validate(value);
  if (!(answer instanceof Promise)) return answer;
  answer.catch(() => {});
  throw asynchronous(schema["~standard"].vendor);
}

export function foreignViolations(issues: readonly StandardSchemaV1.Issue[]): Violation[] {
  return issues.slice(0, violationsMax).map((issue) => ({
    pointer: (issue.path ?? []).map((step) => pointerStep(typeof step === "object" ? step.key : step)).join(""),
    message: issue.message,
    keyword: checkName(issue),
  }));
}

/** zod calls it `code`, valibot `type`; the standard has no word for it. */
function checkName(issue: StandardSchemaV1.Issue & { code?: unknown; type?: unknown }): string {
  if (typeof issue.code === "string") return issue.code;
  return typeof issue.type === "string" ? issue.type : "custom";
}
