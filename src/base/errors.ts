/**
 * One error class for everything that a caller can be told.
 *
 * An error has a `code` (the sixteen gRPC codes, a closed list), a `reason` (stable, UPPER_SNAKE, unique in its
 * service: what a program switches on), a `message` that the caller may read, and a `cause` and `detail` that only the
 * log sees. `retry` says whether trying again can help, `executed` whether the work may have happened.
 *
 * Nothing here knows HTTP: only the `wire` room does.
 */

/** The sixteen non-OK codes of gRPC, in lower snake case (grpc/grpc `doc/statuscodes.md`). */
export const errorCodes = [
  "cancelled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** `never`: the same call will fail again. `safe`: it may succeed at once. A number: after that many milliseconds. */
export type Retry = "never" | "safe" | number;

/** Whether the handler ran. `maybe` is the honest answer when a reply was lost. */
export type Executed = "no" | "maybe" | "yes";

export interface ErrorOptions {
  /** UPPER_SNAKE, unique in its service. Default: the code in upper case. */
  reason?: string;
  /** What the caller may read besides the message: violations, limits. Plain JSON. */
  details?: Readonly<Record<string, unknown>>;
  /** For the log only. */
  detail?: unknown;
  cause?: unknown;
  retry?: Retry;
  executed?: Executed;
}

const codeSet: ReadonlySet<string> = new Set(errorCodes);

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && codeSet.has(value);
}

export class PlinthError extends Error {
  override readonly name = "PlinthError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly detail: unknown;
  readonly retry: Retry;
  readonly executed: Executed;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = options.reason ?? code.toUpperCase();
    this.details = options.details;
    this.detail = options.detail;
    this.retry = options.retry ?? (code === "unavailable" || code === "aborted" ? "safe" : "never");
    this.executed = options.executed ?? "maybe";
  }
}

/** A short way to write `new PlinthError`. */
export function error(code: ErrorCode, message: string, options?: ErrorOptions): PlinthError {
  return new PlinthError(code, message, options);
}

/**
 * Turns whatever was thrown into one of ours, once, at the edge where it enters. A foreign error becomes `internal` with
 * a message that gives nothing away; the original stays in `cause` for the log.
 */
export function toPlinthError(thrown: unknown): PlinthError {
  if (thrown instanceof PlinthError) return thrown;
  return new PlinthError("internal", "Something went wrong on our side.", { cause: thrown });
}

/** True when `thrown` is a PlinthError, of the given code or reason if one is named. */
export function isError(thrown: unknown, codeOrReason?: string): thrown is PlinthError {
  if (!(thrown instanceof PlinthError)) return false;
  return codeOrReason === undefined || thrown.code === codeOrReason || thrown.reason === codeOrReason;
}

/**
 * A wrong program: a definition, an option or a setting that cannot work. It stops the start, never a request. The
 * message names where, what and the remedy.
 */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly reason: string;
  /** One line for each thing that is wrong. */
  readonly problems: readonly string[];

  constructor(reason: string, problems: string | readonly string[], options?: { cause?: unknown }) {
    const list = typeof problems === "string" ? [problems] : problems;
    super(list.join("\n"), options);
    this.reason = reason;
    this.problems = list;
  }
}
