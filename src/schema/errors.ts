import { error, type PlinthError, StartError } from "../base/index.ts";
import type { Violation } from "./violation.ts";

/*
 * The reasons this room can raise.
 *
 * SCHEMA_UNUSABLE    at start: the schema cannot describe JSON. The message says where in the schema, and what to write instead.
 * VALIDATION_FAILED  invalid_argument: the value breaks its schema. `details.violations` lists how. Trying again does not help.
 * VALUE_TOO_DEEP     invalid_argument: data is nested deeper than 64 levels where the schema does not bound the depth.
 * SCHEMA_ASYNC       internal: a foreign schema turned out to validate asynchronously. Make its refinements synchronous.
 */

/** The definition cannot work. `where` is a place in the schema ("/properties/id"), "" for its root. */
export function unusable(where: string, problem: string, remedy: string, cause?: unknown): StartError {
  const place = where === "" ? "the schema" : `the schema at ${where}`;
  return new StartError(
    "SCHEMA_UNUSABLE",
    `${place} ${problem}: ${remedy}`,
    cause === undefined ? undefined : { cause },
  );
}

export function validationFailed(violations: readonly Violation[]): PlinthError {
  const first = violations[0];
  const what = first === undefined ? "it breaks its schema" : `${first.pointer || "the value"} ${first.message}`;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  return error("invalid_argument", `The data is not valid: ${what}${more}.`, {
    reason: "VALIDATION_FAILED",
    details: { violations },
    executed: "no",
  });
}

export function tooDeep(): PlinthError {
  return error("invalid_argument", "The data is nested deeper than 64 levels.", {
    reason: "VALUE_TOO_DEEP",
    details: { depthMax: 64 },
    executed: "no",
  });
}

export function asynchronous(vendor: string): PlinthError {
  return error("internal", "Something went wrong on our side.", {
    reason: "SCHEMA_ASYNC",
    detail: `a ${vendor} schema validated asynchronously: make its refinements and transforms synchronous`,
    executed: "no",
  });
}
