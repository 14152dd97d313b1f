/** Limits and quotas: how much each key may have, counted together by all processes that share a store. */
export type { Demand, LimitDriver, LimitFlags, Place, QuotaState, Taken } from "./driver.ts";
export { demandsMax } from "./driver.ts";
export { Keyed } from "./keyed.ts";
export type { Lease } from "./leases.ts";
export { placeHoldMs } from "./leases.ts";
export type { Decision, Limiter, LimiterOptions, LimiterStats, WhenDown } from "./limiter.ts";
export { createLimiter } from "./limiter.ts";
export type { MemoryLimitsOptions } from "./memory.ts";
export { createMemoryLimits } from "./memory.ts";
export type { BucketRule, CalendarRule, PlacesRule, Rule, WindowRule } from "./rule.ts";
export { capacityOf, faultOf, sliceCount } from "./rule.ts";
