/** The public face of Plinth: everything that an app is written with. */
import type { App, Runtime, RuntimeOptions } from "./app/index.ts";
import { createRuntime as createPlainRuntime } from "./app/index.ts";
import { pagesOf } from "./generators/index.ts";

export type { Addresses, App, AppOptions, GatewayOptions, Runtime, RuntimeOptions } from "./app/index.ts";
export { app, upstream } from "./app/index.ts";
export type { Clock, Duration, ErrorCode, Principal, Random, Size, Trace } from "./base/index.ts";
export { isError, newId, PlinthError, StartError } from "./base/index.ts";
export type { Cache } from "./cache/index.ts";
export type { Database, ReadDatabase, Transaction } from "./database/index.ts";
export { sql } from "./database/index.ts";
export type {
  AcmeOptions,
  CorsOptions,
  CsrfOptions,
  HstsOptions,
  InspectOptions,
  Mount,
  MountedCall,
  OutsideRoute,
  SplitOptions,
  TlsOptions,
  TrustedProxiesOptions,
  VersionOptions,
} from "./gateway/index.ts";
export type {
  ApiKeysOptions,
  ClaimNames,
  DpopOptions,
  IdentityOptions,
  IssuerDefinition,
  IssuerOptions,
  TokenIssuer,
} from "./identity/index.ts";
export { apiKeys, issuer } from "./identity/index.ts";
export type {
  ClientKind,
  ClientOptions,
  ProviderDefinition,
  ProviderOptions,
  ProviderTtl,
  ScopeOptions,
} from "./provider/index.ts";
export { provider } from "./provider/index.ts";
export type { Infer, InferInput, Schema } from "./schema/index.ts";
export { t } from "./schema/index.ts";
export type {
  Access,
  CallOptions,
  Client,
  Contract,
  Deprecation,
  EventDefinition,
  Events,
  Limit,
  LimitBy,
  LimitCost,
  LimitedRequest,
  MethodContext,
  MethodLimit,
  Payload,
  RawRequest,
  RawResponse,
  Resource,
  ScheduleContext,
  SharedLimit,
  SubscriptionContext,
} from "./service/index.ts";
export {
  cache,
  contract,
  database,
  event,
  external,
  method,
  raw,
  resource,
  secret,
  service,
  setting,
  stream,
  tokens,
} from "./service/index.ts";
export type { ShardedDatabase } from "./shards/index.ts";
export type { UpstreamOptions } from "./upstream/index.ts";

/**
 * Puts a process of an app together, or one group of it; nothing is opened before `start`. Where it listens itself it
 * serves the API reference at `/docs` and the OpenAPI document at `/openapi.json`, unless the app says `docs: false` or
 * `options.pages` has others; mounted in another app it leaves those paths to that one.
 */
export function createRuntime(definition: App, options: RuntimeOptions = {}): Promise<Runtime> {
  return createPlainRuntime(definition, options.listen === false ? options : { pages: pagesOf, ...options });
}
