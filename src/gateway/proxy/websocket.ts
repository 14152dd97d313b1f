import { error } from "../../base/index.ts";
import type { Upstream } from "../../upstream/index.ts";
import { HttpError } from "../../wire/index.ts";
import type { Exchange } from "../exchange.ts";
import type { ResolvedRoute, WebSocketOptions } from "./route.ts";
import type { RequestMaker } from "./scope.ts";
import { ForwardScope } from "./scope.ts";
import type { Tunnel } from "./websocket-tunnel.ts";

/** ORIGIN_NOT_ALLOWED: a page of another origin, or none was named, wants to open a WebSocket. */
const originNotAllowed = (origin: string | undefined) =>
  error(
    "permission_denied",
    origin === undefined
      ? "A WebSocket is opened by pages of declared origins; this request names no origin."
      : "Pages of this origin may not open a WebSocket here.",
    { reason: "ORIGIN_NOT_ALLOWED", executed: "no" },
  );

/** UPGRADE_REFUSED: the path takes no WebSockets, or the handshake is none. */
const upgradeRefused = (what: string) =>
  new HttpError(400, "invalid_argument", `The connection cannot be upgraded: ${what}.`, { reason: "UPGRADE_REFUSED" });

/**
 * Refuses what is no WebSocket handshake of a declared origin (RFC 6455, 4.2.1 and 10.2). A browser opens WebSockets for
 * any page and sends the user's cookies along: only its `Origin` tells a page of ours from another.
 */
export function checkHandshake({ headers, req }: Exchange, options: WebSocketOptions): void {
  if (req.method !== "GET") throw upgradeRefused("a WebSocket begins with GET");
  if (headers["sec-websocket-version"] !== "13") {
    throw new HttpError(426, "invalid_argument", "WebSockets of version 13 are spoken here.", {
      reason: "UPGRADE_REFUSED",
      headers: { "sec-websocket-version": "13", upgrade: "websocket", connection: "upgrade" },
    });
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers["sec-websocket-key"] ?? "")) throw upgradeRefused("its key is none");
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) {
    throw upgradeRefused("it has a body");
  }
  const { origin } = headers;
  const isAllowed = origin === undefined ? options.withoutOrigin === true : options.origins.includes(origin);
  if (!isAllowed) throw originNotAllowed(origin);
}

export interface TunnelParts {
  readonly route: ResolvedRoute;
  readonly upstream: Upstream;
  readonly toRequest: RequestMaker;
}

/** Hands the client's connection over. From here on the upstream answers on it, also when the target refuses. */
export function openTunnel(exchange: Exchange, tunnel: Tunnel, { route, upstream, toRequest }: TunnelParts): void {
  const { websocket } = route.route;
  if (!websocket) throw upgradeRefused("nothing at this path takes WebSockets");
  checkHandshake(exchange, websocket);
  const scope = new ForwardScope(exchange, route.deadlineMs);
  const {
    body: _body,
    onCancel: _onCancel,
    isIdempotent: _idempotent,
    ...request
  } = toRequest(exchange, undefined, scope);
  const { socket, head } = tunnel;
  const { edge } = exchange;
  exchange.handOver();
  exchange.onDrain = (delayMs) => {
    const cancel = edge.clock.after(delayMs, () => socket.destroy());
    socket.once("close", cancel);
  };
  if (edge.draining) exchange.onDrain(0);
  upstream.upgrade(
    {
      ...request,
      headers: [...request.headers, "upgrade", "websocket"],
      onEnd: ({ status, reason, bytesFromClient, bytesFromTarget }) => {
        if (exchange.isOver) return;
        exchange.requestBytes = bytesFromClient;
        exchange.responseBytes = bytesFromTarget;
        exchange.reason = reason;
        exchange.finish(status);
      },
    },
    socket,
    head,
  );
}
