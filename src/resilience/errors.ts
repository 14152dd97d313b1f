import { PlinthError } from "../base/index.ts";

/**
 * The reasons that this room raises:
 *
 * - `CIRCUIT_OPEN` (unavailable): the callee failed too often and is left alone for a while. Repair the callee.
 * - `BULKHEAD_FULL` (resource_exhausted): too many calls to this callee are running. Make it faster, add instances, or
 *   raise `concurrentMax` if it can bear more.
 * - `OVERLOADED` (unavailable): the process has more to do than it can. Add processes, or do less for a request.
 * - `TOO_SLOW` (unavailable): an engine did not answer within its time limit.
 * - `DEADLINE_EXCEEDED`, or the reason the caller gave for going away: time is over.
 */
export function circuitOpen(name: string, retryMs: number): PlinthError {
  return new PlinthError("unavailable", `"${name}" has failed too often and is being left alone for a moment.`, {
    reason: "CIRCUIT_OPEN",
    retry: Math.max(1, Math.ceil(retryMs)),
    executed: "no",
  });
}

export function bulkheadFull(name: string, concurrentMax: number): PlinthError {
  return new PlinthError("resource_exhausted", `Too many calls to "${name}" are running (limit ${concurrentMax}).`, {
    reason: "BULKHEAD_FULL",
    retry: 1000,
    executed: "no",
  });
}

/**
 * The process has more to do than it can. Nothing was executed, and no policy of ours asks again: that would make it
 * worse. Made once, since it tells nothing of its occurrence.
 */
export const overloaded = new PlinthError("unavailable", "The server has more to do than it can. Try again later.", {
  reason: "OVERLOADED",
  retry: "never",
  executed: "no",
});

/**
 * True for a failure that the callee had from others and lets through: its handler ran (`executed: "yes"`), and it says
 * that the call is not to be repeated at once, which a handler that speaks for itself does not.
 */
export function isPassedOn(error: PlinthError): boolean {
  return error.executed === "yes" && error.retry !== "safe";
}

/** The same refusal, for a call that never began. */
export function notExecuted(reason: PlinthError): PlinthError {
  if (reason.executed === "no") return reason;
  return withChanges(reason, { executed: "no" });
}

/** The same error with another word on what happened, or on whether to try again. The original is its cause. */
export function withChanges(
  error: PlinthError,
  changes: Partial<Pick<PlinthError, "executed" | "retry">>,
): PlinthError {
  return new PlinthError(error.code, error.message, {
    reason: error.reason,
    retry: changes.retry ?? error.retry,
    executed: changes.executed ?? error.executed,
    cause: error,
    ...(error.details && { details: error.details }),
    ...(error.detail !== undefined && { detail: error.detail }),
  });
}
