import type { PlinthError } from "../base/index.ts";
import { error, StartError } from "../base/index.ts";

/** LIMITS_UNAVAILABLE: the store of the limits does not answer, and the app declared to refuse then. Nothing was executed. */
export const limitsUnavailable = (cause: unknown): PlinthError =>
  error("unavailable", "Limits cannot be checked at the moment. Try again shortly.", {
    reason: "LIMITS_UNAVAILABLE",
    retry: 1000,
    executed: "no",
    cause,
  });

/** LIMITS_FAULT: for tests; the store was made to fail. */
export const limitsFault = (): PlinthError =>
  error("unavailable", "The limiter was made to fail.", { reason: "LIMITS_FAULT" });

/** LIMITER_INVALID stops the start. */
export const wrongLimiter = (problem: string): StartError => new StartError("LIMITER_INVALID", problem);
