import { PlinthError } from "../base/index.ts";

/** How deep a chain of causes is followed, and how many errors of one `AggregateError` are shown. */
export const causeDepthMax = 8;
export const aggregateCountMax = 10;
const stackLengthMax = 8192;

/**
 * An error as plain data for the log, with the chain of its causes. Also what the caller is never told: `detail`,
 * causes, stacks. A thrown value that is no error is shown as what it is.
 */
export function errorFields(thrown: unknown): Record<string, unknown> {
  return fieldsOf(thrown, 0, new Set());
}

function fieldsOf(thrown: unknown, depth: number, seen: Set<unknown>): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: describe(thrown) };
  if (seen.has(thrown)) return { type: thrown.name, message: "[the same error again]" };
  seen.add(thrown);

  const fields: Record<string, unknown> = { type: thrown.constructor?.name || thrown.name, message: thrown.message };
  if (thrown instanceof PlinthError) {
    fields.code = thrown.code;
    fields.reason = thrown.reason;
    fields.retry = thrown.retry;
    fields.executed = thrown.executed;
    if (thrown.details !== undefined) fields.details = thrown.details;
    if (thrown.detail !== undefined) fields.detail = thrown.detail;
  } else {
    const { code, reason } = thrown as { code?: unknown; reason?: unknown };
    if (typeof code === "string" || typeof code === "number") fields.code = code;
    if (typeof reason === "string") fields.reason = reason;
  }
  if (typeof thrown.stack === "string") fields.stack = thrown.stack.slice(0, stackLengthMax);

  const deeper = depth + 1;
  if (thrown.cause !== undefined) {
    fields.cause = deeper < causeDepthMax ? fieldsOf(thrown.cause, deeper, seen) : { message: "[more causes]" };
  }
  if (thrown instanceof AggregateError && deeper < causeDepthMax) {
    fields.errors = thrown.errors.slice(0, aggregateCountMax).map((one) => fieldsOf(one, deeper, seen));
  }
  return fields;
}

function describe(value: unknown): string {
  try {
    return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
  } catch {
    return "[unreadable]";
  }
}
