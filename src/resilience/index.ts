/**
 * What stands around a call: deadline, retry, circuit breaker, bulkhead. Each is a `Policy` over base's `Call`.
 * The essay, with the order they are put in, is in `policy.ts`.
 */
export type { Lane } from "./adaptive-limit.ts";
export { createLane } from "./adaptive-limit.ts";
export type { Bulkhead, BulkheadOptions } from "./bulkhead.ts";
export { createBulkhead } from "./bulkhead.ts";
export type { BreakerState, CircuitBreaker, CircuitBreakerOptions } from "./circuit-breaker.ts";
export { createCircuitBreaker } from "./circuit-breaker.ts";
export type { Criticality, Level } from "./criticality.ts";
export { criticalities, isCriticality, levelOf, toLevel } from "./criticality.ts";
export type { DeadlineOptions, TimeoutOptions } from "./deadline.ts";
export { deadline, deadlineStream, timeout, untilCancelled } from "./deadline.ts";
export { overloaded } from "./errors.ts";
export type { GuardedOptions } from "./guarded.ts";
export { guarded } from "./guarded.ts";
export type { HedgeOptions } from "./hedge.ts";
export { hedge } from "./hedge.ts";
export type { Overload, OverloadOptions, OverloadStats, Pass, ShedReason } from "./overload.ts";
export { createOverload, inFlightMaxDefault, waitMaxMsOf } from "./overload.ts";
export type { Waiter } from "./overload-queue.ts";
export type { StreamPolicy } from "./policy.ts";
export { compose, composeStreams } from "./policy.ts";
export type { RetryOptions } from "./retry.ts";
export { canRetry, retry } from "./retry.ts";
export type { RetryBudget, RetryBudgetOptions } from "./retry-budget.ts";
export { createRetryBudget } from "./retry-budget.ts";
export type { TimeLimit, TimeLimitOptions } from "./time-limit.ts";
export { createTimeLimit } from "./time-limit.ts";
