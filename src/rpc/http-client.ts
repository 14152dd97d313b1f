import type { Call, CallContext, Clock, PlinthError, StreamCall } from "../base/index.ts";
import { deadlineExceeded, error, isError, StartError, systemClock, toPlinthError } from "../base/index.ts";
import type { ExchangeEvents, HttpPool, HttpRequest } from "../http/index.ts";
import { createHttpPool } from "../http/index.ts";
import { HttpAnswer } from "./http-answer.ts";
import type { HttpMessage, HttpTarget } from "./http-message.ts";
import { compileHttpMessage } from "./http-message.ts";
import type { ExchangeControl } from "./http-stream.ts";
import { HttpStream } from "./http-stream.ts";

export interface HttpClientLimits {
  /** Connections to the service. 64. */
  readonly connections: number;
  /** Calls in flight, those that wait for a connection included. Above: HTTP_CLIENT_BUSY. 512. */
  readonly calls: number;
  readonly connectMs: number;
  /** Of an answer's body; above: HTTP_ANSWER_UNREADABLE. 4 MiB. */
  readonly bodyBytes: number;
  /** Of one item of a stream, in characters. 1 Mi. */
  readonly itemChars: number;
  /** How far a stream is read ahead of its consumer. 32 items, 1 Mi characters. */
  readonly streamItems: number;
  readonly streamChars: number;
  /** After so long a connection is replaced, so that a service that moved is noticed. 5 min. */
  readonly connectionMs: number;
}

const defaultLimits: HttpClientLimits = {
  connections: 64,
  calls: 512,
  connectMs: 1000,
  bodyBytes: 4 * 1024 * 1024,
  itemChars: 1024 * 1024,
  streamItems: 32,
  streamChars: 1024 * 1024,
  connectionMs: 300_000,
};

export interface HttpClientOptions {
  /** "https://shipping.example", with a path or without. */
  readonly baseUrl: string;
  /** Further headers of each call, such as a key; names in lower case. They win over ours. */
  readonly headers?: (context: CallContext) => Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly limits?: Partial<HttpClientLimits>;
}

export interface HttpClient {
  /** `parse` turns the answer's JSON (undefined for an empty body) into the response, or throws. */
  call(target: HttpTarget, parse: (value: unknown) => unknown): Call;
  /** Reads NDJSON or server-sent events; `parse` is for each item. */
  stream(target: HttpTarget, parse: (value: unknown) => unknown): StreamCall;
  /** Ends all connections; calls in flight fail with HTTP_CLOSED. */
  close(): Promise<void>;
}

/**
 * Calls an outside HTTP service through routes.
 *
 * Sends `traceparent`, `tracestate` and `Idempotency-Key` along. The deadline and the cancellation of a call end it at
 * once, wherever it is. Any status but 2xx becomes an error (`fromProblem`); redirects are not followed. Failures to
 * connect have `executed` "no", those after the request began to leave "maybe". An answer that is not what `parse` expects
 * is HTTP_ANSWER_UNREADABLE: our side's trouble, not our caller's. Does no retries: policies around it do.
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  if (!URL.canParse(options.baseUrl) || !/^https?:$/.test(new URL(options.baseUrl).protocol)) {
    const given = JSON.stringify(options.baseUrl);
    throw new StartError(
      "HTTP_ADDRESS_WRONG",
      `http client: ${given} is no address: write "https://host" or "http://host"`,
    );
  }
  return new PooledClient(options);
}

class PooledClient implements HttpClient {
  readonly #pool: HttpPool;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #limits: HttpClientLimits;
  readonly #headers: HttpClientOptions["headers"];
  #inFlight = 0;

  constructor(options: HttpClientOptions) {
    const url = new URL(options.baseUrl);
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#headers = options.headers;
    this.#prefix = url.pathname.replace(/\/$/, "");
    const { connections, connectMs, connectionMs } = this.#limits;
    this.#pool = createHttpPool(url.origin, { limits: { connections, connectMs, connectionMs } });
  }

  call(target: HttpTarget, parse: (value: unknown) => unknown): Call {
    const toMessage = compileHttpMessage(target);
    return (request, context) =>
      new Promise((resolve, reject) => {
        const answer = new HttpAnswer(this.#limits.bodyBytes, this.#clock);
        const settle = () => answer.settle(parse, resolve, reject);
        const stop = this.#send(target.verb, () => toMessage(request), "application/json", context, {
          onHead: (status, headers) => answer.begin(status, headers),
          onChunk: (chunk) => {
            if (answer.add(chunk)) return;
            stop();
            settle();
          },
          onEnd: settle,
          onFailure: reject,
        });
      });
  }

  stream(target: HttpTarget, parse: (value: unknown) => unknown): StreamCall {
    const toMessage = compileHttpMessage(target);
    const accept = "application/x-ndjson, text/event-stream;q=0.9";
    const { bodyBytes, itemChars, streamItems, streamChars } = this.#limits;
    return (request, context) => ({
      [Symbol.asyncIterator]: () => {
        const stream = new HttpStream({
          parse,
          itemChars,
          window: { items: streamItems, bytes: streamChars },
          answer: new HttpAnswer(bodyBytes, this.#clock),
        });
        stream.control = this.#send(target.verb, () => toMessage(request), accept, context, stream);
        return stream.items;
      },
    });
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Sends a request. What is returned ends it without a further word. */
  #send(
    verb: string,
    toMessage: () => HttpMessage,
    accept: string,
    context: CallContext,
    events: ExchangeEvents,
  ): ExchangeControl {
    const refusal = this.#refusal(context);
    let outgoing: HttpRequest | undefined;
    try {
      if (!refusal) outgoing = this.#requestFor(verb, toMessage(), accept, context);
    } catch (thrown) {
      events.onFailure(toPlinthError(thrown));
      return ended;
    }
    if (!outgoing) {
      events.onFailure(refusal ?? deadlineExceeded("no"));
      return ended;
    }
    let isOver = false;
    let forget = (): void => {};
    this.#inFlight++;
    const release = (): boolean => {
      if (isOver) return false;
      isOver = true;
      this.#inFlight--;
      forget();
      return true;
    };
    const exchange = this.#pool.send(outgoing, {
      onHead: events.onHead.bind(events),
      onChunk: events.onChunk.bind(events),
      onEnd: () => release() && events.onEnd(),
      onFailure: (reason) => release() && events.onFailure(reason),
    });
    if (isOver) return ended;
    forget = context.onCancel((reason) => {
      if (!release()) return;
      const isUnsent = isError(reason, "deadline_exceeded") && !exchange.wasSent;
      exchange.cancel(reason);
      events.onFailure(isUnsent ? deadlineExceeded("no") : reason);
    });
    const stop = () => {
      if (release()) exchange.cancel(error("cancelled", "Nobody wants the rest."));
    };
    return Object.assign(stop, { pause: () => exchange.pause(), resume: () => exchange.resume() });
  }

  #refusal(context: CallContext): PlinthError | undefined {
    if (context.cancelled) return context.cancelled;
    if (context.deadline <= this.#clock.now()) return deadlineExceeded("no");
    return this.#inFlight >= this.#limits.calls ? httpClientBusy() : undefined;
  }

  #requestFor(verb: string, message: HttpMessage, accept: string, context: CallContext): HttpRequest {
    const { trace, idempotencyKey } = context;
    const headers: Record<string, string> = { accept };
    if (message.body !== undefined) headers["content-type"] = "application/json";
    if (trace) {
      headers.traceparent = trace.traceparent();
      if (trace.tracestate) headers.tracestate = trace.tracestate;
    }
    // A Structured Field string, as draft-ietf-httpapi-idempotency-key-header has it.
    if (idempotencyKey !== undefined) headers["idempotency-key"] = `"${idempotencyKey.replace(/[\\"]/g, "\\$&")}"`;
    const remainingMs = context.deadline - this.#clock.now();
    const timeoutMs = Number.isFinite(remainingMs) ? Math.max(1, Math.ceil(remainingMs)) : 0;
    return {
      method: verb,
      path: this.#prefix + message.path,
      headers: Object.assign(headers, this.#headers?.(context)),
      body: message.body,
      headTimeoutMs: timeoutMs,
      bodyTimeoutMs: timeoutMs,
    };
  }
}

const ended: ExchangeControl = Object.assign(() => {}, { pause() {}, resume() {} });

/** HTTP_CLIENT_BUSY: as many calls to the outside service are in flight as may be. */
function httpClientBusy(): PlinthError {
  return error("resource_exhausted", "Too many calls to this service are in flight.", {
    reason: "HTTP_CLIENT_BUSY",
    retry: "safe",
    executed: "no",
  });
}
