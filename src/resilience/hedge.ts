import type { CallContext, CallScope, Clock, Policy } from "../base/index.ts";
import { PlinthError, systemClock } from "../base/index.ts";
import type { RetryBudget } from "./retry-budget.ts";

export interface HedgeOptions {
  /** How long the first try may take before there is a second. */
  readonly afterMs: number;
  /** Shared with the retries of the callee: what is slow altogether is not asked twice as often. */
  readonly budget?: RetryBudget | undefined;
  readonly clock?: Clock;
  /** Before each second try. */
  readonly onHedge?: () => void;
}

/**
 * Asks a second time when the first answer is late, and takes whichever comes first (Dean and Barroso, "The Tail at Scale").
 * For methods that may be run twice, and callees that are several: the second try goes where the callee's connections are
 * least busy. The other try is cancelled. There is at most one more, within the budget of retries, and none for a call
 * whose time would be over by then.
 *
 * When one try fails, the other is waited for; when both do, the first failure counts. A try that fails before the second
 * began is the business of `retry`.
 */
export function hedge({ afterMs, budget, clock = systemClock, onHedge }: HedgeOptions): Policy {
  return (next) => (request, context) => {
    if (clock.now() + afterMs >= context.deadline) return next(request, context);
    return new Promise((resolve, reject) => {
      const tries: CallScope[] = [];
      let openCount = 0;
      let failure: unknown;
      let isOver = false;
      const end = (settle: () => void): void => {
        if (isOver) return;
        isOver = true;
        stop();
        for (const scope of tries) {
          scope.cancel(hedgeLost());
          scope.finish();
        }
        settle();
      };
      const begin = (): void => {
        const scope = childOf(context);
        tries.push(scope);
        openCount++;
        run(() => next(request, scope)).then(
          (answer) => {
            scope.finish();
            end(() => resolve(answer));
          },
          (thrown) => {
            openCount--;
            failure ??= thrown;
            if (openCount === 0) end(() => reject(failure));
          },
        );
      };
      const stop = clock.after(afterMs, () => {
        if (isOver || context.cancelled || (budget && !budget.withdraw())) return;
        onHedge?.();
        begin();
      });
      begin();
    });
  };
}

function childOf(context: CallContext): CallScope {
  return context.child({ attempt: context.attempt, idempotencyKey: context.idempotencyKey });
}

async function run(work: () => Promise<unknown>): Promise<unknown> {
  return work();
}

/** HEDGE_LOST: the other try was faster. Nobody waits for this one. */
function hedgeLost(): PlinthError {
  return new PlinthError("cancelled", "Another try was faster.", { reason: "HEDGE_LOST" });
}
