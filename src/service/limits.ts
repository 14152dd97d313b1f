import type { Duration, Principal } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";
import type { Rule } from "../limits/index.ts";
import { capacityOf, faultOf, placeHoldMs } from "../limits/index.ts";

/**
 * What a limit counts by. Whoever is not signed in is counted by address, whatever stands here.
 *
 * - `"principal"`: who is signed in. `"client"`: the application that the token was given to. `"key"`: the API key.
 *   `"tenant"`: the token's `tenant`. `{ claim }`: any other claim. Where a token lacks it, the principal.
 * - `"address"`: the client's address, as trusted proxies tell it; of IPv6 its first 64 bits.
 * - `"route"`: everybody together.
 */
export type LimitBy = "principal" | "client" | "key" | "tenant" | "address" | "route" | { readonly claim: string };

/** At most so much in a time. */
export interface QuotaLimit {
  /** Units, 1 to 1e9. A request takes one, or its `cost`. */
  readonly quota: number;
  /**
   * `"100ms"` to `"366d"`, sliding; or `"day"` or `"month"` of the calendar (UTC), after which the whole quota is there
   * again at once.
   */
  readonly window: Duration | "day" | "month";
  /**
   * Makes it a bucket that holds so many and is filled evenly by `quota` in each window: up to `burst` at once, then a
   * steady flow. Without it, `quota` may be taken at once and comes back as it leaves the window.
   */
  readonly burst?: number;
  /** Default `"principal"`. */
  readonly by?: LimitBy;
  /** How many units one request takes. Default 1. */
  readonly cost?: LimitCost;
  /**
   * Names it in `RateLimit`, metrics and errors. Default: made of the plan's or method's name if it is one of those, `by`
   * and `window`, such as "principal-1m" or "search-principal-1m".
   */
  readonly name?: string;
}

/** At most so many at the same time. */
export interface ConcurrencyLimit {
  readonly concurrent: number;
  readonly by?: LimitBy;
  readonly name?: string;
}

/** A limit that the app declares for every route, counted over all of them. */
export type SharedLimit = Limit & {
  /** Each route has a quota of its own. Default false; true by nature for `by: "route"`. */
  readonly perRoute?: boolean;
};

/** What a request of this method takes of a limit that the app declares for all: 0 for nothing. */
export interface SharedCost {
  /** The name of a limit in `gateway.limits`, or of one in a plan. */
  readonly shared: string;
  readonly cost: LimitCost;
}

export type Limit = QuotaLimit | ConcurrencyLimit;
export type MethodLimit = Limit | SharedCost;

/** A whole number from 0, or a function of the request that gives one, before its body is read. */
export type LimitCost = number | ((request: LimitedRequest) => number);

export interface LimitedRequest {
  readonly principal: Principal;
  /** Without its "?". */
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** A limit, checked. */
export interface LimitPlan {
  readonly name: string;
  readonly by: LimitBy;
  readonly rule: Rule;
  readonly cost: LimitCost;
  /** Of the window, for headers. Undefined for places, and for months, which differ. */
  readonly windowSeconds: number | undefined;
  /** Each route counts for itself. */
  readonly perRoute: boolean;
}

export interface MethodLimits {
  readonly own: readonly LimitPlan[];
  /** By the name of the app's limit. */
  readonly sharedCosts: ReadonlyMap<string, LimitCost>;
}

/** How many limits one request may meet. */
export const limitsPerRequestMax = 12;
const costMax = 1_000_000_000;

/** Limits of a method; `false` for none, whatever the app declares for all. What is wrong is added to `problems`, each with its remedy. */
export function compileMethodLimits(
  id: string,
  { limits: declared, http }: { readonly limits?: readonly MethodLimit[] | false; readonly http?: string },
  problems: string[],
): MethodLimits | false | undefined {
  if (declared === undefined || declared === false) return declared;
  if (http === undefined)
    problems.push(`${id}: limits: only what has a route is limited; declare "http", or remove "limits".`);
  if (!Array.isArray(declared)) {
    problems.push(`${id}: limits: write a list, such as [{ quota: 100, window: "1m" }], or false for none.`);
    return undefined;
  }
  const sharedCosts = new Map<string, LimitCost>();
  const limits: Limit[] = [];
  for (const each of declared as readonly MethodLimit[]) {
    if (typeof each !== "object" || each === null || !("shared" in each)) limits.push(each);
    else if (typeof each.shared !== "string" || !isCost(each.cost) || Object.keys(each).length !== 2) {
      problems.push(`${id}: limits: a shared limit is { shared: "its name", cost: 5 }, with a whole number from 0.`);
    } else sharedCosts.set(each.shared, each.cost);
  }
  const name = id.slice(id.lastIndexOf(".") + 1);
  const prefix = namePattern.test(name) ? name : "route";
  return { own: compileLimits(`${id}: limits`, limits, problems, `${prefix}-`), sharedCosts };
}

/** A list of limits that hold together; `where` is for messages, `prefix` for names that are not given. */
export function compileLimits(
  where: string,
  declared: readonly SharedLimit[],
  problems: string[],
  prefix = "",
): readonly LimitPlan[] {
  if (!Array.isArray(declared)) {
    problems.push(`${where}: write a list, such as [{ quota: 100, window: "1m" }].`);
    return [];
  }
  const plans: LimitPlan[] = [];
  for (const each of declared as readonly SharedLimit[]) {
    const plan = compileLimit(where, each, problems, prefix);
    if (!plan) continue;
    if (plans.some(({ name }) => name === plan.name))
      problems.push(`${where}: two limits are called "${plan.name}"; give one of them another "name".`);
    plans.push(plan);
  }
  if (plans.length > limitsPerRequestMax)
    problems.push(`${where}: ${plans.length} limits; there may be ${limitsPerRequestMax}.`);
  return plans;
}

const quotaFields: ReadonlySet<string> = new Set(["quota", "window", "burst", "by", "cost", "name", "perRoute"]);
const concurrencyFields: ReadonlySet<string> = new Set(["concurrent", "by", "name", "perRoute"]);
const namePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,127}$/;

function compileLimit(where: string, declared: SharedLimit, problems: string[], prefix: string): LimitPlan | undefined {
  const wrong = (what: string): undefined => {
    problems.push(`${where}: ${shown(declared)}: ${what}.`);
    return undefined;
  };
  if (typeof declared !== "object" || declared === null) return wrong('write { quota: 100, window: "1m" }');
  const isConcurrency = "concurrent" in declared;
  const fields = isConcurrency ? concurrencyFields : quotaFields;
  const odd = Object.keys(declared).find((field) => !fields.has(field));
  if (odd !== undefined) return wrong(`"${odd}" has no meaning here; there are ${[...fields].join(", ")}`);
  const { by = "principal" } = declared;
  if (!isBy(by))
    return wrong(
      'by is "principal", "client", "key", "tenant", "address", "route" or { claim: "name" } with letters, digits, "_" and "-"',
    );
  const name = declared.name ?? prefix + defaultName(declared, by);
  if (!namePattern.test(name)) return wrong('a name is 1 to 128 letters, digits, ".", "_" and "-", such as "search"');
  const rule = ruleOf(declared);
  if (typeof rule === "string") return wrong(rule);
  const fault = faultOf(rule);
  if (fault !== undefined) return wrong(fault);
  const cost = isConcurrency ? 1 : ((declared as QuotaLimit).cost ?? 1);
  if (!isCost(cost)) return wrong("a cost is a whole number from 0, or a function that gives one");
  if (typeof cost === "number" && cost > capacityOf(rule))
    return wrong(`one request costs ${cost}, and there are never more than ${capacityOf(rule)}: raise one of the two`);
  const perRoute = by === "route" || declared.perRoute === true;
  return { name, by, rule, cost, perRoute, windowSeconds: windowSecondsOf(rule) };
}

function ruleOf(declared: Limit): Rule | string {
  if ("concurrent" in declared) return { kind: "places", quota: declared.concurrent, holdMs: placeHoldMs };
  const { quota, window, burst } = declared;
  if (window === "day" || window === "month") {
    return burst === undefined
      ? { kind: "calendar", quota, period: window }
      : 'a quota of the calendar has no burst; write a window such as "1d", or leave burst out';
  }
  const windowMs = parseDuration(window);
  if (windowMs === undefined) return 'a window is a duration such as "1m", or "day" or "month"';
  return burst === undefined ? { kind: "window", quota, windowMs } : { kind: "bucket", quota, windowMs, burst };
}

function windowSecondsOf(rule: Rule): number | undefined {
  if (rule.kind === "calendar") return rule.period === "day" ? 86_400 : undefined;
  if (rule.kind === "places") return undefined;
  // Below a second it cannot be said.
  return rule.windowMs < 1000 ? undefined : Math.floor(rule.windowMs / 1000);
}

function isBy(by: unknown): by is LimitBy {
  if (typeof by === "string") return ["principal", "client", "key", "tenant", "address", "route"].includes(by);
  if (typeof by !== "object" || by === null || Object.keys(by).join() !== "claim") return false;
  const { claim } = by as { readonly claim: unknown };
  return typeof claim === "string" && /^[A-Za-z0-9_-]{1,32}$/.test(claim);
}

function isCost(cost: unknown): cost is LimitCost {
  return (
    typeof cost === "function" || (Number.isSafeInteger(cost) && (cost as number) >= 0 && (cost as number) <= costMax)
  );
}

function defaultName(declared: Limit, by: LimitBy): string {
  const who = typeof by === "string" ? by : by.claim;
  return "concurrent" in declared ? `${who}-concurrent` : `${who}-${declared.window}`;
}

function shown(declared: unknown): string {
  return JSON.stringify(declared, (_, value) => (typeof value === "function" ? "function" : value)) ?? String(declared);
}
