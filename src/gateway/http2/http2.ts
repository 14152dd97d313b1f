import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import { constants, createServer } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Counter, MetricFamily, Metrics } from "../../telemetry/index.ts";
import type { Dispatcher } from "../dispatcher.ts";
import { expectationFailed, headersTooLarge, methodNotImplemented, requestTimeout, wrongGateway } from "../errors.ts";
import type { Edge } from "../exchange.ts";
import { Http2Request, Http2Response } from "./message.ts";

/**
 * HTTP/2 for connections that agreed on it in their TLS handshake. Each stream is one request, as one of HTTP/1.1 is:
 * same answers, same limits, same log.
 *
 * - A connection carries at most `streams` requests at a time; further ones are refused before anything of them runs
 *   (REFUSED_STREAM), and a client may send those again.
 * - Headers above `headerBytes` are 431; four times as much resets the stream (ENHANCE_YOUR_CALM).
 * - A client that begins requests and takes them back, over and over ("rapid reset", CVE-2023-44487), loses its connection:
 *   100 at once and 20 per second are let pass.
 * - Floods of CONTINUATION, SETTINGS and PING frames end the connection: that is in Node's HTTP/2 library, and tested here.
 * - A connection without a request is told to leave (GOAWAY) after `headersTimeout` when it never had one, after
 *   `keepAlive` otherwise; so is each when the process drains, and after `requestsPerConnection` requests.
 * - A body has `requestTimeout` to arrive (408); a client that takes none of its answer has `stalledClient`.
 *
 * Not here: server push (browsers have dropped it), WebSockets over HTTP/2 (clients use HTTP/1.1 for them).
 */
export interface Http2Options {
  /** Requests of one connection at a time. Default 100, at most 1000. */
  readonly streams?: number;
}

export interface Http2Sessions {
  /** Speaks HTTP/2 on the connection from here on. */
  take(socket: TLSSocket): void;
  /** Tells every connection to leave: what runs on it ends, what the client sends beyond is not begun. */
  drain(): void;
  /** No more watching. */
  close(): void;
}

export interface Http2Parts {
  readonly edge: Edge;
  readonly dispatcher: Dispatcher;
  readonly metrics: Metrics | undefined;
}

/** Throws StartError HTTP2_INVALID. */
export function createHttp2Sessions(options: Http2Options, { edge, dispatcher, metrics }: Http2Parts): Http2Sessions {
  const streamsMax = checkStreams(options.streams ?? 100);
  const { clock, limits } = edge;
  const sessions = new Set<Session>();
  const cuts: MetricFamily<"reason", Counter> | undefined = metrics?.counter(
    "plinth_gateway_http2_cut_total",
    "HTTP/2 connections that were ended because of what the client did, by what that was.",
    ["reason"],
  );
  const connections = metrics?.gauge("plinth_gateway_http2_connections", "Connections that speak HTTP/2.").with();
  metrics?.collect(() => connections?.set(sessions.size));

  const server = createServer({
    settings: {
      enablePush: false,
      maxConcurrentStreams: streamsMax,
      maxHeaderListSize: limits.headerBytes * headerListFactor,
    },
    maxHeaderListPairs: 256,
    // What one connection may make us hold: frames that wait, headers, streams.
    maxSessionMemory: 8,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    Http2ServerRequest: Http2Request as never,
    Http2ServerResponse: Http2Response as never,
  });
  const serve = (given: unknown, answer: unknown, expectsContinue: boolean, refusal?: Error): void => {
    const request = given as Http2Request;
    const response = answer as Http2Response;
    known.get(request.stream.session as ServerHttp2Session)?.note(request, response);
    const req = request as unknown as IncomingMessage;
    const res = response as unknown as ServerResponse;
    if (refusal) dispatcher.refuse(req, res, refusal);
    else if (request.headerListBytes > limits.headerBytes)
      dispatcher.refuse(req, res, headersTooLarge(limits.headerBytes));
    else dispatcher.dispatch(req, res, expectsContinue, undefined);
  };
  server.on("request", (req, res) => serve(req, res, false));
  server.on("checkContinue", (req, res) => serve(req, res, true));
  server.on("checkExpectation", (req, res) => serve(req, res, false, expectationFailed()));
  server.on("connect", (req: unknown, res: unknown) => serve(req, res, false, methodNotImplemented()));
  // The client broke the rules, or the connection broke: its requests hear of it as of any client that is gone.
  server.on("sessionError", () => cuts?.with({ reason: "protocol" }).add());

  const known = new WeakMap<ServerHttp2Session, Session>();
  const onCut = (reason: string): void => cuts?.with({ reason }).add();
  server.on("session", (session: ServerHttp2Session) => {
    const own = new Session(session, edge, onCut);
    known.set(session, own);
    sessions.add(own);
    session.once("close", () => sessions.delete(own));
  });
  const stopSweep = clock.every(limits.timeoutCheckMs, () => {
    for (const session of sessions) session.check(clock.now());
  });

  return {
    take: (socket) => void server.emit("connection", socket),
    drain() {
      for (const session of sessions) session.leave();
    },
    close: stopSweep,
  };
}

/** Headers up to this many times the limit are read, to be answered with 431. */
const headerListFactor = 4;
/** Requests that a client may take back at once, and how many more each second. */
const resetBurst = 100;
const resetsPerSecond = 20;

interface Exchanged {
  readonly request: Http2Request;
  readonly response: Http2Response;
  readonly startedAt: number;
  isWatched: boolean;
}

/** One connection: its requests and its time. */
class Session {
  readonly #session: ServerHttp2Session;
  readonly #edge: Edge;
  readonly #onCut: (reason: string) => void;
  readonly #open = new Set<Exchanged>();
  #requestCount = 0;
  #idleSince: number;
  #resets = 0;
  #resetAt = 0;
  #isLeaving = false;

  constructor(session: ServerHttp2Session, edge: Edge, onCut: (reason: string) => void) {
    this.#session = session;
    this.#edge = edge;
    this.#onCut = onCut;
    this.#idleSince = edge.clock.now();
  }

  note(request: Http2Request, response: Http2Response): void {
    const { clock, limits, draining } = this.#edge;
    const { stream } = request;
    const own: Exchanged = { request, response, startedAt: clock.now(), isWatched: false };
    this.#open.add(own);
    this.#requestCount++;
    stream.once("close", () => this.#end(own));
    stream.on("timeout", () => {
      if (response.writableEnded || stream.writableLength > 0) stream.close(constants.NGHTTP2_CANCEL);
    });
    // The answer is out in full: what still comes of the request is wanted by nobody.
    stream.once("finish", () => {
      if (!request.complete) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
    if (draining || this.#requestCount >= limits.requestsPerConnection) this.leave();
  }

  /** GOAWAY: what runs ends, then the connection. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#session.close();
  }

  /** Looks for what took too long. */
  check(now: number): void {
    const { limits } = this.#edge;
    if (this.#open.size === 0) {
      const idleMs = now - this.#idleSince;
      if (idleMs < (this.#requestCount === 0 ? limits.headersTimeoutMs : limits.keepAliveMs)) return;
      if (!this.#isLeaving) this.leave();
      else if (idleMs >= limits.keepAliveMs + limits.stalledClientMs) this.#session.destroy();
      return;
    }
    for (const own of this.#open) this.#checkOne(own, now);
  }

  #checkOne(own: Exchanged, now: number): void {
    const { limits, connections } = this.#edge;
    const { request, response, startedAt } = own;
    if (response.writableEnded) {
      if (own.isWatched) return;
      own.isWatched = true;
      // Sent by us, not taken by the client: from now on it has to show that it takes something.
      request.stream.setTimeout(limits.stalledClientMs);
      return;
    }
    if (request.complete || now - startedAt < limits.requestTimeoutMs) return;
    connections.known(request.socket)?.newest?.onBroken(requestTimeout());
  }

  #end(own: Exchanged): void {
    const now = this.#edge.clock.now();
    this.#open.delete(own);
    if (this.#open.size === 0) this.#idleSince = now;
    const { stream } = own.request;
    if (stream.aborted && stream.rstCode !== constants.NGHTTP2_INTERNAL_ERROR) this.#countReset(now);
  }

  #countReset(now: number): void {
    const refilled = ((now - this.#resetAt) / 1000) * resetsPerSecond;
    this.#resets = Math.max(0, this.#resets - refilled) + 1;
    this.#resetAt = now;
    if (this.#resets <= resetBurst || this.#session.destroyed) return;
    this.#onCut("resets");
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#session.destroy();
  }
}

function checkStreams(streams: number): number {
  if (Number.isInteger(streams) && streams >= 1 && streams <= 1000) return streams;
  throw wrongGateway("HTTP2_INVALID", "gateway: tls.http2.streams: write a whole number from 1 to 1000.");
}
