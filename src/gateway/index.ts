/** The HTTP edge: turns outside HTTP into calls, exactly and cheaply, and answers every error as problem details. */
export type { CompressionOptions } from "./compression.ts";
export type { CorsOptions } from "./cors.ts";
export type { Gateway, GatewayOptions } from "./gateway.ts";
export { createGateway } from "./gateway.ts";
export type { GatewayRoute, ServedAt } from "./gateway-route.ts";
export type { HeaderOptions } from "./head.ts";
export type { GatewayLimits } from "./limits.ts";
export type { Mirroring } from "./mirror.ts";
export type { Mount, MountedCall } from "./mount.ts";
export type { Page } from "./page.ts";
export type { OutsideRoute, Redirect, StreamsOptions, WebSocketOptions } from "./proxy-route.ts";
export type { Outside, OutsideOptions } from "./proxy-table.ts";
export type { QuotaOptions } from "./rate-limit-edge.ts";
export type { GatewayServer, GatewayStats } from "./server.ts";
export type { SplitOptions, SplitRule, StickyKey } from "./split.ts";
export type { HeaderChanges } from "./transform.ts";
export type { TrustedProxiesOptions } from "./trusted-proxies.ts";
export type { VersionOptions } from "./version.ts";
