import type { Duration } from "../base/index.ts";
import type { WhenDown } from "../limits/index.ts";
import type { LimitPlan, MethodLimits, SharedLimit } from "../service/index.ts";
import { compileLimits } from "../service/index.ts";

/** What the gateway limits, over all routes. What a method adds stands with the method. */
export interface LimitOptions {
  /** Hold for every route, counted over all of them; a method with `limits: false` has none. */
  readonly limits?: readonly SharedLimit[];
  /** Further ones by plan; of these, those of the caller's plan hold. */
  readonly plans?: Readonly<Record<string, readonly SharedLimit[]>>;
  /**
   * Where a caller's plan stands: a claim of the token or the API key. `otherwise` is the plan of all who have none, or
   * one that there is not; default: the first in `plans`.
   */
  readonly planOf?: { readonly claim: string; readonly otherwise?: string };
  /** How many credentials an address may show that are refused, before it has to wait. Default: 100 in a minute. */
  readonly authFailures?: { readonly quota: number; readonly window: Duration } | false;
  /** What counts. The address of the store is a setting: LIMITS_URL. */
  readonly limitStore?: {
    /** What holds while the store does not answer. Default `"local"`: each process with its part of each quota. */
    readonly whenDown?: WhenDown;
    /** How long its answer is waited for. Default 50 ms. */
    readonly timeout?: Duration;
  };
}

/** The app's limits, checked. */
export interface CheckedLimits {
  readonly limits: readonly LimitPlan[];
  readonly plans: ReadonlyMap<string, readonly LimitPlan[]>;
  readonly planOf: { readonly claim: string; readonly otherwise: string } | undefined;
  readonly authFailures: LimitPlan | undefined;
}

export function checkLimits(gateway: LimitOptions, problems: string[]): CheckedLimits {
  const { authFailures = { quota: 100, window: "1m" } } = gateway;
  const limits = compileLimits("gateway: limits", gateway.limits ?? [], problems);
  const plans = new Map(
    Object.entries(gateway.plans ?? {}).map(([name, list]) => {
      if (!/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(name))
        problems.push(`gateway: plans: ${JSON.stringify(name)} is no name; use letters, digits, "_" and "-".`);
      return [name, compileLimits(`gateway: plans.${name}`, list, problems, `${name}-`)] as const;
    }),
  );
  const failures =
    authFailures === false
      ? []
      : compileLimits("gateway: authFailures", [{ ...authFailures, by: "address", name: "auth-failures" }], problems);
  return { limits, plans, planOf: planOf(gateway, plans, problems), authFailures: failures[0] };
}

function planOf(
  { planOf: declared }: LimitOptions,
  plans: ReadonlyMap<string, unknown>,
  problems: string[],
): CheckedLimits["planOf"] {
  const [first] = plans.keys();
  if (declared === undefined) {
    if (first !== undefined)
      problems.push('gateway: plans: nothing says who has which; add planOf: { claim: "plan" }.');
    return undefined;
  }
  if (first === undefined) {
    problems.push("gateway: planOf: there are no plans; declare them in gateway.plans, or remove it.");
    return undefined;
  }
  const { claim, otherwise = first } = declared;
  if (typeof claim !== "string" || claim === "") problems.push('gateway: planOf.claim: write a claim, such as "plan".');
  if (!plans.has(otherwise))
    problems.push(
      `gateway: planOf.otherwise: there is no plan "${otherwise}"; there are ${[...plans.keys()].join(", ")}.`,
    );
  return { claim, otherwise };
}

/** A limit as plain data. */
export interface ModelLimit {
  readonly name: string;
  readonly by: string;
  readonly kind: "window" | "bucket" | "calendar" | "places";
  readonly quota: number;
  /** Milliseconds, or the period of the calendar; null for places. */
  readonly window: number | "day" | "month" | null;
  readonly burst: number | null;
  /** True: the app works it out for each request. */
  readonly cost: number | true;
  readonly perRoute: boolean;
}

export interface ModelSharedLimits {
  readonly limits: readonly ModelLimit[];
  readonly plans: readonly { readonly name: string; readonly limits: readonly ModelLimit[] }[];
  readonly planOf: { readonly claim: string; readonly otherwise: string } | null;
  readonly authFailures: ModelLimit | null;
}

export function toModelSharedLimits({ limits, plans, planOf, authFailures }: CheckedLimits): ModelSharedLimits {
  return {
    limits: limits.map(toModelLimit),
    plans: [...plans].map(([name, list]) => ({ name, limits: list.map(toModelLimit) })),
    planOf: planOf ?? null,
    authFailures: authFailures ? toModelLimit(authFailures) : null,
  };
}

export function toModelLimits(limits: MethodLimits | false | undefined): {
  readonly own: readonly ModelLimit[];
  readonly shared: Readonly<Record<string, number | true>>;
} | null {
  if (limits === false) return null;
  const costs = [...(limits?.sharedCosts ?? [])];
  return {
    own: (limits?.own ?? []).map(toModelLimit),
    shared: Object.fromEntries(costs.map(([name, cost]) => [name, typeof cost === "number" ? cost : true])),
  };
}

function toModelLimit({ name, by, rule, cost, perRoute }: LimitPlan): ModelLimit {
  return {
    name,
    by: typeof by === "string" ? by : `claim ${by.claim}`,
    kind: rule.kind,
    quota: rule.quota,
    window: rule.kind === "calendar" ? rule.period : rule.kind === "places" ? null : rule.windowMs,
    burst: rule.kind === "bucket" ? rule.burst : null,
    cost: typeof cost === "number" ? cost : true,
    perRoute,
  };
}
