import type { Principal } from "../../base/index.ts";
import type { Decision, Limiter, QuotaState } from "../../limits/index.ts";
import type { LimitBy, LimitPlan, MethodLimits } from "../../service/index.ts";
import { limitsPerRequestMax } from "../../service/index.ts";
import { quotaExceeded, wrongGateway } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Step } from "../step.ts";
import { proceed } from "../step.ts";
import type { Account } from "./account.ts";
import { compileAccount } from "./account.ts";
import { resetSeconds, stateText } from "./headers.ts";
import type { Meter } from "./meter.ts";
import { createMeter } from "./meter.ts";
import type { PartitionOf } from "./partition.ts";
import { compilePartition } from "./partition.ts";

/**
 * Limits and quotas on the way of a request, after it is known who asks and before anything of the message is read.
 *
 * All limits that a request meets are decided together: the app's, those of the caller's plan, the method's own. When one
 * of them is used up nothing is taken of any, and the answer is 429, problem type `quota-exceeded`, with the names of
 * those that were exceeded. Every answer says how things stand (`RateLimit-Policy`, `RateLimit`); a refusal has only the
 * exceeded ones in `RateLimit`, so that `Retry-After` is never earlier than what stands there.
 *
 * A route that no limit holds for has no step here. What a request took is not given back, however it ends; places are.
 */
export interface RateLimits {
  /** The step of a route; undefined where nothing limits it. `id` names its own counters. */
  stepOf(id: string, limits: MethodLimits | false | undefined): Step | undefined;
  /** Other limits for the plans that there are, by the same things. Throws as `stepOf` does; takes hold when called. */
  replacePlans(plans: SharedLimits["plans"]): () => void;
}

/** What the app declares for all routes. */
export interface SharedLimits {
  readonly limits: readonly LimitPlan[];
  /** By name; one of them holds for each request. Empty: there are no plans. */
  readonly plans: ReadonlyMap<string, readonly LimitPlan[]>;
  readonly planOf: PlanOf | undefined;
}

export interface PlanOf {
  /** Of the token, or of the API key. */
  readonly claim: string;
  /** The plan of those without the claim, or with one that there is not. */
  readonly otherwise: string;
}

export interface RateLimitsOptions extends SharedLimits {
  readonly limiter: Limiter;
  /** Keeps apps apart that share a store: the app's name. */
  readonly namespace: string;
  /** The limits of all routes that there are, to see which are ever decided together. */
  readonly all: readonly (MethodLimits | false | undefined)[];
  /** Notes what came of a limit, for metrics. */
  readonly observe?: ((limit: string, outcome: "allowed" | "refused") => void) | undefined;
}

export function createRateLimits(options: RateLimitsOptions): RateLimits {
  const { limits, plans, planOf, limiter, namespace, observe } = options;
  const shared = [...limits, ...[...plans.values()].flat()];
  const commonSlot = slotOfShared(shared, options.all);
  checkPlans(options);
  const partitions = new Map<string, PartitionOf>();
  /** One for all limits that count by the same: what it remembers, it remembers once. */
  const partitionBy = (by: LimitBy): PartitionOf => {
    const known = partitions.get(JSON.stringify(by)) ?? compilePartition(by);
    partitions.set(JSON.stringify(by), known);
    return known;
  };

  const replacers: ((plans: SharedLimits["plans"]) => () => void)[] = [];

  const metersOf = (id: string, declared: MethodLimits | undefined, plan?: PlanLimits): readonly Meter[] => {
    const ofPlan = plan?.limits ?? [];
    const meters = [...limits, ...ofPlan].flatMap((each) => {
      const cost = declared?.sharedCosts.get(each.name);
      if (cost === 0) return [];
      const store = ofPlan.includes(each) ? `${namespace}/${plan?.name}/${each.name}` : `${namespace}/${each.name}`;
      return [createMeter(each.perRoute ? `${store}@${id}` : store, each, partitionBy(each.by), cost ?? each.cost)];
    });
    const own = declared?.own ?? [];
    const meterOf = (each: LimitPlan): Meter =>
      createMeter(`${namespace}/${id}/${each.name}`, each, partitionBy(each.by), each.cost);
    return [...meters, ...own.map(meterOf)];
  };

  const stepWith = (id: string, meters: readonly Meter[], slot: string | undefined): Step => {
    if (meters.length > limitsPerRequestMax) {
      throw wrongGateway(
        "LIMITS_TOO_MANY",
        `${id}: ${meters.length} limits hold for one request, at most ${limitsPerRequestMax} can; remove some.`,
      );
    }
    const accountOf = compileAccount(meters, slot);
    return (exchange, next) => {
      const account = accountOf(exchange);
      const decided = limiter.take(account.slot, account.demands);
      if (decided instanceof Promise) {
        decided.then(
          (decision) => {
            if (exchange.isOver) decision.lease?.release();
            else proceed(exchange, () => settle(exchange, meters, account, decision, next, observe));
          },
          (thrown) => exchange.fail(thrown),
        );
      } else settle(exchange, meters, account, decided, next, observe);
    };
  };

  return {
    stepOf(id, declared) {
      if (declared === false) return undefined;
      const own = declared?.own ?? [];
      checkMethod(id, declared, shared);
      if (shared.length > 0 && commonSlot === undefined && !countsAlike([...shared, ...own])) {
        throw wrongGateway(
          "LIMITS_INVALID",
          `${id}: its limits count by another thing than all others, which is possible from the start only; start the gateway anew with it.`,
        );
      }
      // What is never decided together with the counters of another route may be where it likes.
      const slot = shared.length > 0 ? commonSlot : countsAlike(own) ? undefined : id;
      const step = (plan?: PlanLimits): Step | undefined => {
        const meters = metersOf(id, declared, plan);
        return meters.length === 0 ? undefined : stepWith(id, meters, slot);
      };
      if (!planOf) return step();
      const stepsOf = (given: SharedLimits["plans"]) =>
        new Map([...given].map(([name, list]) => [name, step({ name, limits: list })]));
      let steps = stepsOf(plans);
      replacers.push((given) => {
        const made = stepsOf(given);
        return () => {
          steps = made;
        };
      });
      return (exchange, next) => {
        const plan = planName(exchange.principal, planOf.claim);
        const chosen = plan !== undefined && steps.has(plan) ? steps.get(plan) : steps.get(planOf.otherwise);
        if (chosen) chosen(exchange, next);
        else next(exchange);
      };
    },
    replacePlans(given) {
      const commits = replacers.map((replacer) => replacer(given));
      return () => {
        for (const commit of commits) commit();
      };
    },
  };
}

interface PlanLimits {
  readonly name: string;
  readonly limits: readonly LimitPlan[];
}

function planName({ claims }: Principal, claim: string): string | undefined {
  const value = claims[claim];
  return typeof value === "string" ? value : undefined;
}

function settle(
  exchange: Exchange,
  meters: readonly Meter[],
  { policies, partitions }: Account,
  { allowed, states, lease }: Decision,
  next: (exchange: Exchange) => void,
  observe: RateLimitsOptions["observe"],
): void {
  let text = "";
  for (let i = 0; i < meters.length; i++) {
    const meter = meters[i] as Meter;
    const state = states[i];
    if (state === undefined) continue;
    observe?.(meter.name, state.fits ? "allowed" : "refused");
    if (state.fits !== allowed) continue;
    const item = stateText(meter.stateBeginning, state, partitions[i] as string);
    text = text === "" ? item : `${text}, ${item}`;
  }
  exchange.addHeader("ratelimit-policy", policies);
  if (text !== "") exchange.addHeader("ratelimit", text);
  if (!allowed) throw refusalOf(meters, states);
  if (lease) exchange.atEnd(() => lease.release());
  next(exchange);
}

function refusalOf(meters: readonly Meter[], states: readonly QuotaState[]): Error {
  const names: string[] = [];
  let seconds = 1;
  for (const [i, state] of states.entries()) {
    if (state.fits) continue;
    names.push((meters[i] as Meter).name);
    seconds = Math.max(seconds, Math.ceil(state.retryMs / 1000), resetSeconds(state));
  }
  return quotaExceeded(names, seconds);
}

/**
 * Where a store that is spread over several servers keeps the app's limits, and with them those of each method, which are
 * decided in the same step: all in one place; or each partition in its own (undefined), where all count by the same.
 */
function slotOfShared(shared: readonly LimitPlan[], all: RateLimitsOptions["all"]): string | undefined {
  return countsAlike([...shared, ...all.flatMap((each) => (each ? each.own : []))]) ? undefined : "shared";
}

function countsAlike(plans: readonly LimitPlan[]): boolean {
  return new Set(plans.map(({ by }) => JSON.stringify(by))).size <= 1;
}

/** In one answer every limit has a name of its own. */
function checkPlans({ limits, plans }: RateLimitsOptions): void {
  const problems: string[] = [];
  for (const [plan, list] of plans) {
    for (const { name } of list) {
      if (limits.some((each) => each.name === name))
        problems.push(
          `gateway: plans.${plan}: "${name}" is a limit of all plans too; give one of them another "name".`,
        );
    }
  }
  if (problems.length > 0) throw wrongGateway("LIMITS_INVALID", problems);
}

/** ... and what a method names of the app's is there. */
function checkMethod(id: string, declared: MethodLimits | undefined, shared: readonly LimitPlan[]): void {
  const names = new Set(shared.map(({ name }) => name));
  const taken = (declared?.own ?? []).filter(({ name }) => names.has(name));
  const unknown = [...(declared?.sharedCosts.keys() ?? [])].filter((name) => !names.has(name));
  const problems = [
    ...taken.map(
      ({ name }) => `${id}: limits: the gateway has a limit "${name}" for all; give this one another "name".`,
    ),
    ...unknown.map(
      (name) => `${id}: limits: there is no shared limit "${name}"; there are ${[...names].join(", ") || "none"}.`,
    ),
  ];
  if (problems.length > 0) throw wrongGateway("LIMITS_INVALID", problems);
}
