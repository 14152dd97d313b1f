/** The second door, for proof only: the broker suite and the faulty broker. */
export type { FaultyBrokerOptions } from "./faulty.ts";
export { createFaultyBroker } from "./faulty.ts";
export type { BrokerCase, BrokerSuiteOptions } from "./suite.ts";
export { brokerSuite } from "./suite.ts";
export type { BrokerWorld } from "./suite-claim.ts";
