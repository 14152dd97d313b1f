/** Calls between the processes of an app, and to HTTP services outside it. */
export type { RpcClient, RpcClientOptions, RpcClientState } from "./client.ts";
export { createRpcClient } from "./client.ts";
export type { RpcClientLimits } from "./client-limits.ts";
export type { HttpClient, HttpClientLimits, HttpClientOptions } from "./http-client.ts";
export { createHttpClient } from "./http-client.ts";
export type { HttpTarget } from "./http-message.ts";
export type { RpcLog } from "./log.ts";
export type { RpcMethod, RpcServerMethod } from "./method.ts";
export type { RpcServer, RpcServerLimits, RpcServerOptions, RpcServerStats } from "./server.ts";
export { createRpcServer } from "./server.ts";
export type { CallTrace, StartTrace } from "./session.ts";
export type { RpcTls } from "./tls.ts";
