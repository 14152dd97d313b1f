import type { Json } from "../base/index.ts";
import type { Gateway } from "../gateway/index.ts";
import type { LimitPlan, SharedLimit } from "../service/index.ts";
import { compileLimits } from "../service/index.ts";
import type { CheckedApp } from "./check.ts";

type Plans = ReadonlyMap<string, readonly LimitPlan[]>;

/**
 * The plans of a gateway's file over those of the code. It may change how much a plan allows, not which plans there are or
 * what they count by: where counters live was decided by that at the start.
 */
export function plansWith(
  { limits }: Pick<CheckedApp, "limits">,
  given: Readonly<Record<string, Json>> | undefined,
  problems: string[],
): Plans {
  const plans = new Map(limits.plans);
  for (const [name, list] of Object.entries(given ?? {})) {
    const declared = limits.plans.get(name);
    const at = `plans.${name}`;
    if (!declared) {
      problems.push(
        `plans: there is no ${JSON.stringify(name)}; there are ${[...limits.plans.keys()].join(", ") || "none"}`,
      );
      continue;
    }
    // JSON of the same shape as in code; what it holds is checked here.
    const compiled = compileLimits(at, list as unknown as readonly SharedLimit[], problems, `${name}-`);
    const countsBy = new Set(declared.map(({ by }) => JSON.stringify(by)));
    for (const { name: limit, by } of compiled) {
      if (!countsBy.has(JSON.stringify(by))) {
        problems.push(`${at}: "${limit}" counts by ${JSON.stringify(by)}, which the code's limits of this plan do not`);
      }
    }
    plans.set(name, compiled);
  }
  return plans;
}

/** Checks plans against a running gateway, without taking them. Gives what takes them. */
export function preparePlans(gateway: Gateway, plans: Plans, problems: string[]): () => void {
  try {
    return gateway.replacePlans?.(plans) ?? (() => {});
  } catch (thrown) {
    problems.push(`plans: ${(thrown as Error).message}`);
    return () => {};
  }
}
