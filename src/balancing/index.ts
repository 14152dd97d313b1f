/** Which of several that do the same takes the next request: pickers, slow start, zones, and those that are left out. */
export type { Balance, Balancer, BalancerEvents, BalancerOptions, PickRequest } from "./balancer.ts";
export { createBalancer } from "./balancer.ts";
export type { MemberOptions, MemberState } from "./member.ts";
export { Member } from "./member.ts";
export type { EjectionReason, OutlierRules } from "./outliers.ts";
export { defaultOutlierRules } from "./outliers.ts";
