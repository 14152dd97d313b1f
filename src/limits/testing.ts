/** The second door, for proof only: the conformance suite of the limiter port, and a driver that misbehaves. */
export type { FaultyLimits } from "./faulty.ts";
export { createFaultyLimits } from "./faulty.ts";
export type { LimitCase, LimitSuiteOptions } from "./suite.ts";
export { limitSuite } from "./suite.ts";
