import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { PlinthError, Principal } from "../base/index.ts";
import { anonymous, toPlinthError } from "../base/index.ts";
import type { Level, Pass } from "../resilience/index.ts";
import type { AccessEntry, Span } from "../telemetry/index.ts";
import { httpPhrase, httpStatusOf, stringifyProblem, toProblem } from "../wire/index.ts";
import type { ClientFacts } from "./client/address.ts";
import type { Connection, Guest } from "./connection.ts";
import type { EdgeOf } from "./edge.ts";
import type { EntranceOf } from "./entrance.ts";
import { awaitClient } from "./entrance.ts";
import { clientGone } from "./errors.ts";
import { extraLines, headFor } from "./extras.ts";
import { isRequestId } from "./head.ts";
import { parseIdempotencyKey } from "./idempotency-key.ts";
import { takePosition } from "./position.ts";
import { pathOf } from "./proxy/target.ts";
import type { Tunnel } from "./proxy/websocket-tunnel.ts";
import type { Texts } from "./query.ts";
import type { QuickHead } from "./quick-answer.ts";
import { refusalHead } from "./refusal.ts";
import { RequestScope } from "./request-scope.ts";
import { spanAttributes } from "./span-attributes.ts";
import { isUnreadBodyLarge, refuseAndLinger } from "./unread-body.ts";

/** What all requests of one gateway share. */
export type Edge = EdgeOf<Exchange>;

/** A route, compiled: what a request that matched it runs through. */
export interface Endpoint {
  /** The template, "/products/:id"; "" when no route matched. */
  readonly route: string;
  readonly spanName: string;
  /** How maintenance calls it: the route's name, or the method's and its service's. None: it is never closed. */
  readonly names?: readonly string[];
  /** It is there to say that the path takes other methods. */
  readonly isRefusal?: true;
  /** Notes the duration of an answer. */
  observe(status: number, seconds: number): void;
  serve(exchange: Exchange): void;
}

type Body = string | Buffer | undefined;

const open = 0;
const reading = 1;
const running = 2;
/** The client is gone: what is told now, such as by an upstream that is given up, is told to nobody. */
const leaving = 3;
const over = 4;

/** Smaller answers fit into the buffers of the network: a client that takes nothing holds up nobody. */
const watchedBytesMin = 64 * 1024;

/**
 * One request and its answer, from the moment when its headers are there. One constructor, one fixed shape; it is also
 * its own line in the access log.
 *
 * Exactly one of `answer`, `fail` and the client's departure ends it; whatever comes later does nothing.
 */
export class Exchange implements Guest, AccessEntry {
  readonly edge: Edge;
  readonly endpoint: Endpoint;
  readonly req: IncomingMessage;
  readonly headers: IncomingHttpHeaders;
  readonly res: ServerResponse;
  /** Path parameters by name. */
  readonly params: Texts;
  /** The query string without its "?". */
  readonly query: string;
  /** In `clock.now()` milliseconds. */
  readonly startedAt: number;
  /** The client waits for "100 Continue" before it sends the body. */
  expectsContinue: boolean;
  readonly span: Span | undefined;
  principal: Principal = anonymous;
  /** How much it matters when not all can be served. */
  level: Level = 2;
  /** The place that it has among those in flight. */
  pass: Pass | undefined = undefined;
  /** Gives it one again; undefined when it needs none any more. */
  entrance: EntranceOf<Exchange> | undefined = undefined;
  scope: RequestScope | undefined = undefined;
  status = 0;
  durationMs = 0;
  requestBytes = 0;
  responseBytes = 0;
  reason: string | undefined = undefined;
  /** The outside target that answered, and how many tries it took. */
  target: string | undefined = undefined;
  attempts = 1;
  /** The type that JSON is answered as, where the client asked for it by a name of its own. */
  mediaType: string | undefined = undefined;
  /** Names and values of headers for whatever this is answered with. */
  addedHeaders: string[] | undefined = undefined;
  /** The connection of a client that asks for a WebSocket. */
  tunnel: Tunnel | undefined = undefined;
  /** Tells a failure in another way than a problem answer; false when it did not. For answers that have begun. */
  onFailure: ((failure: PlinthError) => boolean) | undefined = undefined;
  /** Ends an answer that would go on for ever, when the process drains. */
  onDrain: ((delayMs: number) => void) | undefined = undefined;
  previousGuest: Guest | undefined = undefined;
  nextGuest: Guest | undefined = undefined;
  #client: ClientFacts | undefined = undefined;
  #phase = open;
  #isStreaming = false;
  #isHandedOver = false;
  #onEnd: ((exchange: Exchange) => void) | undefined = undefined;
  /** What followed on the connection is no HTTP: there is no body left to wait for. */
  #isBroken = false;
  readonly #connection: Connection;

  constructor(
    edge: Edge,
    endpoint: Endpoint,
    req: IncomingMessage,
    res: ServerResponse,
    params: Texts,
    query: string,
    startedAt: number,
    expectsContinue: boolean,
  ) {
    this.edge = edge;
    this.endpoint = endpoint;
    this.req = req;
    this.headers = req.headers;
    this.res = res;
    this.params = params;
    this.query = query;
    this.startedAt = startedAt;
    this.expectsContinue = expectsContinue;
    const { tracer } = edge;
    if (tracer) {
      const { traceparent } = this.headers;
      const parent = traceparent === undefined ? undefined : tracer.parse(traceparent, this.headers.tracestate);
      this.span = tracer.start(endpoint.spanName, parent, "server");
    } else this.span = undefined;
    this.#connection = edge.connections.of(req.socket);
    this.#connection.join(this, res);
    edge.inFlight++;
    edge.lastRequestAt = startedAt;
  }

  get isOver(): boolean {
    return this.#phase === over;
  }

  /** The call's context, made when the request has arrived in full: from here on its deadline runs. */
  begin(deadlineMs: number, takesKey = true): RequestScope {
    const header = takesKey ? this.headers["idempotency-key"] : undefined;
    // A request without a body begins when it arrives; that time is known.
    const now = this.#phase === reading ? this.edge.clock.now() : this.startedAt;
    this.#phase = running;
    this.scope = new RequestScope(this, {
      principal: this.principal,
      deadline: now + deadlineMs,
      trace: this.span,
      idempotencyKey: header === undefined ? undefined : parseIdempotencyKey(header),
      caller: "gateway",
      attempt: 1,
      deadlines: this.edge.deadlines,
      criticality: this.level,
    });
    takePosition(this.headers, this.scope);
    return this.scope;
  }

  /** The body is being read: what breaks on the connection now breaks this request. */
  startReading(): void {
    this.#phase = reading;
    if (!this.expectsContinue) return;
    this.expectsContinue = false;
    this.res.writeContinue();
  }

  /** Sends the whole answer. `head` tells its length. A text goes with the head in one write, a buffer does not. */
  answer(status: number, head: readonly string[], body: Body, bodyBytes: number, encoding?: "latin1"): void {
    if (this.#phase === over) return;
    this.keepOrClose();
    this.res.writeHead(status, head as string[]);
    this.res.end(body, encoding ?? "utf8");
    this.#answered(status, bodyBytes);
  }

  /** Sends text under a head that was made at start: in one write where that can be, otherwise as `answer` does. */
  answerText(head: QuickHead, body: string, bodyBytes: number, encoding?: "latin1"): void {
    if (this.#phase === over) return;
    const { res } = this;
    const { quick } = this.edge;
    // One byte for each character: what both ASCII and Latin-1 understand.
    const isPlain = bodyBytes === body.length && bodyBytes > 0 && !this.expectsContinue && this.method !== "HEAD";
    const extras = isPlain ? extraLines(this) : undefined;
    this.keepOrClose();
    if (extras !== undefined && quick.takes(res)) quick.send(res, head, extras, body);
    else {
      quick.writeHead(res, head, extras, headFor(this, head.flat, bodyBytes));
      res.end(body, encoding ?? "utf8");
    }
    this.#answered(head.status, bodyBytes);
  }

  #answered(status: number, bodyBytes: number): void {
    this.responseBytes = bodyBytes;
    if (bodyBytes > watchedBytesMin) this.watchClient();
    this.finish(status);
  }

  /** A header of whatever this is answered with, such as what is left of a limit. Its value is ours, and not looked at again. */
  addHeader(name: string, value: string): void {
    this.addedHeaders ??= [];
    this.addedHeaders.push(name, value);
  }

  /** Runs `listener` when this is over, with `status` and `durationMs` known. Several run in the order in which they came. */
  atEnd(listener: (exchange: Exchange) => void): void {
    const earlier = this.#onEnd;
    this.#onEnd = earlier
      ? (exchange) => {
          earlier(exchange);
          listener(exchange);
        }
      : listener;
  }

  /** Answers with a problem, whatever was thrown. Our own bugs are logged here, once. */
  fail(thrown: unknown): void {
    if (this.#phase >= leaving || this.#isHandedOver) return;
    const failure = toPlinthError(thrown);
    if (failure !== thrown) {
      this.edge.log.error(
        { err: thrown, route: this.endpoint.spanName, trace: this.span },
        "a request failed at the edge",
      );
    }
    this.reason = failure.reason;
    if (this.onFailure?.(failure)) return;
    const status = httpStatusOf(failure);
    if (this.res.headersSent) {
      // The status is told already; only a broken connection says that this is not the end.
      this.res.destroy();
      this.finish(status);
      return;
    }
    try {
      this.#refuse(status, failure);
    } catch (broken) {
      this.edge.log.error(
        { err: broken, route: this.endpoint.spanName, trace: this.span },
        "an answer could not be sent",
      );
      this.res.destroy();
      if (this.#phase !== over) this.finish(500);
    }
  }

  #refuse(status: number, failure: PlinthError): void {
    if (status === 401) this.edge.onUnauthenticated?.(this);
    const text = stringifyProblem(toProblem(failure, { traceId: this.span?.traceId }));
    this.res.statusMessage = httpPhrase(status);
    const bodyBytes = Buffer.byteLength(text);
    const head = refusalHead(this, status, failure, bodyBytes);
    const { req, res } = this;
    if (this.expectsContinue || this.#isBroken || !isUnreadBodyLarge(req, res)) {
      this.answer(status, head, text, bodyBytes);
      return;
    }
    res.statusCode = status;
    refuseAndLinger(req, res, head, text, this.edge.clock);
    this.responseBytes = bodyBytes;
    this.finish(status);
  }

  /** Ends the exchange on our side. The answer is on its way, or nobody is there to read it. */
  finish(status: number): void {
    this.#phase = over;
    this.status = status;
    const { edge } = this;
    if (this.#isStreaming) edge.streams--;
    else edge.inFlight--;
    this.#connection.leave(this, this.res);
    this.scope?.finish();
    const now = edge.clock.now();
    this.durationMs = now - this.startedAt;
    this.pass?.end(now);
    this.endpoint.observe(status, this.durationMs / 1000);
    if (this.span) this.span.end(status >= 500 ? "error" : "ok", this.span.sampled ? spanAttributes(this) : undefined);
    edge.accessLog?.write(this);
    this.#onEnd?.(this);
    edge.onFinish?.();
  }

  /**
   * A connection is closed after this answer when the process drains or the connection has carried its share; not while
   * further requests have come on it, which then would run without an answer.
   */
  keepOrClose(): void {
    const { edge } = this;
    if (!edge.draining && this.#connection.requestCount < edge.limits.requestsPerConnection) return;
    if (this.#connection.lastResponse === this.res) this.res.shouldKeepAlive = false;
  }

  /** From here on the exchange counts as a stream: it may stay for long, and is mostly idle. */
  becomeStream(): void {
    if (this.#isStreaming || this.#phase === over) return;
    this.#isStreaming = true;
    awaitClient(this);
    this.entrance = undefined;
    this.edge.inFlight--;
    this.edge.streams++;
  }

  /** From here on somebody else answers on the connection, and calls `finish` when that has ended. */
  handOver(): void {
    this.#isHandedOver = true;
    this.res.detachSocket(this.req.socket);
    this.becomeStream();
  }

  /** Ends the connection when the client takes nothing of the answer for `stalledClient`. Not for small answers. */
  watchClient(): void {
    if (this.req.httpVersionMajor < 2) this.edge.stalledClients.watch(this.req.socket, this.res);
  }

  onGone(): void {
    if (this.#phase === over || this.#isHandedOver) return;
    const reason = clientGone();
    this.reason = reason.reason;
    this.#phase = leaving;
    this.scope?.cancel(reason);
    this.finish(499);
  }

  onBroken(refusal: PlinthError): boolean {
    if (this.#phase !== reading || this.req.complete) return false;
    this.#isBroken = true;
    this.res.shouldKeepAlive = false;
    this.fail(refusal);
    return true;
  }

  onDeadline(reason: PlinthError): void {
    this.fail(reason);
  }

  onDraining(delayMs: number): void {
    this.onDrain?.(delayMs);
  }

  onShutdown(reason: PlinthError): void {
    this.res.shouldKeepAlive = false;
    this.scope?.cancel(reason);
    this.fail(reason);
  }

  get method(): string {
    return this.req.method as string;
  }

  get route(): string {
    return this.endpoint.route;
  }

  get path(): string {
    return pathOf(this.req.url as string);
  }

  /** Found out when first asked for. */
  get client(): ClientFacts {
    this.#client ??= this.edge.clientOf(this.req);
    return this.#client;
  }

  get remote(): string {
    return this.client.address;
  }

  get userAgent(): string | undefined {
    return this.headers["user-agent"];
  }

  get subject(): string {
    return this.principal.subject;
  }

  get requestId(): string | undefined {
    const given = this.headers["x-request-id"];
    return given !== undefined && isRequestId(given) ? (given as string) : this.span?.traceId;
  }

  get trace(): Span | undefined {
    return this.span;
  }
}
