/** Services that Plinth did not write, behind its gateway: targets, balancing, health, retries, tunnels. */
export type { UpstreamParts } from "./http-upstream.ts";
export { createUpstream } from "./http-upstream.ts";
export type { UpstreamLog } from "./log.ts";
export type { Resolve } from "./resolver.ts";
export type {
  ForwardAnswer,
  ForwardClient,
  ForwardReceiver,
  ForwardRequest,
  TargetState,
  UpgradeEnd,
  UpgradeRequest,
  Upstream,
} from "./upstream.ts";
export type {
  HealthOptions,
  OutlierOptions,
  UpstreamBreakerOptions,
  UpstreamLimits,
  UpstreamOptions,
  UpstreamRetryOptions,
  UpstreamTarget,
} from "./upstream-options.ts";
