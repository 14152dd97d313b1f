import type { ErrorCode, ErrorOptions } from "../base/index.ts";
import { error, PlinthError } from "../base/index.ts";

/**
 * What can go wrong in a database, in our words. Foreign errors become ours once, in the driver, by their SQLSTATE
 * (PostgreSQL documentation, appendix A). The text of the statement, its values and the server's own words go to
 * `detail` and `cause`, which only the log sees.
 *
 * | reason | code | executed | what to do |
 * |---|---|---|---|
 * | UNIQUE_VIOLATION | already_exists | no | the row is there; `constraintOf` names the constraint |
 * | FOREIGN_KEY_VIOLATION, CHECK_VIOLATION, EXCLUSION_VIOLATION, RESTRICT_VIOLATION | failed_precondition | no | – |
 * | NOT_NULL_VIOLATION, VALUE_INVALID | invalid_argument | no | – |
 * | VALUE_OUT_OF_RANGE | out_of_range | no | – |
 * | SERIALIZATION_FAILURE, DEADLOCK, LOCK_NOT_AVAILABLE | aborted | no | try again; `transaction` does so itself |
 * | RAISED_EXCEPTION | failed_precondition | no | a trigger or function of yours raised it |
 * | STATEMENT_TIMEOUT, STATEMENT_CANCELLED | deadline_exceeded, cancelled | no, or maybe when unconfirmed | – |
 * | DATABASE_BUSY | resource_exhausted | no | no session in time: shorter transactions, fewer callers, a larger pool |
 * | DATABASE_EXHAUSTED | resource_exhausted | no | the server is out of connections, memory or disk |
 * | DATABASE_UNAVAILABLE | unavailable | maybe; no when nothing was sent | try again |
 * | DATABASE_READ_ONLY | unavailable | no | a replica, or a failover: the session is thrown away |
 * | READ_ONLY_TRANSACTION | failed_precondition | no | a write in a transaction that was opened read-only |
 * | TRANSACTION_ENDED, TRANSACTION_NOT_AWAITED, TRANSACTION_NESTED_OPEN | internal | no | a forgotten `await`, or the wrong handle |
 * | TRANSACTION_FAILED, TRANSACTION_ROLLED_BACK | aborted | no | a statement failed earlier and its error was swallowed |
 * | TRANSACTION_IDLE | aborted | no | a transaction waited too long between two statements |
 * | COMMIT_OUTCOME_UNKNOWN | unknown | maybe | the connection went during COMMIT: give the transaction a key (commit-key.ts) |
 * | COMMIT_LOST | aborted | no | as above, and it is known that nothing was done: try again |
 * | COMMIT_KEY_USED | already_exists | no | a transaction with this key has committed: the work was done before |
 * | COMMIT_KEY_INVALID, COMMIT_KEYS_MISSING | invalid_argument, internal | no | 1 to 255 characters; run `migrate` first |
 * | SQL_INVALID, SQL_VALUE_UNSUPPORTED, DATABASE_FORBIDDEN, DATABASE_ERROR | internal | no | a mistake in our statement, rights or server |
 * | DATA_CORRUPTED | data_loss | no | the server found damaged data |
 */
export interface DatabaseDetail {
  readonly sqlState?: string | undefined;
  readonly constraint?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  /** The server's message, and its longer text. Both can hold values. */
  readonly message?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: string | undefined;
  readonly text?: string | undefined;
}

type Rule = readonly [code: ErrorCode, reason: string, message: string, options?: ErrorOptions];

const no: ErrorOptions = { executed: "no" };
const unavailable: Rule = ["unavailable", "DATABASE_UNAVAILABLE", "The database cannot be reached."];
const exhausted: Rule = ["resource_exhausted", "DATABASE_EXHAUSTED", "The database is out of room for more work.", no];
const sqlInvalid: Rule = ["internal", "SQL_INVALID", "Something went wrong on our side.", no];

const rules: Readonly<Record<string, Rule>> = {
  "23505": ["already_exists", "UNIQUE_VIOLATION", "This already exists.", no],
  "23503": ["failed_precondition", "FOREIGN_KEY_VIOLATION", "Something that this refers to is missing or in use.", no],
  "23502": ["invalid_argument", "NOT_NULL_VIOLATION", "A required value is missing.", no],
  "23514": ["failed_precondition", "CHECK_VIOLATION", "A value breaks a rule of the data.", no],
  "23P01": ["failed_precondition", "EXCLUSION_VIOLATION", "This conflicts with something that exists.", no],
  "23001": ["failed_precondition", "RESTRICT_VIOLATION", "Something still refers to this.", no],
  "22003": ["out_of_range", "VALUE_OUT_OF_RANGE", "A number is out of range.", no],
  "22008": ["out_of_range", "VALUE_OUT_OF_RANGE", "A date or time is out of range.", no],
  "22": ["invalid_argument", "VALUE_INVALID", "A value has the wrong form.", no],
  "25006": ["unavailable", "DATABASE_READ_ONLY", "The database takes no writes at the moment.", no],
  "25P02": [
    "aborted",
    "TRANSACTION_FAILED",
    "An earlier statement of this transaction failed.",
    { ...no, retry: "never" },
  ],
  "25P03": [
    "aborted",
    "TRANSACTION_IDLE",
    "The transaction waited too long between two statements.",
    { ...no, retry: "never" },
  ],
  "25P04": ["deadline_exceeded", "STATEMENT_TIMEOUT", "The transaction took too long.", no],
  "28": ["unavailable", "DATABASE_UNAVAILABLE", "The database cannot be reached.", { ...no, retry: "never" }],
  "40001": ["aborted", "SERIALIZATION_FAILURE", "Somebody changed the same data at the same time.", no],
  "40003": ["unknown", "COMMIT_OUTCOME_UNKNOWN", "Whether this took effect is not known.", { retry: "never" }],
  "40P01": ["aborted", "DEADLOCK", "Somebody changed the same data at the same time.", no],
  "40": ["aborted", "SERIALIZATION_FAILURE", "The transaction was rolled back.", no],
  "42501": ["internal", "DATABASE_FORBIDDEN", "Something went wrong on our side.", no],
  "53": exhausted,
  "54": ["internal", "SQL_INVALID", "Something went wrong on our side.", no],
  "55P03": ["aborted", "LOCK_NOT_AVAILABLE", "The data is in use.", no],
  "57014": ["deadline_exceeded", "STATEMENT_TIMEOUT", "The database took too long.", no],
  "57P01": unavailable,
  "57P02": unavailable,
  "57P03": [...unavailable.slice(0, 3), no] as unknown as Rule,
  "57P05": unavailable,
  "58": unavailable,
  "08": unavailable,
  "0A": sqlInvalid,
  "3D": sqlInvalid,
  "3F": sqlInvalid,
  "42": sqlInvalid,
  P0001: ["failed_precondition", "RAISED_EXCEPTION", "The database refused this.", no],
  XX001: ["data_loss", "DATA_CORRUPTED", "Something went wrong on our side.", no],
  XX002: ["data_loss", "DATA_CORRUPTED", "Something went wrong on our side.", no],
};

const otherwise: Rule = ["internal", "DATABASE_ERROR", "Something went wrong on our side.", no];

/** Node's names for a connection that failed or went. */
const networkCodes = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "ENOENT"]);
for (const code of ["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ECONNABORTED", "EHOSTDOWN"]) networkCodes.add(code);

/** One of ours from whatever an engine's client threw while it ran `text`. */
export function toDatabaseError(thrown: unknown, text?: string): PlinthError {
  if (thrown instanceof PlinthError) return thrown;
  const fields = (typeof thrown === "object" && thrown !== null ? thrown : {}) as Readonly<Record<string, unknown>>;
  const state = typeof fields.code === "string" ? fields.code : "";
  const message = typeof fields.message === "string" ? fields.message : String(thrown);
  let rule = otherwise;
  if (/^[0-9A-Z]{5}$/.test(state) && !networkCodes.has(state))
    rule = rules[state] ?? rules[state.slice(0, 2)] ?? otherwise;
  else if (
    networkCodes.has(state) ||
    /connection terminated|connection error|not queryable|timeout expired|closed/i.test(message)
  )
    rule = unavailable;
  const [code, reason, publicMessage, options] = rule;
  const detail: DatabaseDetail = {
    sqlState: state || undefined,
    constraint: word(fields.constraint),
    table: word(fields.table),
    column: word(fields.column),
    message,
    detail: word(fields.detail),
    hint: word(fields.hint),
    position: word(fields.position),
    text,
  };
  return error(code, publicMessage, { ...options, reason, detail, cause: thrown });
}

function word(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The same error with another answer to whether the work was done. */
export function withExecuted(known: PlinthError, executed: "no" | "maybe"): PlinthError {
  if (known.executed === executed) return known;
  const { code, message, reason, details, detail, retry } = known;
  return error(code, message, { reason, ...(details ? { details } : {}), detail, retry, executed, cause: known.cause });
}

export function databaseDetail(thrown: unknown): DatabaseDetail | undefined {
  return thrown instanceof PlinthError ? (thrown.detail as DatabaseDetail | undefined) : undefined;
}

/** The constraint that a write broke, to tell one unique index from another. */
export function constraintOf(thrown: unknown): string | undefined {
  const detail = databaseDetail(thrown);
  return typeof detail === "object" && detail !== null ? detail.constraint : undefined;
}

/** True for the two failures that a new try of the whole transaction can cure at once. */
export function isConflict(thrown: unknown): boolean {
  return thrown instanceof PlinthError && (thrown.reason === "SERIALIZATION_FAILURE" || thrown.reason === "DEADLOCK");
}

/** True when the session on which this happened must not be used again. */
export function breaksSession(thrown: PlinthError): boolean {
  return thrown.executed === "maybe" || thrown.code === "unavailable" || thrown.reason === "TRANSACTION_IDLE";
}

/** No session in time, or no room in the queue. */
export function databaseBusy(name: string, waitedMs: number, waiting: number, size: number): PlinthError {
  return error("resource_exhausted", "The database is busy.", {
    reason: "DATABASE_BUSY",
    executed: "no",
    detail: {
      message:
        `${name}: no session after ${Math.round(waitedMs)} ms; ${size} in use, ${waiting} callers wait. A transaction ` +
        "that calls another service, or uses the database beside its own handle, waits for itself.",
    },
  });
}
