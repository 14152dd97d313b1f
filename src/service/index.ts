/** One typed unit: its contract, its implementation, the context of a call, and the call itself, in the process or beyond. */
export type { Access, AccessCheck, AccessRule } from "./access.ts";
export { compileAccess, isAccess, objectRuleOf, rolesOf, scopesOf } from "./access.ts";
export type { ScheduleCall, SubscriptionCall } from "./background.ts";
export type { CallOptions, Client, ClientFactory } from "./client.ts";
export type { ClientOptions } from "./client-call.ts";
export { callDeadlineMs, compileClient } from "./client-call.ts";
export type {
  CallFacts,
  Events,
  Fail,
  MethodContext,
  RawContext,
  ScheduleContext,
  SubscriptionContext,
} from "./context.ts";
export type { AnyContract, Contract } from "./contract.ts";
export { contract } from "./contract.ts";
export type { Deprecation, DeprecationPlan } from "./deprecation.ts";
export { deprecationHeaders } from "./deprecation.ts";
export type { EventDeclaration, EventDefinition, Payload, PayloadInput } from "./event.ts";
export { event } from "./event.ts";
export type { ExternalService } from "./external.ts";
export { external } from "./external.ts";
export type { Publish, ResolvedNeed } from "./handler-context.ts";
export { reservedContextNames } from "./handler-context.ts";
export type { Keeper } from "./idempotency.ts";
export type { AnswerNotes } from "./kept-answer.ts";
export { notesOf } from "./kept-answer.ts";
export type { KeyPlan } from "./key-plan.ts";
export type { Idempotent, Keyed } from "./keyed.ts";
export type {
  ConcurrencyLimit,
  Limit,
  LimitBy,
  LimitCost,
  LimitedRequest,
  LimitPlan,
  MethodLimit,
  MethodLimits,
  QuotaLimit,
  SharedCost,
  SharedLimit,
} from "./limits.ts";
export { compileLimits, compileMethodLimits, limitsPerRequestMax } from "./limits.ts";
export type { Link } from "./link.ts";
export { createLocalLink } from "./link.ts";
export type {
  AnyMethod,
  HttpRoute,
  HttpVerb,
  RawMethod,
  RawRequest,
  RawResponse,
  StreamMethod,
  UnaryMethod,
} from "./method.ts";
export { method, raw, stream } from "./method.ts";
export type {
  CacheNeed,
  DatabaseNeed,
  Handle,
  Need,
  Needs,
  SecretNeed,
  SettingNeed,
  ShardedDatabaseNeed,
  TokenIssuer,
  TokensNeed,
} from "./needs.ts";
export { cache, database, secret, setting, tokens } from "./needs.ts";
export type { ResourceLoader } from "./object-access.ts";
export type { CachePlan, Operation, Route } from "./operation.ts";
export { compileOperations } from "./operation.ts";
export type { Resource } from "./resource.ts";
export { resource } from "./resource.ts";
export type {
  Handler,
  Schedule,
  ScheduleLimits,
  ScheduleTimes,
  ServiceDefinition,
  SubscriptionOptions,
} from "./service.ts";
export { service } from "./service.ts";
export type { ServiceUnit, UnitOptions } from "./unit.ts";
export { createUnit } from "./unit.ts";
export type { Versions } from "./version.ts";
