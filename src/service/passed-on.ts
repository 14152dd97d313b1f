import { error, PlinthError } from "../base/index.ts";

/**
 * Failures of others. What comes out of a client is noted here, so that a service which lets it through can say that it
 * is well itself: otherwise one sick service would open the breaker of every service that calls it, and of their callers.
 *
 * On the wire this is `executed: "yes"` with a `retry` other than `"safe"`: the handler ran, and trying again from further
 * up would only multiply the attempts that were made near the failure. The breaker and the retry of the caller know it.
 */
const fromOthers = new WeakSet<PlinthError>();

/** Notes that another service failed so. Returns what it was given. */
export function noteFromOther(thrown: unknown): unknown {
  if (thrown instanceof PlinthError) fromOthers.add(thrown);
  return thrown;
}

/** A platform's error as an answer that came after the handler ran, not to be retried again further up. */
export function passOn(thrown: PlinthError): PlinthError {
  return error(thrown.code, thrown.message, {
    reason: thrown.reason,
    ...(thrown.details && { details: thrown.details }),
    detail: thrown.detail,
    cause: thrown.cause,
    retry: typeof thrown.retry === "number" ? thrown.retry : "never",
    executed: fromOthers.has(thrown) ? "yes" : "maybe",
  });
}

export function isFromOther(thrown: PlinthError): boolean {
  return fromOthers.has(thrown);
}
