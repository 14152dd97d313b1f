import type { Clock } from "../../base/index.ts";
import type { Limiter } from "../../limits/index.ts";
import { Keyed } from "../../limits/index.ts";
import type { LimitPlan } from "../../service/index.ts";
import { addressGroup } from "../client/address.ts";
import { quotaExceeded } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Step } from "../step.ts";

/**
 * Against guessing: an address whose credentials were refused too often is told to wait before the next one is looked at.
 *
 * Only what was refused is counted, after its answer, so a request that is let in costs nothing and never waits for a
 * store. Where several processes share a store they count together; each learns that an address has used up its quota with
 * the next refusal there, so one more than the quota may pass for each process. A credential that is known to be good is
 * taken all the same, and so is who shows none: others behind the same address go on. Asking without any credential is no
 * guess. Where the gateway does not look at credentials (`authorization: "pass"`, `"own"`) there is nothing to guard.
 */
export interface FailureGuard {
  readonly step: Step;
  /** A request was answered with 401. */
  note(exchange: Exchange): void;
}

export interface FailureGuardOptions {
  readonly plan: LimitPlan;
  readonly limiter: Limiter;
  readonly namespace: string;
  readonly clock: Clock;
  /** Whether a request shows a credential that has yet to be verified: not one that was, and is still good. */
  readonly isGuess: (exchange: Exchange) => boolean;
}

/** Addresses that are waiting. Above: those that were not heard of for longest are forgotten. */
const blockedMax = 10_000;

export function createFailureGuard({ plan, limiter, namespace, clock, isGuess }: FailureGuardOptions): FailureGuard {
  const blockedUntil = new Keyed<number>(blockedMax);
  return {
    step(exchange, next) {
      if (blockedUntil.size > 0) {
        const group = addressGroup(exchange.remote);
        const leftMs = (blockedUntil.get(group) ?? 0) - clock.now();
        if (leftMs > 0) {
          if (isGuess(exchange)) throw quotaExceeded([plan.name], Math.ceil(leftMs / 1000));
        } else blockedUntil.delete(group);
      }
      next(exchange);
    },
    note(exchange) {
      if (exchange.reason === "TOKEN_MISSING") return;
      const group = addressGroup(exchange.remote);
      const slot = `failures/${group.replaceAll(":", "-")}`;
      const count = async (): Promise<void> => {
        const key = `${namespace}/${plan.name}:${group}`;
        const { states } = await limiter.take(slot, [{ key, rule: plan.rule, cost: 1 }]);
        const state = states[0];
        if (state === undefined || state.remaining > 0) return;
        blockedUntil.set(group, clock.now() + Math.max(1000, state.resetMs));
      };
      // A store that is down and may not be done without refuses nobody here: what is limited elsewhere is refused there.
      count().catch(() => {});
    },
  };
}
