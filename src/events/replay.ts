import type { Clock } from "../base/index.ts";
import type { ClaimedReplay, DeadLetterStore } from "./dead-letter-store.ts";
import type { EventLog } from "./event-log.ts";
import type { Handling } from "./handling.ts";
import type { Poller } from "./poller.ts";
import { createPoller } from "./poller.ts";
import { refusalOf } from "./redeliver.ts";
import type { SubscriptionPlan } from "./subscription.ts";

export interface ReplayerOptions {
  readonly store: DeadLetterStore;
  readonly handlings: ReadonlyMap<string, { readonly plan: SubscriptionPlan; readonly handle: Handling }>;
  readonly clock: Clock;
  readonly log: EventLog;
}

const leaseMarginMs = 30_000;
const lookEveryMs = 1_000;

/**
 * Handles again the dead letters that somebody asked for: one at a time, oldest first, the way a delivery is handled.
 * What succeeds is no dead letter any more; what fails for good stays one. A process that dies leaves its lease, and
 * the inbox sees to it that the effect happens once.
 *
 * A request is a mark on the row, so it can come from another process, and works with any broker.
 */
export function createReplayer({ store, handlings, clock, log }: ReplayerOptions): Poller {
  const names = [...handlings.keys()];
  const leaseMs = Math.max(...[...handlings.values()].map(({ plan }) => plan.deadlineMs)) + leaseMarginMs;

  const replay = async (claimed: ClaimedReplay, handle: Handling): Promise<void> => {
    try {
      if ((await handle(claimed.delivery)) === "done") await store.remove(claimed);
    } catch (thrown) {
      const { delayMs, counted } = refusalOf(thrown);
      await store.postpone(claimed, delayMs, counted);
    }
  };

  return createPoller({
    clock,
    waitMsMin: lookEveryMs,
    waitMsMax: lookEveryMs,
    onError: (thrown) => log.warn({ err: thrown }, "dead letters could not be replayed; it is tried again"),
    async look() {
      const claimed = await store.claimReplay(names, leaseMs);
      const found = claimed && handlings.get(claimed.subscription);
      if (!claimed || !found) return 0;
      await replay(claimed, found.handle);
      return 1;
    },
  });
}
