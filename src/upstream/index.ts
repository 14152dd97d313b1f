/** Services that Plinth did not write, behind its gateway: targets, balancing, health, retries, tunnels. */
export type {
  ForwardAnswer,
  ForwardClient,
  ForwardRequest,
  TargetState,
  UpgradeEnd,
  UpgradeRequest,
  Upstream,
} from "./upstream.ts";
export type {
  Balance,
  HealthOptions,
  OutlierOptions,
  UpstreamBreakerOptions,
  UpstreamLimits,
  UpstreamOptions,
  UpstreamRetryOptions,
  UpstreamTarget,
} from "./upstream-options.ts";
