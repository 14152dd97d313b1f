/** For proof only: destinations that remember, and a strict reader of metrics. */
export type { Exposition, ExpositionFamily, ExpositionSample } from "./exposition-reader.ts";
export { readExposition } from "./exposition-reader.ts";
export type { MemoryDestination } from "./memory-destination.ts";
export { createMemoryDestination } from "./memory-destination.ts";
