/** How values and errors look outside the program: HTTP statuses, problem details, binary values, frames. */
export type { HttpErrorOptions } from "./http-error.ts";
export { HttpError } from "./http-error.ts";
export type { Problem, ProblemPlace, ProblemSource } from "./problem.ts";
export { fromProblem, problemContentType, stringifyProblem, toProblem } from "./problem.ts";
export {
  codeOfHttpStatus,
  executedOfHttpStatus,
  httpPhrase,
  httpStatusOf,
  parseRetryAfter,
  retryAfterOf,
} from "./status.ts";
export type { WireError } from "./wire-error.ts";
export { fromWireError, toWireError } from "./wire-error.ts";
