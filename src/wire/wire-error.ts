import type { ErrorCode, Executed, Retry } from "../base/index.ts";
import { isErrorCode, PlinthError, toPlinthError } from "../base/index.ts";

/** An error as plain JSON for other processes of ours: what the caller may know, never `cause` or `detail`. */
export interface WireError {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retry: Retry;
  readonly executed: Executed;
}

/** Takes whatever was thrown. What is not ours becomes `internal`, without its words. */
export function toWireError(thrown: unknown): WireError {
  const error = toPlinthError(thrown);
  const fields = { code: error.code, reason: error.reason, message: error.message };
  const rest = { retry: error.retry, executed: error.executed };
  return error.details ? { ...fields, details: error.details, ...rest } : { ...fields, ...rest };
}

/** Takes anything a peer may send; what is missing or of the wrong type gets the default of its code. */
export function fromWireError(value: unknown): PlinthError {
  const given = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const code = isErrorCode(given.code) ? given.code : "unknown";
  const message = typeof given.message === "string" ? given.message : "The called service failed.";
  const details = given.details;
  return new PlinthError(code, message, {
    ...(typeof given.reason === "string" && given.reason !== "" ? { reason: given.reason } : {}),
    ...(isRetry(given.retry) ? { retry: given.retry } : {}),
    ...(isExecuted(given.executed) ? { executed: given.executed } : {}),
    ...(isPlainRecord(details) ? { details } : {}),
  });
}

function isRetry(value: unknown): value is Retry {
  return value === "never" || value === "safe" || (typeof value === "number" && value >= 0 && Number.isFinite(value));
}

function isExecuted(value: unknown): value is Executed {
  return value === "no" || value === "maybe" || value === "yes";
}

function isPlainRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
