import { parseDuration } from "../base/index.ts";
import { keepMsDefault } from "../events/index.ts";
import type { Keyed } from "./keyed.ts";
import type { AnyMethod } from "./method.ts";

/** What was decided about the keys of a method. */
export interface KeyPlan {
  readonly isRequired: boolean;
  readonly keepMs: number;
}

const keepMsMin = 1_000;
const keepMsMax = 30 * 86_400_000;

export function compileKeyPlan(
  definition: AnyMethod,
  id: string,
  verb: string | undefined,
  problems: string[],
): KeyPlan | undefined {
  if (definition.kind !== "unary") return undefined;
  const { idempotent, response, cache } = definition.options;
  if (idempotent === undefined || typeof idempotent === "boolean") return undefined;
  const problem = (text: string) => problems.push(`${id}: idempotent: ${text}`);
  const { key, keep = keepMsDefault }: Keyed = idempotent === "keyed" ? { key: "optional" } : idempotent;
  if (key !== "optional" && key !== "required") {
    problem(`${JSON.stringify(idempotent)} cannot be; write true, false, "keyed", or { key: "required" }.`);
  }
  const keepMs = parseDuration(keep);
  if (keepMs === undefined || keepMs < keepMsMin || keepMs > keepMsMax) {
    problem(`keep ${JSON.stringify(keep)} cannot be; give "1s" to "30d", such as "24h".`);
  }
  if (verb === "GET" || verb === "HEAD") {
    problem(`${verb} changes nothing, so it needs no key; leave it out.`);
  }
  if (cache) problem(`an answer that is kept for its key is not cached as well; leave out this or "cache".`);
  if (response && JSON.stringify(response).includes('"x-plinth":"bytes"')) {
    problem("an answer with t.Bytes() cannot be kept; answer with text.");
  }
  return { isRequired: key === "required", keepMs: keepMs ?? keepMsDefault };
}

/** Errors that every method with keys may answer, besides its own. */
export const keyErrors: ReadonlyMap<string, string> = new Map([
  ["IDEMPOTENCY_KEY_REUSED", "invalid_argument"],
  ["IDEMPOTENCY_IN_PROGRESS", "aborted"],
]);
export const requiredKeyErrors: ReadonlyMap<string, string> = new Map([
  ["IDEMPOTENCY_KEY_MISSING", "invalid_argument"],
  ...keyErrors,
]);
