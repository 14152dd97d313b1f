import type { IncomingMessage } from "node:http";
import { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import {
  notServing,
  overloaded,
  plainHttpRefused,
  requestMalformed,
  routeNotFound,
  transferCodingUnknown,
  urlTooLong,
} from "./errors.ts";
import type { Edge } from "./exchange.ts";
import { Exchange } from "./exchange.ts";
import type { Fallbacks } from "./fallback.ts";
import { isUnder } from "./mount.ts";
import { authorityOf, originForm, pathOf } from "./proxy/target.ts";
import type { Tunnel } from "./proxy/websocket-tunnel.ts";
import { EmptyTexts } from "./query.ts";
import type { RouteTable } from "./route-table.ts";

/** Takes requests from the server: finds their endpoints and sets them going. Never throws. */
export interface Dispatcher {
  /** With `next`, a path that nothing here knows is handed on. */
  dispatch(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean, next: (() => void) | undefined): void;
  /**
   * Takes a request with `Upgrade`. Only a route that takes WebSockets upgrades; all others answer as without it. With
   * a body it is 400 everywhere: Node has let go of the connection, and nobody reads the body any more.
   */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Answers with `problem` and closes the connection: nobody knows whether a body follows. */
  refuse(req: IncomingMessage, res: ServerResponse, problem: Error): void;
}

export interface DispatcherOptions {
  readonly edge: Edge;
  readonly table: RouteTable;
  readonly fallbacks: Fallbacks;
  readonly prefix: string;
}

type DispatchOne = (...given: [...Parameters<Dispatcher["dispatch"]>, tunnel?: Tunnel]) => void;

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { edge, table, fallbacks, prefix } = options;
  const { clock, limits, maintenance, clientOf, connections } = edge;
  const { only } = table;

  const refuse = (
    req: IncomingMessage,
    res: ServerResponse,
    expectsContinue: boolean,
    problem: Error,
    closes = false,
  ): void => {
    const endpoint = fallbacks.refusal(req.method as string, () => problem);
    if (closes) res.shouldKeepAlive = false;
    run(new Exchange(edge, endpoint, req, res, new EmptyTexts(), "", clock.now(), expectsContinue));
  };

  const dispatch: DispatchOne = (req, res, expectsContinue, next, tunnel) => {
    if (connections.known(req.socket)?.isEnding && req.httpVersionMajor === 1) return;
    const startedAt = clock.now();
    const method = req.method as string;
    let url = req.url as string;
    if (url.length > limits.urlLength) return refuse(req, res, expectsContinue, urlTooLong(limits.urlLength));
    let host = req.headers.host;
    if ((url.charCodeAt(0) !== slash && url !== "*") || url.includes("#")) {
      host = authorityOf(url) ?? host;
      req.headers.host = host;
      url = originForm(url);
      req.url = url;
    }
    const fault = edge.requiresHttps && clientOf(req).protocol !== "https" ? plainHttpRefused() : framingFault(req);
    if (fault !== undefined) return refuse(req, res, expectsContinue, fault, true);
    if (edge.inFlight >= limits.inFlight) return refuse(req, res, expectsContinue, overloaded());

    if (prefix !== "") {
      if (!isUnder(prefix, pathOf(url))) return next ? next() : refuse(req, res, expectsContinue, routeNotFound());
      const inner = url.slice(prefix.length);
      url = inner.charCodeAt(0) === slash ? inner : `/${inner}`;
    }
    const path = pathOf(url);
    const query = path.length === url.length ? "" : url.slice(path.length + 1);

    const router = only ?? table.of(clientOf(req).host ?? host);
    const found = router.find(method, path);
    let endpoint = found === null ? null : found.store;
    let params = found === null ? undefined : found.params;
    if (endpoint === null) {
      const fallback = fallbacks.find(router, method, path);
      if (fallback.isForeign && next) return next();
      endpoint = fallback.endpoint;
      params = undefined;
    }
    if (!edge.isOpen) return refuse(req, res, expectsContinue, notServing());
    const closed = maintenance.closed?.refusalOf(endpoint);
    if (closed) return refuse(req, res, expectsContinue, closed);
    if (prefix !== "") req.url = url;
    const exchange = new Exchange(
      edge,
      endpoint,
      req,
      res,
      params ?? new EmptyTexts(),
      query,
      startedAt,
      expectsContinue,
    );
    if (tunnel) exchange.tunnel = tunnel;
    run(exchange);
  };

  return {
    dispatch(req, res, expectsContinue, next) {
      try {
        dispatch(req, res, expectsContinue, next);
      } catch (thrown) {
        refuse(req, res, expectsContinue, thrown as Error);
      }
    },
    upgrade(req, socket, head) {
      const res = responseOn(req, socket);
      if (!res) return;
      const tunnel = isWebSocket(req) ? { socket, head } : undefined;
      try {
        if (hasBody(req)) refuse(req, res, false, upgradeWithBody(), true);
        else dispatch(req, res, false, undefined, tunnel);
      } catch (thrown) {
        refuse(req, res, true, thrown as Error, true);
      }
    },
    refuse: (req, res, problem) => refuse(req, res, true, problem, true),
  };
}

const slash = 0x2f;

export function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) !== 0);
}

function upgradeWithBody(): Error {
  return requestMalformed("it has a body and asks for another protocol; leave out Upgrade");
}

/**
 * An answer on a connection that Node's server has let go of. It is the last one there. Undefined when an earlier request
 * on it is still being answered: nobody can say then whose bytes are whose.
 */
function responseOn(req: IncomingMessage, socket: Duplex): ServerResponse | undefined {
  socket.on("error", () => {});
  const res = new ServerResponse(req);
  try {
    res.assignSocket(req.socket);
  } catch {
    socket.destroy();
    return undefined;
  }
  res.shouldKeepAlive = false;
  socket.on("drain", () => res.emit("drain"));
  res.once("finish", () => socket.end());
  return res;
}

function run(exchange: Exchange): void {
  try {
    exchange.endpoint.serve(exchange);
  } catch (thrown) {
    exchange.fail(thrown);
  }
}

/** What the parser lets through and two readers could still take in two ways. */
function framingFault(req: IncomingMessage): Error | undefined {
  const { headers, rawHeaders } = req;
  let hosts = 0;
  let authorizations = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
    else if (name.length === 13 && name.toLowerCase() === "authorization") authorizations++;
  }
  const isOld = req.httpVersion === "1.0";
  if (hosts !== 1 && (hosts > 1 || !isOld)) {
    return requestMalformed(hosts === 0 ? "HTTP/1.1 needs a Host header" : "it has more than one Host header");
  }
  if (authorizations > 1) return requestMalformed("it has more than one Authorization header");
  const coding = headers["transfer-encoding"];
  if (coding === undefined) return undefined;
  if (isOld) return requestMalformed("HTTP/1.0 has no Transfer-Encoding");
  return coding.toLowerCase() === "chunked" ? undefined : transferCodingUnknown();
}
