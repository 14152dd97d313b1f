import type { CallScope, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";

/**
 * The handlers at work in this process, so that they can be told to stop: all of them now, or whoever is still at work when
 * the time to finish is over, and whoever begins after that.
 */
export interface RunningCalls {
  add(scope: CallScope): void;
  delete(scope: CallScope): void;
  /** Cancels those that run now. */
  cancel(reason: PlinthError): void;
  /** Whether the call was ended because the time to finish was over: then what it did is not to blame. */
  wasEnded(scope: CallScope): boolean;
  /** Resolves as `over` does. When the signal aborts before, what runs is cancelled, and so is what begins. */
  finish(over: Promise<unknown>, signal: AbortSignal | undefined): Promise<void>;
}

export function createRunningCalls(): RunningCalls {
  const scopes = new Set<CallScope>();
  let ended: PlinthError | undefined;
  const cancel = (reason: PlinthError): void => {
    for (const scope of [...scopes]) scope.cancel(reason);
  };
  const end = (): void => {
    ended ??= timeOver();
    cancel(ended);
  };
  return {
    add(scope) {
      scopes.add(scope);
      if (ended) scope.cancel(ended);
    },
    delete: (scope) => void scopes.delete(scope),
    cancel,
    wasEnded: (scope) => ended !== undefined && scope.cancelled === ended,
    async finish(over, signal) {
      if (signal?.aborted) end();
      signal?.addEventListener("abort", end, { once: true });
      try {
        await over;
      } finally {
        signal?.removeEventListener("abort", end);
      }
    },
  };
}

function timeOver(): PlinthError {
  return error("unavailable", "This process stops, and the time of its handlers is over: another one does it.", {
    reason: "HANDLER_TIME_OVER",
    retry: "safe",
  });
}
