import { Readable } from "node:stream";
import type { buildConnector, Dispatcher, Pool } from "undici";
import type { Clock } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import { Connections, sharedRead } from "./connections.ts";
import { DispatchedExchange } from "./dispatched-exchange.ts";
import type { Egress } from "./egress.ts";
import { createEgressGuard } from "./egress.ts";
import type { ExchangeEvents, HttpExchange } from "./exchange.ts";
import type { HttpPoolLimits, HttpRequest, WholeRequest } from "./http-request.ts";
import type { HttpTls } from "./tls.ts";
import { tlsOptionsOf } from "./tls.ts";
import { undici } from "./undici.ts";

export type { HttpPoolLimits, HttpRequest } from "./http-request.ts";

/**
 * Connections to one origin, kept alive and used again, one request on each at a time.
 *
 * Promises: an exchange is reported as it comes, and holds the sender back in both directions when the other side is slow.
 * A redirect is an answer like any other and is never followed. Whatever fails says whether the request had begun to leave
 * this process. A connection that the other side closed while it was idle is noticed before a request is put on it, if
 * the news has arrived; a request that crosses it on the way is HTTP_CONNECTION_LOST, and the caller decides about
 * another try. Informational answers (1xx) and trailers are not reported.
 *
 * Not promised: HTTP/2. Requests above the connections wait without a bound: whoever calls bounds them.
 */
export interface HttpPool {
  /** Sends a request. Failures of any kind are told to `events`, also at once. */
  send(request: HttpRequest, events: ExchangeEvents): HttpExchange;
  readonly connectionCount: number;
  /** Resolves when what is under way has ended; takes nothing new. */
  drain(): Promise<void>;
  /** Ends all connections; exchanges in flight fail with HTTP_CLOSED. */
  close(): Promise<void>;
}

const defaultLimits: HttpPoolLimits = {
  connections: 64,
  connectMs: 1000,
  idleMs: 4000,
  connectionMs: 300_000,
  headerBytes: 16 * 1024,
};

export interface HttpPoolOptions {
  readonly limits?: Partial<HttpPoolLimits>;
  /** Default: anywhere. */
  readonly egress?: Egress | undefined;
  readonly tls?: HttpTls | undefined;
  /** The IP address to connect to, instead of those that the name resolves to. */
  readonly address?: string | undefined;
  /** For what is idle, silent or old; looked at twice a second. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** `origin`: "https://host" or "http://host:8080". Throws StartError HTTP_EGRESS_WRONG and HTTP_TLS_UNUSABLE. */
export function createHttpPool(origin: string, options: HttpPoolOptions = {}): HttpPool {
  return new OriginPool(origin, options);
}

/** `servername` is taken by undici, and missing in its types. */
type DispatchOptions = Dispatcher.DispatchOptions & { readonly servername?: string };

/**
 * Requests that are there as a whole go over connections of our own, which do for each a third of the work; bodies that
 * come as streams, and changes of the protocol, are undici's.
 */
class OriginPool implements HttpPool {
  readonly #connections: Connections;
  readonly #pool: Pool;
  /** What the certificate must say, whatever `Host` a request names. */
  readonly #serverName: string | undefined;

  constructor(origin: string, options: HttpPoolOptions) {
    const limits = { ...defaultLimits, ...options.limits };
    const url = new URL(origin);
    this.#serverName = url.protocol === "https:" ? (options.tls?.serverName ?? serverNameOf(url.hostname)) : undefined;
    this.#connections = new Connections({
      url,
      serverName: this.#serverName,
      limits,
      connect: connectorOf(options, limits.connectMs, url.protocol === "http:"),
      clock: options.clock ?? systemClock,
    });
    this.#pool = new (undici().Pool)(url.origin, {
      connections: limits.connections,
      pipelining: 1,
      connect: connectorOf(options, limits.connectMs, false),
      keepAliveTimeout: limits.idleMs,
      clientTtl: limits.connectionMs,
      maxHeaderSize: limits.headerBytes,
    });
  }

  get connectionCount(): number {
    return this.#connections.count + this.#pool.stats.connected;
  }

  send(request: HttpRequest, events: ExchangeEvents): HttpExchange {
    if (isWhole(request)) return this.#connections.send(request, events);
    const exchange = new DispatchedExchange(events);
    const options: DispatchOptions = {
      method: request.method,
      path: request.path,
      headers: request.headers as string[] | Record<string, string>,
      body: request.body ?? null,
      headersTimeout: request.headTimeoutMs,
      bodyTimeout: request.bodyTimeoutMs,
      ...(request.upgrade !== undefined && { upgrade: request.upgrade }),
      ...(this.#serverName !== undefined && { servername: this.#serverName }),
    };
    this.#pool.dispatch(options, exchange);
    return exchange;
  }

  async drain(): Promise<void> {
    const drained = this.#connections.drain();
    // Rejects when it is closed meanwhile, which ends it as well.
    if (!this.#pool.closed && !this.#pool.destroyed) await this.#pool.close().catch(() => {});
    await drained;
  }

  async close(): Promise<void> {
    const closed = this.#connections.close();
    if (!this.#pool.destroyed) await this.#pool.destroy();
    await closed;
  }
}

function isWhole(request: HttpRequest): request is WholeRequest {
  return request.upgrade === undefined && !(request.body instanceof Readable);
}

/** TLS knows names only: an IP address has no server name, and is checked against the certificate's addresses. */
function serverNameOf(host: string): string {
  return /^[\d.]+$|:/.test(host) ? "" : host;
}

function connectorOf(
  { egress, tls, address }: HttpPoolOptions,
  connectMs: number,
  sharesReads: boolean,
): ReturnType<typeof buildConnector> {
  const guard = egress && createEgressGuard(egress);
  const connect = undici().buildConnector({
    timeout: connectMs,
    ...(tls && tlsOptionsOf(tls)),
    ...(guard && { lookup: guard.lookup }),
    ...(sharesReads && { onread: sharedRead }),
  });
  if (!guard && address === undefined) return connect;
  return (target, callback) => {
    const host = address ?? target.hostname;
    const refusal = guard?.refusalOf(host);
    if (refusal) queueMicrotask(() => callback(refusal, null));
    else connect({ ...target, hostname: host }, callback);
  };
}
