import type { Random } from "../base/index.ts";
import type { Gateway, GatewayRoute, Page } from "../gateway/index.ts";
import { createGateway } from "../gateway/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { IdentityProvider } from "../provider/index.ts";
import type { Overload } from "../resilience/index.ts";
import type { App } from "./app.ts";
import type { ProcessOutside } from "./gateway-outside.ts";
import { createOutside } from "./gateway-outside.ts";
import { serviceSplitsOf, withVariants } from "./gateway-split.ts";
import { createEdgeIdentity } from "./identity.ts";
import type { ProcessLimits } from "./limits-process.ts";
import { createProcessLimits, trustedProxiesOf } from "./limits-process.ts";
import { createAppProvider, providerComponent, providerMounts } from "./provider.ts";
import type { Settings } from "./settings.ts";
import type { Signals } from "./signals.ts";
import type { EdgeTls } from "./tls.ts";
import { createProcessTls } from "./tls.ts";

/** What the gateway of a process is made of. */
export type EdgeParts = Omit<Parameters<typeof createEdgeIdentity>[0], "provider" | "log"> & {
  readonly definition: App;
  readonly settings: Settings;
  readonly signals: Signals;
  readonly pages: readonly Page[];
  readonly random: Random;
  readonly overload: Overload | undefined;
  readonly limits: ProcessLimits | undefined;
  readonly provider: IdentityProvider | undefined;
  readonly outside: ProcessOutside;
  readonly tls: EdgeTls;
};

/** The gateway of a process, and what it stands on. */
export interface ProcessEdge {
  readonly gateway: Gateway;
  /** To be started before it. `after`: what keeps the database in order. */
  componentsOf(options: { readonly after: readonly string[]; readonly listen: boolean }): readonly Component[];
}

type ProcessEdgeParts = Omit<EdgeParts, "limits" | "provider" | "outside" | "tls"> &
  Parameters<typeof createAppProvider>[0] &
  Omit<Parameters<typeof createProcessLimits>[0], "log" | "metrics">;

export async function createProcessEdge(
  parts: Omit<ProcessEdgeParts, "log">,
  routes: readonly GatewayRoute[],
): Promise<ProcessEdge> {
  const { settings } = parts;
  const { metrics, log } = parts.signals;
  const told = { ...parts, metrics, log };
  const limits = await createProcessLimits(told);
  const provider = await createAppProvider(told);
  const outside = createOutside(told);
  const secure = await createProcessTls(told);
  const gateway = createEdge({ ...parts, limits, provider, outside, tls: secure.options }, routes);
  return {
    gateway,
    componentsOf: ({ after, listen }) => [
      ...(limits ? [limits.component] : []),
      ...(provider ? [providerComponent(provider, { settings, log, needs: after })] : []),
      ...outside.componentsOf(gateway),
      ...(listen ? secure.components : []),
    ],
  };
}

/** The app's declarations, as the gateway takes them. */
function createEdge(parts: EdgeParts, routes: readonly GatewayRoute[]): Gateway {
  const { definition, settings, signals, clock, random, limits, provider } = parts;
  const { cors, csrf, inspect, hosts, versions } = definition.gateway;
  const mounts = [...(definition.gateway.mounts ?? []), ...(provider ? providerMounts(provider) : [])];
  const { authenticator, pages } = createEdgeIdentity({ ...parts, provider, log: signals.log });
  return createGateway({
    routes: withVariants(definition.gateway, routes),
    serviceSplits: serviceSplitsOf(
      definition.gateway,
      routes.map(({ operation }) => operation),
    ),
    host: settings.host,
    port: settings.port,
    mode: settings.mode,
    log: signals.log,
    accessLog: signals.accessLog,
    tracer: signals.tracer,
    metrics: signals.metrics,
    clock,
    random,
    realm: definition.name,
    overload: parts.overload,
    pages: [...parts.pages, ...pages],
    versions: { vendor: definition.name, ...versions },
    outside: parts.outside.options,
    ...(authenticator && { authenticator }),
    ...(limits && { quotas: limits.quotas }),
    ...trustedProxiesOf(definition, settings),
    ...(cors && { cors }),
    csrf,
    inspect,
    ...(hosts && { hosts }),
    ...parts.tls,
    mounts,
  });
}
