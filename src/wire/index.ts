/** How values and errors look outside the program: HTTP statuses, problem details, binary values, frames. */
export type { Codec } from "./codec.ts";
export { compileCodec } from "./codec.ts";
export { beginFrame, endFrame, FrameReader, frameBytesMax } from "./frame.ts";
export { hopByHopHeaders } from "./hop-by-hop.ts";
export type { HttpErrorOptions } from "./http-error.ts";
export { HttpError } from "./http-error.ts";
export type { Problem, ProblemPlace, ProblemSource } from "./problem.ts";
export { fromProblem, problemContentType, stringifyProblem, toProblem } from "./problem.ts";
export { Reader } from "./reader.ts";
export {
  codeOfHttpStatus,
  executedOfHttpStatus,
  httpPhrase,
  httpStatusOf,
  parseRetryAfter,
  retryAfterOf,
} from "./status.ts";
export { readValue, writeValue } from "./value.ts";
export type { WireError } from "./wire-error.ts";
export { fromWireError, toWireError } from "./wire-error.ts";
export { Writer } from "./writer.ts";
