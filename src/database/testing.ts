/** The second door, for proof only: the conformance suite of the database port, and a driver that loses connections. */
export type { DatabaseFaults, FaultyDatabase } from "./faulty.ts";
export { createFaultyDatabase } from "./faulty.ts";
export type { DatabaseCase, DatabaseSuiteOptions } from "./suite.ts";
export { databaseSuite } from "./suite.ts";
