import type { Clock, Random } from "../base/index.ts";
import { systemClock, systemRandom } from "../base/index.ts";
import type { Declared, Gateway, GatewayFile, OutsideOptions, ReloadPlan } from "../gateway/index.ts";
import { createReload, parseGatewayFile, planReload } from "../gateway/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import { createMetrics } from "../telemetry/index.ts";
import type { Upstream, UpstreamOptions } from "../upstream/index.ts";
import { createUpstream } from "../upstream/index.ts";
import type { App } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import { checkApp } from "./check.ts";
import { plansWith, preparePlans } from "./gateway-plans.ts";
import { serviceSplitsOf } from "./gateway-split.ts";
import type { Settings } from "./settings.ts";

/** The outside systems behind this process's gateway, and the file that may change what it does with them. */
export interface ProcessOutside {
  /** For the gateway. */
  readonly options: OutsideOptions;
  /** Ready before the gateway takes requests. */
  componentsOf(gateway: Gateway): readonly Component[];
}

export interface OutsideProcessOptions {
  readonly checked: CheckedApp;
  readonly settings: Pick<Settings, "upstreams" | "gatewayFile">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export function createOutside(options: OutsideProcessOptions): ProcessOutside {
  const { checked, settings, clock, random, log, metrics } = options;
  const { routes = [], splits = {} } = checked.app.gateway;
  const ofServices = serviceSplitsOf(checked.app.gateway, checked.served);
  const ofUpstreams = Object.fromEntries(Object.entries(splits).filter(([name]) => !Object.hasOwn(ofServices, name)));
  const declared = declaredUpstreams(checked, settings);
  const upstreams = new Map(
    Object.entries(declared).map(([name, each]) => [
      name,
      createUpstream(name, each, {
        clock,
        random,
        metrics,
        log: (level, message, fields) => log[level](fields, message),
      }),
    ]),
  );
  return {
    options: { upstreams, splits: ofUpstreams, routes },
    componentsOf: (gateway) => [
      ...(upstreams.size > 0 ? [upstreamComponent(upstreams)] : []),
      ...(settings.gatewayFile === undefined
        ? []
        : [reloadComponent(settings.gatewayFile, gateway, upstreams, declared, options)]),
    ],
  };
}

/** Whether the gateway keeps answers of outside systems. */
export function keepsOutside({ gateway }: App): boolean {
  return (gateway.routes ?? []).some(({ cache }) => cache !== undefined);
}

/** What the app declares, at the addresses that the settings know. */
export function declaredUpstreams(
  { app }: CheckedApp,
  settings: Pick<Settings, "upstreams">,
): Readonly<Record<string, UpstreamOptions>> {
  return Object.fromEntries(
    Object.entries(app.gateway.upstreams ?? {}).map(([name, declared]) => {
      const targets = settings.upstreams?.get(name);
      return [name, targets ? { ...declared, targets } : declared];
    }),
  );
}

function upstreamComponent(upstreams: ReadonlyMap<string, Upstream>): Component {
  const all = [...upstreams.values()];
  return {
    name: "upstreams",
    needs: ["telemetry"],
    async start() {
      await Promise.all(all.map((upstream) => upstream.start()));
    },
    async drain() {
      await Promise.all(all.map((upstream) => upstream.drain()));
    },
    async stop() {
      await Promise.all(all.map((upstream) => upstream.close()));
    },
  };
}

function reloadComponent(
  path: string,
  gateway: Gateway,
  upstreams: ReadonlyMap<string, Upstream>,
  declared: Readonly<Record<string, UpstreamOptions>>,
  { checked, clock, log, metrics }: OutsideProcessOptions,
): Component {
  let current: ReadonlyMap<string, UpstreamOptions> = new Map(Object.entries(declared));
  const apply = (file: GatewayFile): readonly string[] => {
    const problems: string[] = [];
    const plan = planReload(file, declaredFor(checked, declared), problems);
    const plans = plansWith(checked, plan.plans, problems);
    const takePlans = preparePlans(gateway, plans, problems);
    if (problems.length > 0) return problems;
    const refused = moveUpstreams(upstreams, current, plan.upstreams);
    if (refused.length > 0) return refused;
    current = plan.upstreams;
    take(plan, gateway);
    takePlans();
    return [];
  };
  const reload = createReload({ path, clock, log, metrics, apply });
  return { name: "gateway file", needs: ["telemetry"], start: () => reload.start(), stop: () => reload.stop() };
}

/** What the code declares, as far as the file may change it. */
function declaredFor({ app, served }: CheckedApp, upstreams: Readonly<Record<string, UpstreamOptions>>): Declared {
  const { splits = {}, routes = [] } = app.gateway;
  return { upstreams, splits, routes, names: [...new Set(served.flatMap(({ id, service }) => [id, service]))] };
}

/** Everything that is wrong with a gateway's file for this app; empty when it would be taken. Starts nothing. */
export function checkGatewayFile(definition: App, text: string): readonly string[] {
  const { file, problems: unread } = parseGatewayFile(text);
  if (!file) return unread;
  const checked = checkApp(definition);
  const problems: string[] = [];
  const plan = planReload(file, declaredFor(checked, definition.gateway.upstreams ?? {}), problems);
  plansWith(checked, plan.plans, problems);
  const parts = { clock: systemClock, random: systemRandom, metrics: createMetrics() };
  for (const [name, options] of plan.upstreams) {
    try {
      void createUpstream(name, options, parts).close();
    } catch (thrown) {
      problems.push(`upstreams.${name}: ${(thrown as Error).message}`);
    }
  }
  return problems;
}

/** All or none: what was changed before one refused is put back. */
function moveUpstreams(
  upstreams: ReadonlyMap<string, Upstream>,
  from: ReadonlyMap<string, UpstreamOptions>,
  to: ReadonlyMap<string, UpstreamOptions>,
): readonly string[] {
  const moved: string[] = [];
  for (const [name, options] of to) {
    const before = from.get(name);
    if (before === options || JSON.stringify(before?.targets) === JSON.stringify(options.targets)) continue;
    try {
      upstreams.get(name)?.update(options);
      moved.push(name);
    } catch (thrown) {
      for (const each of moved) upstreams.get(each)?.update(from.get(each) as UpstreamOptions);
      return [`upstreams.${name}: ${(thrown as Error).message}`];
    }
  }
  return [];
}

function take({ splits, mirrors, maintenance }: ReloadPlan, gateway: Gateway): void {
  for (const [name, plan] of splits) gateway.outside.splits.get(name)?.replace(plan);
  for (const [name, mirroring] of mirrors) gateway.outside.mirrors.get(name)?.replace(mirroring);
  gateway.maintenance.replace(maintenance);
}
