import type { Clock } from "../base/index.ts";
import type { SubscriptionSpec } from "./driver.ts";

/** What was made known to a broker a moment ago is not told again: a process names its subscriptions all at once, and again one by one. */
export interface Ensuring {
  ensure(specs: readonly SubscriptionSpec[]): Promise<void>;
  /** It may be gone. */
  forget(subscription: string): void;
}

const freshMs = 30_000;

export function createEnsuring(tell: (specs: readonly SubscriptionSpec[]) => Promise<void>, clock: Clock): Ensuring {
  const toldAt = new Map<string, Map<string, number>>();
  const isFresh = (subscription: string, type: string): boolean =>
    clock.now() - (toldAt.get(subscription)?.get(type) ?? Number.NEGATIVE_INFINITY) < freshMs;
  return {
    async ensure(specs) {
      const missing = specs
        .map(({ subscription, types }) => ({
          subscription,
          types: types.filter((type) => !isFresh(subscription, type)),
        }))
        .filter(({ types }) => types.length > 0);
      if (missing.length === 0) return;
      const at = clock.now();
      await tell(missing);
      for (const { subscription, types } of missing) {
        const known = toldAt.get(subscription) ?? new Map<string, number>();
        for (const type of types) known.set(type, at);
        toldAt.set(subscription, known);
      }
    },
    forget: (subscription) => void toldAt.delete(subscription),
  };
}
