import type { ForwardAnswer, ForwardReceiver, ForwardRequest, Upstream } from "../../upstream/index.ts";
import { readBody } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import { sendOutcome } from "../response-cache/answer.ts";
import type { EdgeCache } from "../response-cache/response-cache.ts";
import type { Step } from "../step.ts";
import type { Answering, StreamCount } from "./answer.ts";
import { sendAnswer } from "./answer.ts";
import { LimitedBody } from "./body.ts";
import { forwardClientOf, inwardHeaders, principalHeaders } from "./headers.ts";
import type { Mirror } from "./mirror.ts";
import { canonicalPath, compileRewrite } from "./path.ts";
import type { ResolvedRoute } from "./route.ts";
import type { RequestMaker } from "./scope.ts";
import { ForwardScope } from "./scope.ts";
import { compileKey } from "./split.ts";
import type { HeaderTransform } from "./transform.ts";
import { compileTransform } from "./transform.ts";
import { openTunnel } from "./websocket.ts";

/**
 * The way of a request to an outside system: admitted like any other, then passed on as it comes.
 *
 * Promises
 * - Nothing leaves before the steps have let the request in: no body, no upgrade.
 * - Both directions hold each other back: a slow reader slows the outside system, a slow outside system the sender. What
 *   is kept are bodies up to 64 KiB of announced length, which may so be sent again to another target.
 * - The path that the rules were chosen by is the path that is sent (`proxy/path.ts`); headers that only the gateway may
 *   say do not come from outside (`proxy/headers.ts`).
 * - A refusal is a problem with its exact status: 413, 502, 503, 504. An answer that breaks off, breaks off here as well.
 *
 * Balancing, retries and health are the upstream's. Not promised: trailers, informational answers, HTTP/2 to targets.
 */
export interface ProxyParts {
  readonly route: ResolvedRoute;
  /** Which of several a request goes to; the only one where there is no split. */
  readonly upstreamOf: (exchange: Exchange) => Upstream;
  readonly mirror: Mirror | undefined;
  readonly cache: EdgeCache | undefined;
  /** Headers that every answer of the edge has and an outside answer needs as well: `vary` of CORS. */
  readonly vary: string | undefined;
}

/** Up to this announced length a body is read before anything is sent. */
const keptBytesMax = 64 * 1024;

export function compileProxy(parts: ProxyParts, admit: Step): (exchange: Exchange) => void {
  const { resolved, toRequest } = compileRequest(parts.route, parts.cache === undefined);
  const { route } = resolved;
  const where = `gateway: routes: ${resolved.name}: headers.response`;
  const transform = compileTransform(where, route.headers?.response);
  const streams: StreamCount = { open: 0, max: resolved.streamCount };
  const answering = { transform, vary: parts.vary, streams, streamMs: resolved.streamMs };

  const sendCacheable = async (exchange: Exchange, request: ForwardRequest, upstream: Upstream, cache: EdgeCache) => {
    try {
      const found = cache.find(exchange, request, upstream);
      if (found) sendOutcome(exchange, await found, answering);
      else {
        const answer = await upstream.forward(request);
        cache.note(exchange, request, answer);
        passOn(exchange, answer, answering);
      }
    } catch (thrown) {
      exchange.fail(thrown);
    }
  };
  const send = (exchange: Exchange, kept: Buffer | undefined): void => {
    try {
      // A body that is still coming has the time that a request may take to arrive.
      const arrivalMs = kept ? 0 : exchange.edge.limits.requestTimeoutMs;
      const scope = new ForwardScope(exchange, resolved.deadlineMs + arrivalMs);
      const body = kept ? (kept.length === 0 ? undefined : kept) : LimitedBody.of(exchange, resolved.bodyLimitBytes);
      const request = toRequest(exchange, body, scope);
      const upstream = parts.upstreamOf(exchange);
      if (parts.mirror && !(body instanceof LimitedBody)) parts.mirror.copy(exchange, request);
      if (parts.cache) void sendCacheable(exchange, request, upstream, parts.cache);
      else upstream.forwardTo(new Forwarder(exchange, answering), request);
    } catch (thrown) {
      exchange.fail(thrown);
    }
  };
  const takeBody = (exchange: Exchange, body: Buffer): void => send(exchange, body);
  const proceed = (exchange: Exchange): void => {
    if (exchange.tunnel) {
      openTunnel(exchange, exchange.tunnel, { route: resolved, upstream: parts.upstreamOf(exchange), toRequest });
      return;
    }
    const length = exchange.headers["content-length"];
    const isStreamed =
      length === undefined ? exchange.headers["transfer-encoding"] !== undefined : Number(length) > keptBytesMax;
    if (isStreamed) send(exchange, undefined);
    else readBody(exchange, Math.min(resolved.bodyLimitBytes, keptBytesMax), takeBody);
  };
  return (exchange) => admit(exchange, proceed);
}

/** Waits for the answer to one request. */
class Forwarder implements ForwardReceiver {
  readonly #exchange: Exchange;
  readonly #answering: Answering;

  constructor(exchange: Exchange, answering: Answering) {
    this.#exchange = exchange;
    this.#answering = answering;
  }

  onAnswer(answer: ForwardAnswer): void {
    try {
      passOn(this.#exchange, answer, this.#answering);
    } catch (thrown) {
      this.#exchange.fail(thrown);
    }
  }

  onFailure(thrown: unknown): void {
    this.#exchange.fail(thrown);
  }
}

function passOn(exchange: Exchange, answer: ForwardAnswer, answering: Answering): void {
  exchange.target = answer.target;
  exchange.attempts = answer.attempts;
  if (exchange.isOver) answer.body?.destroy();
  else sendAnswer(exchange, answer, answering);
}

function compileRequest(
  resolved: ResolvedRoute,
  takesWhole: boolean,
): {
  readonly resolved: ResolvedRoute;
  readonly toRequest: RequestMaker;
} {
  const { route } = resolved;
  const passesAuthorization = route.authorization === "pass";
  const rewrite = compileRewrite(route.path, route);
  const loose = route.looseSegments ?? false;
  const hashKeyOf = compileKey(route.hashBy);
  const transform: HeaderTransform | undefined = compileTransform(
    `gateway: routes: ${resolved.name}: headers.request`,
    route.headers?.request,
  );
  const toRequest: RequestMaker = (exchange, body, scope) => {
    const { req, query, headers } = exchange;
    const pairs = inwardHeaders(req.rawHeaders, exchange.edge.credentialHeaders, passesAuthorization);
    const own = transform ? transform(pairs) : pairs;
    own.push("x-request-id", headers["x-request-id"] as string, ...principalHeaders(exchange.principal));
    return {
      method: exchange.method,
      path: rewrite(canonicalPath(exchange.path, loose)) + (query === "" ? "" : `?${query}`),
      headers: own,
      body,
      client: forwardClientOf(exchange),
      deadline: scope.deadline,
      onCancel: (listener) => scope.onCancel(listener),
      trace: exchange.span,
      isIdempotent: route.idempotent,
      hashKey: hashKeyOf?.(exchange),
      takesWhole,
    };
  };
  return { resolved, toRequest };
}
