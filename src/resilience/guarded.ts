import type { Call, CallContext, Clock, Policy } from "../base/index.ts";
import type { Bulkhead } from "./bulkhead.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { deadline, refusalAt } from "./deadline.ts";
import { compose } from "./policy.ts";
import type { RetryOptions } from "./retry.ts";
import { retrier } from "./retry.ts";

export interface GuardedOptions {
  readonly retry: RetryOptions;
  readonly breaker: CircuitBreaker;
  readonly bulkhead: Bulkhead;
  /**
   * The call itself ends when it is cancelled or its time is over, whatever the callee does. Then nothing needs to stand
   * beside it and watch.
   */
  readonly endsItself?: boolean;
  readonly clock: Clock;
}

/**
 * The same as `compose([retry, breaker.policy, bulkhead.policy, deadline])`, in one step for a first attempt that finds the
 * breaker closed and a place in the bulkhead, which is nearly all: one promise instead of five. All others, and what
 * becomes of a failure, go the long way.
 */
export function guarded({ retry, breaker, bulkhead, endsItself = false, clock }: GuardedOptions): Policy {
  const { policy, afterFailure } = retrier(retry);
  const { budget } = retry;
  const attempts = compose([breaker.policy, bulkhead.policy, deadline({ clock })]);

  /** When the newest call began: near enough for windows of seconds, and the clock has a price. */
  let nowMs = 0;
  const onAnswer = (answer: unknown): unknown => {
    bulkhead.leave();
    breaker.onAnswer(nowMs);
    return answer;
  };

  return (next) => {
    const attempt = attempts(next);
    const theLongWay = policy(attempt);
    return (request, context) => {
      if (breaker.state !== "closed" || !bulkhead.tryEnter()) return theLongWay(request, context);
      nowMs = clock.now();
      budget?.deposit(nowMs);
      const onFailure = (thrown: unknown): Promise<unknown> => {
        bulkhead.leave();
        breaker.onFailure(thrown);
        return afterFailure(thrown, attempt, request, context);
      };
      const spent = refusalAt(nowMs, context);
      if (spent) return onFailure(spent);
      let answer: Promise<unknown>;
      try {
        answer = next(request, context);
      } catch (thrown) {
        return onFailure(thrown);
      }
      return endsItself ? answer.then(onAnswer, onFailure) : watched(answer, context, onAnswer, onFailure);
    };
  };
}

/** Ends with the answer, or when the call is cancelled, whichever is first. */
function watched(
  answer: Promise<unknown>,
  context: CallContext,
  onAnswer: (answer: unknown) => unknown,
  onFailure: (thrown: unknown) => Promise<unknown>,
): ReturnType<Call> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const fail = (thrown: unknown): void => {
      if (isOver) return;
      isOver = true;
      context.offCancel(fail);
      onFailure(thrown).then(resolve, reject);
    };
    context.onCancel(fail);
    answer.then((value) => {
      if (isOver) return;
      isOver = true;
      context.offCancel(fail);
      resolve(onAnswer(value));
    }, fail);
  });
}
