/**
 * Verification: what proves that the promises hold. Faults (`faults/`), histories of what was done and seen, checkers that
 * judge them (`checkers/`), and the conformance suites of the ports on a user's own engine (`suites.ts`).
 */

export type { Credential, Expectation } from "./access/access-case.ts";
export type { AccessMatrixOptions, AccessReport, AccessRow, AccessSample } from "./access/access-matrix.ts";
export { verifyAccess } from "./access/access-matrix.ts";
export type { AccessTokens, AccessTokensOptions } from "./access/access-tokens.ts";
export { createAccessTokens } from "./access/access-tokens.ts";
export type { BankOptions } from "./checkers/bank.ts";
export { checkBank } from "./checkers/bank.ts";
export type { CacheOptions, CacheSample } from "./checkers/cache.ts";
export { checkCache } from "./checkers/cache.ts";
export type { FaultEvidence } from "./checkers/fault.ts";
export { checkFaultsBit } from "./checkers/fault.ts";
export type { IdempotencyOptions } from "./checkers/idempotency.ts";
export { checkIdempotency } from "./checkers/idempotency.ts";
export type { LeaderOptions, Term, TicksOptions } from "./checkers/leader.ts";
export { checkLeader, checkTicks } from "./checkers/leader.ts";
export type { LedgerOptions } from "./checkers/ledger.ts";
export { checkLedger } from "./checkers/ledger.ts";
export type { OrderOptions, SequencedEffect } from "./checkers/order.ts";
export { checkOrder } from "./checkers/order.ts";
export type { PlacementOptions } from "./checkers/placement.ts";
export { checkPlacement } from "./checkers/placement.ts";
export type { RecoveryOptions } from "./checkers/recovery.ts";
export { checkRecovery } from "./checkers/recovery.ts";
export type { SetAdd, SetOptions, SetRead } from "./checkers/set.ts";
export { checkSet } from "./checkers/set.ts";
export type { Finding, Verdict } from "./checkers/verdict.ts";
export { combineVerdicts } from "./checkers/verdict.ts";
export type { EngineSetting } from "./engine-settings.ts";
export type { FaultCounts, StreamCounts } from "./faults/counts.ts";
export type { Direction, FaultScope, Faults, StreamFaults } from "./faults/fault.ts";
export type { FaultProxy, FaultProxyOptions, FaultTarget } from "./faults/proxy.ts";
export { createFaultProxy, throughProxy } from "./faults/proxy.ts";
export type { FaultAction, FaultHit, FaultRule, LineProtocol } from "./faults/rule.ts";
export type { SpawnedFaultProxy, SpawnedProxyOptions } from "./faults/spawn.ts";
export { spawnFaultProxy } from "./faults/spawn.ts";
export type { Begun, History, HistoryFile, HistoryLimits, Operation, Outcome } from "./history.ts";
export { createHistory, readHistory } from "./history.ts";
export type { CaseResult, EngineReport, VerifyEngineOptions } from "./suites.ts";
export { caseNames, verifyEngine } from "./suites.ts";
