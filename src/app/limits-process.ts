import type { Clock, Random } from "../base/index.ts";
import type { QuotaOptions, TrustedProxiesOptions } from "../gateway/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { LimitDriver, Limiter } from "../limits/index.ts";
import { createLimiter, createMemoryLimits } from "../limits/index.ts";
import type { Counter, Logger, Metrics } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import { wholeGroup } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import { portIfServed, portOf } from "./engine-of.ts";
import type { CheckedLimits } from "./limits.ts";
import type { Settings } from "./settings.ts";

export interface ProcessLimits {
  readonly component: Component;
  readonly quotas: QuotaOptions;
}

export interface ProcessLimitsOptions {
  readonly checked: CheckedApp;
  readonly group: string | undefined;
  readonly settings: Pick<Settings, "limitsUrl" | "cacheUrl" | "processes">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** False: whatever is declared, nothing is limited. */
  readonly limits: boolean;
}

/** What the gateway of this process counts with. Undefined where nothing is limited. */
export async function createProcessLimits(options: ProcessLimitsOptions): Promise<ProcessLimits | undefined> {
  const { checked, settings, clock, random, log, metrics, group } = options;
  const { limits } = checked;
  if (!options.limits) return withoutLimits(limits, checked.app.name);
  const isLimited =
    limits.limits.length > 0 ||
    limits.plans.size > 0 ||
    [...checked.served, ...(checked.app.gateway.routes ?? [])].some((each) => each.limits);
  if (!isLimited && !limits.authFailures) return undefined;
  // Refused credentials alone are no reason for a connection to the server of the cache.
  const driver =
    isLimited || settings.limitsUrl !== undefined ? await openStore(options) : createMemoryLimits({ clock });
  const { whenDown = "local", timeout = 50 } = checked.app.gateway.limitStore ?? {};
  const limiter = createLimiter({
    driver,
    whenDown,
    timeout,
    processes: settings.processes?.get(group ?? wholeGroup) ?? 1,
    clock,
    random,
    onChange(isDown, cause) {
      if (isDown) log.warn({ err: cause, whenDown }, "the store of the limits does not answer");
      else log.info({}, "the store of the limits is there again");
    },
  });
  return {
    component: {
      name: "limits",
      needs: ["telemetry"],
      start: () => limiter.open(),
      stop: () => limiter.close(),
    },
    quotas: { ...limits, limiter, namespace: checked.app.name, observe: measureLimits(metrics, limiter) },
  };
}

function withoutLimits(limits: CheckedLimits, namespace: string): ProcessLimits {
  const everything = { allowed: true, states: [], by: "none", lease: undefined } as const;
  const limiter: Limiter = {
    open: async () => {},
    take: () => everything,
    close: async () => {},
    stats: { failureCount: 0, withoutStoreCount: 0, isDown: false, leaseCount: 0 },
  };
  return { component: { name: "limits" }, quotas: { ...limits, authFailures: undefined, limiter, namespace } };
}

/** The server of LIMITS_URL; unset, that of the cache where it can count; else this process alone. */
async function openStore({ settings, clock, random }: ProcessLimitsOptions): Promise<LimitDriver> {
  const { limitsUrl, cacheUrl } = settings;
  if (limitsUrl !== undefined) {
    const { open, url } = await portOf("LIMITS_URL", limitsUrl, "limiter");
    return open(url, { clock, random });
  }
  const shared = cacheUrl === undefined ? undefined : await portIfServed(cacheUrl, "limiter");
  return shared ? shared.open(shared.url, { clock, random }) : createMemoryLimits({ clock });
}

function measureLimits(metrics: Metrics, limiter: Limiter): (limit: string, outcome: "allowed" | "refused") => void {
  const decisions = metrics.counter("plinth_limit_decisions_total", "What came of limits, by limit.", [
    "limit",
    "outcome",
  ]);
  const failures = metrics.counter("plinth_limit_store_failures_total", "What the store of the limits did not answer.");
  const without = metrics.counter("plinth_limit_without_store_total", "Decisions taken without it.");
  const down = metrics.gauge("plinth_limit_store_down", "1 while it is left alone.");
  const leases = metrics.gauge("plinth_limit_places_held", "Requests that hold places of a concurrency limit.");
  metrics.collect(() => {
    const { failureCount, withoutStoreCount, isDown, leaseCount } = limiter.stats;
    failures.with().advanceTo(failureCount);
    without.with().advanceTo(withoutStoreCount);
    down.with().set(isDown ? 1 : 0);
    leases.with().set(leaseCount);
  });
  const known = { allowed: new Map<string, Counter>(), refused: new Map<string, Counter>() };
  return (limit, outcome) => {
    let counter = known[outcome].get(limit);
    if (!counter) {
      counter = decisions.with({ limit, outcome });
      known[outcome].set(limit, counter);
    }
    counter.add();
  };
}

/** What a process is told of the proxies before it stands above what the app says. */
export function trustedProxiesOf(
  { gateway }: App,
  { trustedProxies: given }: Pick<Settings, "trustedProxies">,
): { readonly trustedProxies?: TrustedProxiesOptions } {
  const declared = gateway.trustedProxies;
  if (given === undefined) return declared === undefined ? {} : { trustedProxies: declared };
  const count = given.length === 1 && /^\d{1,2}$/.test(given[0] as string) ? Number(given[0]) : undefined;
  const rest = typeof declared === "object" && "proxies" in declared ? declared : {};
  return { trustedProxies: { ...rest, proxies: count ?? given } };
}
