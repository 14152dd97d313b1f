import { STATUS_CODES } from "node:http";
import type { ErrorCode, Executed, PlinthError } from "../base/index.ts";
import { HttpError } from "./http-error.ts";

/** Reasons whose status is finer than that of their code. */
const statusByReason: Readonly<Record<string, number>> = {
  // The body was understood, but breaks the schema (RFC 9110, 15.5.21).
  VALIDATION_FAILED: 422,
  // draft-ietf-httpapi-idempotency-key-header, 2.7.
  IDEMPOTENCY_KEY_REUSED: 422,
  // It is our callee that has no place left, not our caller that asked too often.
  BULKHEAD_FULL: 503,
};

/** The mapping of googleapis `google/rpc/code.proto`. */
const statusByCode: Readonly<Record<ErrorCode, number>> = {
  cancelled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
};

/** What a status says when there is nothing but the status. */
const codeByStatus: Readonly<Record<number, ErrorCode>> = {
  401: "unauthenticated",
  402: "failed_precondition",
  403: "permission_denied",
  404: "not_found",
  405: "unimplemented",
  408: "deadline_exceeded",
  409: "aborted",
  410: "not_found",
  412: "failed_precondition",
  416: "out_of_range",
  423: "failed_precondition",
  424: "failed_precondition",
  425: "unavailable",
  428: "failed_precondition",
  429: "resource_exhausted",
  499: "cancelled",
  501: "unimplemented",
  502: "unavailable",
  503: "unavailable",
  504: "deadline_exceeded",
  507: "resource_exhausted",
};

/** Answers that a server gives before it starts the work. */
const refusals: ReadonlySet<number> = new Set([
  400, 401, 403, 405, 406, 408, 411, 413, 414, 415, 417, 421, 422, 425, 426, 428, 429, 431, 501,
]);

/** RFC 9110's phrases where Node still has the older ones, and nginx's for a caller that went away. */
const newerPhrases: Readonly<Record<number, string>> = {
  413: "Content Too Large",
  422: "Unprocessable Content",
  499: "Client Closed Request",
};

/** The one HTTP status of an error, from 400 to 599. */
export function httpStatusOf(error: PlinthError): number {
  if (error instanceof HttpError) return error.status;
  return (Object.hasOwn(statusByReason, error.reason) && statusByReason[error.reason]) || statusByCode[error.code];
}

/** The closest code for a status; `unknown` for one that is no error. */
export function codeOfHttpStatus(status: number): ErrorCode {
  const code = codeByStatus[status];
  if (code) return code;
  if (status >= 400 && status < 500) return "invalid_argument";
  return status >= 500 && status < 600 ? "internal" : "unknown";
}

/** Whether a server that answers `status` can have done the work. */
export function executedOfHttpStatus(status: number): Executed {
  return refusals.has(status) ? "no" : "maybe";
}

/** "Not Found" for 404. */
export function httpPhrase(status: number): string {
  return newerPhrases[status] ?? STATUS_CODES[status] ?? (status < 500 ? "Request Failed" : "Server Failed");
}

/** The value of a `Retry-After` header: whole seconds, at least 1. Undefined when the error names no time. */
export function retryAfterOf(error: PlinthError): string | undefined {
  return typeof error.retry === "number" ? String(Math.max(1, Math.ceil(error.retry / 1000))) : undefined;
}

/** The longest wait that a `Retry-After` header is believed: an hour. */
const retryAfterMsMax = 3_600_000;

/** Milliseconds of a `Retry-After` header, a number of seconds or a date; undefined when it is neither. At most 1 h. */
export function parseRetryAfter(value: string | undefined, wallNowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,12}$/.test(text)) return Math.min(Number(text) * 1000, retryAfterMsMax);
  const atMs = /^[A-Z][a-z]{2}, \d{2} /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.min(Math.max(0, atMs - wallNowMs), retryAfterMsMax);
}
