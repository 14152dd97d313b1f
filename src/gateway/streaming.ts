import type { PlinthError, StreamCall } from "../base/index.ts";
import { toPlinthError } from "../base/index.ts";
import type { Operation, Route } from "../service/index.ts";
import { stringifyProblem, toProblem } from "../wire/index.ts";
import { readBody } from "./body.ts";
import { notAcceptable, overloaded } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { extendHead } from "./extras.ts";
import { headTemplate, withoutLength } from "./head.ts";
import { compileMessage } from "./message.ts";
import { streamFormatOf } from "./negotiation.ts";
import type { RequestScope } from "./request-scope.ts";
import type { Step } from "./step.ts";
import type { EndpointSettings } from "./unary.ts";

export interface StreamSettings extends EndpointSettings {
  readonly streamDeadlineMs: number;
  readonly heartbeatMs: number;
}

/**
 * The way of a request through a method that answers with many items: one JSON text per line (`application/x-ndjson`), or
 * server-sent events where the client prefers them.
 *
 * - An error before the first item is an ordinary problem with its status. After it, a line `{"error": problem}`, or
 *   `event: error` with the problem, is the last thing sent.
 * - A stream that ended well ends as the body ends; for events, which browsers would open again, `event: end` comes first.
 * - When the first item is slow to come, the head is sent after 1 s.
 * - A slow reader slows the handler: no item is taken before the last has left our buffer.
 * - A client that goes away, or the deadline, ends the iteration; the handler's `finally` runs.
 */
export function compileStreaming(
  operation: Operation,
  route: Route,
  stream: StreamCall,
  admit: Step,
  settings: StreamSettings,
): (exchange: Exchange) => void {
  const message = compileMessage(operation, route, settings);
  const deadlineMs = operation.deadlineMs ?? settings.streamDeadlineMs;
  const formats = { ndjson: ndjson(settings.headers), events: events(settings.headers) };
  const { bodyLimitBytes } = operation;
  const stringify = operation.response?.stringify ?? JSON.stringify;

  const run = (exchange: Exchange, request: unknown): void => {
    const format = formats[streamFormatOf(exchange.headers.accept) ?? "ndjson"];
    if (exchange.method === "HEAD") {
      const head = format.head.slice();
      extendHead(exchange, head);
      exchange.answer(200, head, undefined, 0);
      return;
    }
    if (exchange.edge.streams >= exchange.edge.limits.streams) throw overloaded();
    const scope = exchange.begin(deadlineMs);
    const sender = new StreamSender(exchange, scope, stream(request, scope)[Symbol.asyncIterator](), format, stringify);
    void sender.run(format.heartbeat === undefined ? undefined : settings.heartbeatMs);
  };
  const takeBody = (exchange: Exchange, body: Buffer): void => run(exchange, message.fromBody(exchange, body));

  const proceed = (exchange: Exchange): void => {
    if (streamFormatOf(exchange.headers.accept) === undefined) {
      throw notAcceptable("application/x-ndjson or text/event-stream");
    }
    if (message.takesBody) {
      message.checkHeaders(exchange);
      readBody(exchange, bodyLimitBytes, takeBody);
    } else run(exchange, message.fromQuery(exchange));
  };
  return (exchange) => admit(exchange, proceed);
}

interface StreamFormat {
  readonly head: readonly string[];
  item(json: string): string;
  failure(problem: string): string;
  readonly end: string | undefined;
  readonly heartbeat: string | undefined;
}

function vary(headers: ReadonlyMap<string, string>): string {
  const known = headers.get("vary");
  return known === undefined ? "accept" : `${known}, accept`;
}

const ndjson = (headers: ReadonlyMap<string, string>): StreamFormat => ({
  // Proxies such as nginx hold answers back unless told not to.
  head: withoutLength(
    headTemplate(headers, { "content-type": "application/x-ndjson", vary: vary(headers), "x-accel-buffering": "no" }),
  ),
  item: (json) => `${json}\n`,
  failure: (problem) => `{"error":${problem}}\n`,
  end: undefined,
  heartbeat: undefined,
});

const events = (headers: ReadonlyMap<string, string>): StreamFormat => ({
  head: withoutLength(
    headTemplate(headers, { "content-type": "text/event-stream", vary: vary(headers), "x-accel-buffering": "no" }),
  ),
  item: (json) => `data: ${json}\n\n`,
  failure: (problem) => `event: error\ndata: ${problem}\n\n`,
  end: "event: end\ndata: {}\n\n",
  heartbeat: ": heartbeat\n\n",
});

const headDelayMs = 1000;
/** How long events go on that were asked for while the process was draining already. */
const lateDelayMs = 1000;

class StreamSender {
  readonly #exchange: Exchange;
  readonly #scope: RequestScope;
  readonly #iterator: AsyncIterator<unknown>;
  readonly #format: StreamFormat;
  readonly #stringify: (item: unknown) => string;
  #stopTimer: (() => void) | undefined = undefined;
  #released = false;

  constructor(
    exchange: Exchange,
    scope: RequestScope,
    iterator: AsyncIterator<unknown>,
    format: StreamFormat,
    stringify: (item: unknown) => string,
  ) {
    this.#exchange = exchange;
    this.#scope = scope;
    this.#iterator = iterator;
    this.#format = format;
    this.#stringify = stringify;
  }

  async run(heartbeatMs: number | undefined): Promise<void> {
    const exchange = this.#exchange;
    const { clock } = exchange.edge;
    // Cancelled means that nobody reads any more, or the time is over: the handler's `finally` runs now, not at its next item.
    this.#scope.onCancel(() => this.#release());
    exchange.onFailure = (failure) => this.#breakOff(failure);
    if (heartbeatMs !== undefined) {
      exchange.onDrain = (delayMs) => void clock.after(delayMs, () => this.#sayGoodbye());
      if (exchange.edge.draining) exchange.onDrain(lateDelayMs);
    }
    exchange.watchClient();
    this.#stopTimer = clock.after(headDelayMs, () => this.#open());
    try {
      for (;;) {
        const next = await this.#iterator.next();
        if (exchange.isOver) return;
        if (next.done) break;
        const text = this.#format.item(this.#stringify(next.value));
        this.#open(heartbeatMs);
        exchange.responseBytes += Buffer.byteLength(text);
        if (!exchange.res.write(text)) await drained(exchange);
        if (exchange.isOver) return;
      }
      this.#open();
      this.#finish(this.#format.end, 200);
    } catch (thrown) {
      exchange.fail(thrown);
    } finally {
      this.#release();
    }
  }

  /** Sends the head, once, and starts the heartbeat. */
  #open(heartbeatMs?: number): void {
    const { res } = this.#exchange;
    if (res.headersSent || this.#exchange.isOver) {
      return;
    }
    this.#stopTimer?.();
    const head = this.#format.head.slice();
    extendHead(this.#exchange, head);
    this.#exchange.keepOrClose();
    res.writeHead(200, head);
    res.flushHeaders();
    this.#exchange.becomeStream();
    const { heartbeat } = this.#format;
    if (heartbeat !== undefined) {
      const everyMs = heartbeatMs ?? this.#exchange.edge.limits.heartbeatMs;
      this.#stopTimer = this.#exchange.edge.clock.every(everyMs, () => {
        if (!res.writableNeedDrain) res.write(heartbeat);
      });
    }
  }

  /** Ends events that would go on: without `event: end`, so that the browser opens them again, elsewhere. */
  #sayGoodbye(): void {
    if (this.#exchange.isOver) return;
    this.#open();
    const { req, res } = this.#exchange;
    // The head may have promised to keep the connection: it leads to this process, so it ends all the same.
    res.once("finish", () => req.socket.end());
    this.#finish(undefined, 200);
    this.#release();
  }

  /** What went wrong after the head is told in the stream itself. */
  #breakOff(failure: PlinthError): boolean {
    if (!this.#exchange.res.headersSent) return false;
    const { span } = this.#exchange;
    const problem = toProblem(toPlinthError(failure), { traceId: span?.traceId });
    this.#finish(this.#format.failure(stringifyProblem(problem)), problem.status);
    return true;
  }

  #finish(last: string | undefined, status: number): void {
    this.#stopTimer?.();
    this.#exchange.res.end(last);
    this.#exchange.finish(status);
  }

  /** Tells the handler that no more is wanted. It may take its time, and may throw: nobody listens any more. */
  #release(): void {
    this.#stopTimer?.();
    if (this.#released) return;
    this.#released = true;
    this.#iterator.return?.().then(undefined, () => {});
  }
}

/** Resolves when the client has taken what waited, or is gone. */
function drained({ res }: Exchange): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off("drain", done);
      res.off("close", done);
      resolve();
    };
    res.on("drain", done);
    res.on("close", done);
  });
}
