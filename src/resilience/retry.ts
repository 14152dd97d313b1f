import type { Call, CallContext, CallScope, Clock, Duration, PlinthError, Policy, Random } from "../base/index.ts";
import { systemClock, systemRandom, toMs, toPlinthError } from "../base/index.ts";
import { isPassedOn, withChanges } from "./errors.ts";
import type { RetryBudget } from "./retry-budget.ts";

export interface RetryOptions {
  /** True when the method is declared so: doing it twice is as good as once. */
  readonly idempotent?: boolean;
  /** True when the method is declared so: doing it twice with one idempotency key is as good as once. Default false. */
  readonly keyed?: boolean;
  /** Attempts in all, the first one included. Default 3. */
  readonly attemptsMax?: number;
  /** The most to wait before the second attempt; doubles for each further one. Default 50 ms. */
  readonly backoffMin?: Duration;
  /** No wait between two attempts is longer. Default 2 s. */
  readonly backoffMax?: Duration;
  /** Shared by all methods of one callee. Without one, only `attemptsMax` bounds the retries. */
  readonly budget?: RetryBudget | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Before each wait. `attempt` is the number of the attempt to come. */
  readonly onRetry?: (error: PlinthError, attempt: number, waitMs: number) => void;
}

/**
 * Tries again where that is safe and can help, and nowhere else.
 *
 * Safe: the work did not happen (`executed: "no"`), or the method is idempotent, or it honours idempotency keys and the
 * call carries one. A key alone proves nothing: any client can send one, and the handler may never look at it.
 * Can help: `unavailable`, `aborted`, and `resource_exhausted` with a time, unless the error says `retry: "never"`
 * or the callee passes it on: it was retried there.
 *
 * The wait is random between 0 and 50 ms, doubled each time, at most 2 s (full jitter, AWS Builders' Library). A callee
 * that names a time is given that time first; if that is longer than `backoffMax` or than the deadline, the error goes to
 * the caller at once.
 *
 * Retries happen at one layer only, the one nearest to the failure: an error that comes out after a retry, or because the
 * budget is spent, says `retry: "never"`, so that no layer above multiplies the attempts. It says `executed: "maybe"` if
 * any attempt did.
 *
 * The first attempt has the caller's own context; each further one a child of it with its number in `attempt`.
 */
export function retry(options: RetryOptions = {}): Policy {
  return retrier(options).policy;
}

export interface Retrier {
  readonly policy: Policy;
  /** What becomes of a call whose first attempt failed: further ones with `next`, or the failure. */
  afterFailure(thrown: unknown, next: Call, request: unknown, context: CallContext): Promise<unknown>;
}

export function retrier(options: RetryOptions): Retrier {
  const { budget, onRetry, idempotent = false, keyed = false, attemptsMax = 3 } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const backoffMinMs = toMs(options.backoffMin ?? 50);
  const backoffMaxMs = toMs(options.backoffMax ?? "2s");

  const waitMsOf = (error: PlinthError, attempt: number): number => {
    const jitterMs = random.next() * Math.min(backoffMaxMs, backoffMinMs * 2 ** (attempt - 1));
    return typeof error.retry === "number" ? error.retry + jitterMs : jitterMs;
  };
  const isTooLong = (error: PlinthError, waitMs: number, context: CallContext): boolean =>
    (typeof error.retry === "number" && error.retry > backoffMaxMs) || clock.now() + waitMs >= context.deadline;

  const afterFailure = async (first: unknown, next: Call, request: unknown, context: CallContext): Promise<unknown> => {
    let thrown = first;
    let maybeExecuted = false;
    for (let attempt = 2; ; attempt++) {
      const error = toPlinthError(thrown);
      maybeExecuted ||= error.executed !== "no";
      const waitMs = waitMsOf(error, attempt - 1);
      const worthIt =
        canRetry(error, idempotent || (keyed && context.idempotencyKey !== undefined)) && !context.cancelled;
      const stop = !worthIt || attempt > attemptsMax || isTooLong(error, waitMs, context);
      const refused = !stop && budget !== undefined && !budget.withdraw();
      if (stop || refused) throw attempt > 2 || refused ? final(error, maybeExecuted) : error;
      onRetry?.(error, attempt, waitMs);
      await clock.sleep(waitMs, context.signal);
      try {
        return await runAttempt((scope) => next(request, scope), context, attempt);
      } catch (again) {
        thrown = again;
      }
    }
  };

  const policy: Policy = (next) => async (request, context) => {
    budget?.deposit();
    try {
      return await next(request, context);
    } catch (thrown) {
      return afterFailure(thrown, next, request, context);
    }
  };
  return { policy, afterFailure };
}

/**
 * Whether another attempt is safe and can help. `repeatable`: doing it twice is as good as once. Says nothing of budget
 * and deadline.
 */
export function canRetry(error: PlinthError, repeatable: boolean): boolean {
  if (error.retry === "never" || isPassedOn(error)) return false;
  const canHelp =
    error.code === "unavailable" ||
    error.code === "aborted" ||
    (error.code === "resource_exhausted" && typeof error.retry === "number");
  return canHelp && (error.executed === "no" || repeatable);
}

async function runAttempt<T>(
  next: (scope: CallContext) => Promise<T>,
  context: CallContext,
  attempt: number,
): Promise<T> {
  const scope = context.child({ attempt, idempotencyKey: context.idempotencyKey });
  try {
    return await next(scope);
  } finally {
    if (scope.isRepeat) (context as CallScope).isRepeat = true;
    scope.finish();
  }
}

function final(error: PlinthError, maybeExecuted: boolean): PlinthError {
  const executed = maybeExecuted && error.executed === "no" ? "maybe" : error.executed;
  return error.retry === "never" && executed === error.executed
    ? error
    : withChanges(error, { retry: "never", executed });
}
