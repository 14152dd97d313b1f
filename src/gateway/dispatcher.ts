import type { IncomingMessage, ServerResponse } from "node:http";
import { overloaded, requestMalformed, transferCodingUnknown, urlTooLong } from "./errors.ts";
import type { Edge, Endpoint } from "./exchange.ts";
import { Exchange } from "./exchange.ts";
import type { Fallbacks } from "./fallback.ts";
import { EmptyTexts } from "./query.ts";
import type { Router } from "./router.ts";
import { originForm } from "./target.ts";

/** Takes requests from the server: finds their endpoints and sets them going. Never throws. */
export interface Dispatcher {
  /** With `next`, a path that nothing here knows is handed on. */
  dispatch(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean, next: (() => void) | undefined): void;
  refuse(req: IncomingMessage, res: ServerResponse, problem: Error): void;
}

export interface DispatcherOptions {
  readonly edge: Edge;
  readonly router: Router;
  readonly fallbacks: Fallbacks;
  readonly prefix: string;
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { edge, router, fallbacks, prefix } = options;
  const { clock, limits } = edge;

  const run = (exchange: Exchange): void => {
    try {
      exchange.endpoint.serve(exchange);
    } catch (thrown) {
      exchange.fail(thrown);
    }
  };
  const refuse = (
    req: IncomingMessage,
    res: ServerResponse,
    expectsContinue: boolean,
    problem: Error,
    closes: boolean,
  ): void => {
    const endpoint = fallbacks.refusal(req.method as string, () => problem);
    if (closes) res.shouldKeepAlive = false;
    run(new Exchange(edge, endpoint, req, res, new EmptyTexts(), "", clock.now(), expectsContinue));
  };

  const dispatch: Dispatcher["dispatch"] = (req, res, expectsContinue, next) => {
    const startedAt = clock.now();
    const method = req.method as string;
    let url = req.url as string;
    if (url.length > limits.urlLength) return refuse(req, res, expectsContinue, urlTooLong(limits.urlLength), false);
    if (url.charCodeAt(0) !== 0x2f || url.includes("#")) {
      if (url === "*" && method === "OPTIONS") return run(exchangeOf(fallbacks.find("OPTIONS", "*").endpoint));
      url = originForm(url);
      req.url = url;
    }
    const faulty = framingFault(req);
    if (faulty !== undefined) return refuse(req, res, expectsContinue, faulty, true);
    if (edge.inFlight >= limits.inFlight) return refuse(req, res, expectsContinue, overloaded(), false);

    const queryAt = url.indexOf("?");
    let path = queryAt === -1 ? url : url.slice(0, queryAt);
    const query = queryAt === -1 ? "" : url.slice(queryAt + 1);
    if (prefix !== "" && path.startsWith(prefix)) path = path.slice(prefix.length) || "/";

    const found = router.find(method, path);
    if (found?.store)
      return run(new Exchange(edge, found.store, req, res, found.params, query, startedAt, expectsContinue));
    const fallback = fallbacks.find(method, path);
    if (fallback.isForeign && next) return next();
    run(exchangeOf(fallback.endpoint));

    function exchangeOf(endpoint: Endpoint): Exchange {
      return new Exchange(edge, endpoint, req, res, new EmptyTexts(), query, startedAt, expectsContinue);
    }
  };

  return {
    dispatch(req, res, expectsContinue, next) {
      try {
        dispatch(req, res, expectsContinue, next);
      } catch (thrown) {
        refuse(req, res, expectsContinue, thrown as Error, false);
      }
    },
    refuse: (req, res, problem) => refuse(req, res, true, problem, false),
  };
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
  if (hosts !== 1 && (hosts > 1 || req.httpVersionMinor === 1)) {
    return requestMalformed(hosts === 0 ? "HTTP/1.1 needs a Host header" : "it has more than one Host header");
  }
  if (authorizations > 1) return requestMalformed("it has more than one Authorization header");
  const coding = headers["transfer-encoding"];
  if (coding === undefined) return undefined;
  if (req.httpVersionMinor === 0) return requestMalformed("HTTP/1.0 has no Transfer-Encoding");
  return coding.toLowerCase() === "chunked" ? undefined : transferCodingUnknown();
}
