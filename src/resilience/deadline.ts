import type { CallContext, Clock, Duration, Policy, StreamCall } from "../base/index.ts";
import { deadlineExceeded, type PlinthError, systemClock, toMs } from "../base/index.ts";
import { notExecuted } from "./errors.ts";
import { gatedStream } from "./gated-stream.ts";
import type { StreamPolicy } from "./policy.ts";

export interface DeadlineOptions {
  readonly clock?: Clock;
}

/**
 * Lets the caller go when the time is over or the call was cancelled, even if the handler does not listen.
 *
 * A call whose time is spent before it begins is refused with `executed: "no"`. One that runs out of time while it runs
 * ends with `executed: "maybe"`; what the handler answers afterwards is dropped. The time itself is watched by the call's
 * scope, so this sets no timer.
 */
export function deadline(options: DeadlineOptions = {}): Policy {
  const clock = options.clock ?? systemClock;
  return (next) => (request, context) => {
    const spent = refusalAt(clock.now(), context);
    return spent ? Promise.reject(spent) : untilCancelled(next(request, context), context);
  };
}

/** The same for streams: also a stream that waits for its next item ends when the time is over. */
export function deadlineStream(options: DeadlineOptions = {}): StreamPolicy {
  const clock = options.clock ?? systemClock;
  return (next: StreamCall) => (request, context) =>
    gatedStream(context, {
      open() {
        const spent = refusalAt(clock.now(), context);
        if (spent) throw spent;
        return next(request, context);
      },
    });
}

export interface TimeoutOptions {
  /** The longest that one call may take. The deadline of the caller holds where it is nearer. */
  readonly timeout: Duration;
  readonly clock?: Clock;
}

/** Gives a call less time than its caller has: one slow callee must not eat the whole deadline. */
export function timeout(options: TimeoutOptions): Policy {
  const clock = options.clock ?? systemClock;
  const timeoutMs = toMs(options.timeout);
  return (next) => (request, context) => {
    const spent = refusalAt(clock.now(), context);
    if (spent) return Promise.reject(spent);
    const deadlineAt = clock.now() + timeoutMs;
    if (context.deadline <= deadlineAt) return untilCancelled(next(request, context), context);
    const scope = context.child({
      deadline: deadlineAt,
      idempotencyKey: context.idempotencyKey,
      attempt: context.attempt,
    });
    return untilCancelled(next(request, scope), scope).finally(() => scope.finish());
  };
}

/** The answer, or the reason why the call is over, whichever is first. The work itself is not stopped by this. */
export function untilCancelled<T>(answer: Promise<T>, context: CallContext): Promise<T> {
  return new Promise((resolve, reject) => {
    // `onCancel` runs its listener at once on a call that is over already.
    const forget = context.onCancel(reject);
    answer.then(
      (value) => {
        forget();
        resolve(value);
      },
      (thrown) => {
        forget();
        reject(thrown);
      },
    );
  });
}

/** Why a call is over before it began, if it is. */
export function refusalAt(nowMs: number, context: CallContext): PlinthError | undefined {
  if (context.cancelled) return notExecuted(context.cancelled);
  return context.deadline <= nowMs ? deadlineExceeded("no") : undefined;
}
