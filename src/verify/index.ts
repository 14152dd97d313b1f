/**
 * Verification: what proves that the promises hold. Faults (`faults/`), histories of what was done and seen, checkers that
 * judge them (`checkers/`), and the conformance suites of the ports on a user's own engine (`suites.ts`).
 */
export type { FaultCounts, StreamCounts } from "./faults/counts.ts";
export type { Direction, FaultScope, Faults, StreamFaults } from "./faults/fault.ts";
export type { FaultProxy, FaultProxyOptions, FaultTarget } from "./faults/proxy.ts";
export { createFaultProxy, throughProxy } from "./faults/proxy.ts";
export type { FaultAction, FaultHit, FaultRule, LineProtocol } from "./faults/rule.ts";
export type { SpawnedFaultProxy, SpawnedProxyOptions } from "./faults/spawn.ts";
export { spawnFaultProxy } from "./faults/spawn.ts";
