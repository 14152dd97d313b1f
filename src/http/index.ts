/** HTTP connections to what is outside of this process: pools, single exchanges, and where they may go at all. */
export type { AddressKind } from "./address-kind.ts";
export { addressKindOf } from "./address-kind.ts";
export type { Egress } from "./egress.ts";
export { answerUnreadable } from "./errors.ts";
export type { ExchangeEvents, HttpExchange } from "./exchange.ts";
export type { FetchedJson, FetchOptions, HttpFetcher, HttpFetcherOptions } from "./http-fetcher.ts";
export { createHttpFetcher } from "./http-fetcher.ts";
export type { HttpPool, HttpPoolLimits, HttpPoolOptions, HttpRequest } from "./http-pool.ts";
export { createHttpPool } from "./http-pool.ts";
export type { HttpTls } from "./tls.ts";
