/** The public face of Plinth: everything that an app is written with. */
export type { Addresses, App, AppOptions, GatewayOptions, Runtime, RuntimeOptions } from "./app/index.ts";
export { app, createRuntime } from "./app/index.ts";
export type { Clock, Duration, ErrorCode, Principal, Random, Size, Trace } from "./base/index.ts";
export { isError, newId, PlinthError, StartError } from "./base/index.ts";
export type { Cache } from "./cache/index.ts";
export type { Database, Transaction } from "./database/index.ts";
export { sql } from "./database/index.ts";
export type { Infer, InferInput, Schema } from "./schema/index.ts";
export { t } from "./schema/index.ts";
export type {
  Access,
  CallOptions,
  Client,
  Contract,
  EventDefinition,
  MethodContext,
  Payload,
  RawRequest,
  RawResponse,
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
  secret,
  service,
  setting,
  stream,
  tokens,
} from "./service/index.ts";
