/** The ground: what every other room stands on. Imports nothing but Node. Time, randomness and timers live here alone. */
export { assert, throwLater, unreachable } from "./assert.ts";
export type {
  Call,
  CallContext,
  Policy,
  Principal,
  ScopeChanges,
  ScopeFields,
  StreamCall,
  Trace,
  TraceIds,
} from "./call.ts";
export { anonymous, CallScope, deadlineExceeded, servicePrincipal } from "./call.ts";
export type { Clock, ManualClock } from "./clock.ts";
export { createManualClock, systemClock } from "./clock.ts";
export type { DeadlineEntry, Deadlines } from "./deadlines.ts";
export { createDeadlines } from "./deadlines.ts";
export type { ErrorCode, ErrorOptions, Executed, Retry } from "./errors.ts";
export { error, errorCodes, isError, isErrorCode, PlinthError, StartError, toPlinthError } from "./errors.ts";
export type { Faults, FaultsOptions } from "./faults.ts";
export { createFaults } from "./faults.ts";
export { createIds, newId } from "./ids.ts";
export type { Json, JsonSchema } from "./json.ts";
export { Position, placeUnknown } from "./position.ts";
export type { Random } from "./random.ts";
export { createSeededRandom, systemRandom } from "./random.ts";
export type { Duration, Size } from "./units.ts";
export { parseDuration, parseSize, toBytes, toMs } from "./units.ts";
