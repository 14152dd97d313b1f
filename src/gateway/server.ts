import { once } from "node:events";
import type { RequestListener, Server, ServerOptions } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Random } from "../base/index.ts";
import type { Metrics } from "../telemetry/index.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { isWebSocket } from "./dispatcher.ts";
import { expectationFailed, methodNotImplemented, shuttingDown, wrongGateway } from "./errors.ts";
import type { Edge } from "./exchange.ts";
import { GatewayRequest } from "./gateway-request.ts";
import type { Http2Sessions } from "./http2/http2.ts";
import { createHttp2Sessions } from "./http2/http2.ts";
import { answerBrokenConnection, answerRaw } from "./parse-error.ts";
import { GatewayResponse } from "./quick-answer.ts";
import { createTlsServer } from "./tls/server.ts";
import type { GatewayTls } from "./tls/tls.ts";

export interface GatewayServer {
  readonly protocol: "http" | "https";
  /** Serves what `handler` is given, without listening itself. */
  open(): void;
  /** Opens and listens. Throws StartError PORT_IN_USE, PORT_FORBIDDEN or HOST_UNUSABLE. */
  start(): Promise<{ readonly port: number }>;
  /**
   * Takes leave without failing a request: answers close their connections, new requests are still served until none has
   * come for `drainQuiet` (at most `drainDelay`), then listening ends, idle connections close, and running requests get
   * `drainInFlight` to end before they are cancelled with 503. Resolves when nothing runs any more.
   */
  drain(): Promise<void>;
  /** Ends everything now. */
  stop(): Promise<void>;
  readonly stats: GatewayStats;
}

export interface GatewayStats {
  /** Requests that are being answered, streams that have begun not among them. */
  readonly inFlight: number;
  readonly streams: number;
  readonly connections: number;
  readonly draining: boolean;
}

export interface GatewayServerOptions {
  readonly edge: Edge;
  readonly dispatcher: Dispatcher;
  readonly host: string;
  readonly port: number;
  readonly random: Random;
  /** Whether a route takes WebSockets. Without one Node itself leaves `Upgrade` aside. */
  readonly takesUpgrades: boolean;
  /** With it, nothing but TLS is spoken, and HTTP/2 with those who want it. */
  readonly tls: GatewayTls | undefined;
  readonly metrics: Metrics | undefined;
}

export function createGatewayServer(options: GatewayServerOptions): GatewayServer {
  const { edge, random } = options;
  const { clock, limits } = edge;
  const sockets = new Set<Socket>();
  const http2 = http2Of(options);
  const server = listenOn(options, sockets, http2);
  let draining: Promise<void> | undefined;

  const waitForQuiet = async (): Promise<void> => {
    const startedAt = clock.now();
    for (;;) {
      const now = clock.now();
      const quietMs = now - Math.max(startedAt, edge.lastRequestAt);
      const leftMs = Math.min(limits.drainQuietMs - quietMs, limits.drainDelayMs - (now - startedAt));
      if (leftMs <= 0) return;
      await clock.sleep(Math.min(leftMs, 100));
    }
  };
  const waitForInFlight = (): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        cancel();
        edge.onFinish = undefined;
        resolve();
      };
      const cancel = clock.after(limits.drainInFlightMs, done);
      edge.onFinish = () => {
        if (edge.inFlight + edge.streams === 0) done();
      };
      edge.onFinish();
    });
  const drain = async (): Promise<void> => {
    edge.draining = true;
    http2?.drain();
    // Streams that would go on for ever come back to another process, not all at once.
    edge.connections.forEachGuest((guest) => guest.onDraining(random.next() * streamJitterMs));
    await waitForQuiet();
    if (server.listening) server.close();
    // Nobody stops the outer server for us: what it still hands over is refused from now on.
    else edge.isOpen = false;
    server.closeIdleConnections();
    await waitForInFlight();
    edge.connections.forEachGuest((guest) => guest.onShutdown(shuttingDown()));
    // Connections whose answer had begun before the drain were told that they are kept.
    await new Promise((resolve) => setImmediate(resolve));
    server.closeIdleConnections();
  };

  return {
    protocol: options.tls ? "https" : "http",
    open() {
      edge.isOpen = true;
    },
    start() {
      edge.isOpen = true;
      return start(server, options);
    },
    drain() {
      draining ??= drain();
      return draining;
    },
    async stop() {
      edge.draining = true;
      edge.isOpen = false;
      const ends = [...sockets].map((socket) => once(socket, "close"));
      if (server.listening) ends.push(once(server, "close"));
      server.close();
      for (const socket of sockets) socket.destroy();
      http2?.close();
      options.tls?.close();
      await Promise.all(ends);
    },
    get stats() {
      return {
        inFlight: edge.inFlight,
        streams: edge.streams,
        connections: sockets.size,
        draining: edge.draining,
      };
    },
  };
}

const streamJitterMs = 5000;

/** Unknown to the types of Node 20, ignored by it. Node 24 and later: no stream machinery for a request without a body. */
const laterOptions: object = { optimizeEmptyRequests: true };

/** Node 22.21, 24.9 and later: what asks for anything but a WebSocket is an ordinary request. See `Dispatcher` for the others. */
const upgradeOptions: object = { shouldUpgradeCallback: isWebSocket };

function http2Of({ edge, dispatcher, tls, metrics }: GatewayServerOptions): Http2Sessions | undefined {
  return tls && tls.http2 !== false ? createHttp2Sessions(tls.http2, { edge, dispatcher, metrics }) : undefined;
}

function listenOn(options: GatewayServerOptions, sockets: Set<Socket>, http2: Http2Sessions | undefined): Server {
  const { edge, dispatcher, takesUpgrades } = options;
  const { limits } = edge;
  const server = serverOf(
    options,
    {
      ...(takesUpgrades ? upgradeOptions : {}),
      // The lenient parser is never used: it lets requests through that a proxy may cut elsewhere.
      insecureHTTPParser: false,
      // Looked at by ourselves, so that the refusal is a problem document.
      requireHostHeader: false,
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: Math.max(limits.requestTimeoutMs, limits.headersTimeoutMs),
      connectionsCheckingInterval: limits.timeoutCheckMs,
      keepAliveTimeout: limits.keepAliveMs,
      noDelay: true,
      IncomingMessage: GatewayRequest,
      ServerResponse: GatewayResponse,
      ...laterOptions,
    },
    (req, res) => dispatcher.dispatch(req, res, false, undefined),
    http2,
  );
  server.maxConnections = limits.connections;
  server.on("checkContinue", (req, res) => dispatcher.dispatch(req, res, true, undefined));
  server.on("checkExpectation", (req, res) => dispatcher.refuse(req, res, expectationFailed()));
  server.on("clientError", (thrown: Error, socket) => answerBrokenConnection(edge, thrown, socket as Socket));
  if (takesUpgrades) server.on("upgrade", (req, socket, head) => dispatcher.upgrade(req, socket, head));
  server.on("connect", (_req, socket) => answerRaw(edge, methodNotImplemented(), socket as Socket));
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // A connection has been idle for `keepAlive`. A handler may be silent for as long as its deadline lets it.
  server.on("timeout", (socket: Socket) => {
    if (edge.connections.known(socket)?.newest === undefined) socket.destroy();
  });
  return server;
}

function serverOf(
  { tls, metrics, edge }: GatewayServerOptions,
  options: ServerOptions,
  listener: RequestListener,
  http2: Http2Sessions | undefined,
): Server {
  if (!tls) return createServer(options, listener);
  return createTlsServer(options, listener, { tls, http2, handshakeMs: edge.limits.headersTimeoutMs, metrics });
}

function start(server: Server, options: GatewayServerOptions): Promise<{ readonly port: number }> {
  const { edge, host, port } = options;
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException) => reject(startError(cause, host, port));
    server.once("error", onError);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", onError);
      options.tls?.watch();
      // Such as too many open files: the connection is lost, the process is not.
      server.on("error", (cause) => edge.log.error({ err: cause }, "a connection could not be accepted"));
      resolve({ port: (server.address() as AddressInfo).port });
    });
  });
}

export function startError(cause: NodeJS.ErrnoException, host: string, port: number): Error {
  if (cause.code === "EADDRINUSE") {
    return wrongGateway(
      "PORT_IN_USE",
      `gateway: port ${port} on ${host} is in use by another process; stop that process, or set PORT (--port) to another one; 0 takes any that is free.`,
      cause,
    );
  }
  if (cause.code === "EACCES") {
    return wrongGateway(
      "PORT_FORBIDDEN",
      `gateway: port ${port} on ${host} may not be used by this user; set PORT (--port) to one above 1023.`,
      cause,
    );
  }
  return wrongGateway(
    "HOST_UNUSABLE",
    `gateway: nothing can listen on "${host}" port ${port} (${cause.code ?? cause.message}); set the host to an address of this machine, such as "127.0.0.1" or "0.0.0.0".`,
    cause,
  );
}
