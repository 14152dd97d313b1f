import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import type { PlinthError } from "../base/index.ts";
import { deadlineExceeded } from "../base/index.ts";
import { EgressRefusal } from "./egress.ts";
import {
  egressDenied,
  httpClosed,
  httpConnectionLost,
  httpConnectTimeout,
  httpUnreachable,
  requestUnsendable,
} from "./errors.ts";
import type { ExchangeEvents, HttpExchange } from "./exchange.ts";
import { undici } from "./undici.ts";

/** An exchange as undici reports it. */
export class DispatchedExchange implements HttpExchange, Dispatcher.DispatchHandler {
  readonly #events: ExchangeEvents;
  #controller: Dispatcher.DispatchController | undefined = undefined;
  #cancelled: PlinthError | undefined = undefined;

  constructor(events: ExchangeEvents) {
    this.#events = events;
  }

  get wasSent(): boolean {
    return this.#controller !== undefined;
  }

  cancel(reason: PlinthError): void {
    this.#cancelled = reason;
    this.#controller?.abort(reason);
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    if (!this.#cancelled) this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Cancelled while it waited for a connection: it never leaves.
    if (this.#cancelled) controller.abort(this.#cancelled);
    else this.#controller = controller;
  }

  onRequestUpgrade(_: Dispatcher.DispatchController, __: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    if (this.#cancelled || !this.#events.onUpgrade) socket.destroy();
    else this.#events.onUpgrade(headers, socket);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (!this.#cancelled && status >= 200) this.#events.onHead(status, headers);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#cancelled) this.#events.onChunk(chunk);
  }

  onResponseEnd(): void {
    if (!this.#cancelled) this.#events.onEnd();
  }

  onResponseError(_: Dispatcher.DispatchController, cause: Error): void {
    if (!this.#cancelled) this.#events.onFailure(failureOf(cause, this.wasSent));
  }
}

/** What a failure of the network means. */
export function failureOf(cause: Error, wasSent: boolean): PlinthError {
  const { errors } = undici();
  if (cause instanceof errors.InvalidArgumentError || cause instanceof errors.NotSupportedError)
    return requestUnsendable(cause);
  if (cause instanceof errors.ClientDestroyedError || cause instanceof errors.ClientClosedError)
    return httpClosed(wasSent ? "maybe" : "no");
  if (cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError)
    return deadlineExceeded();
  if (wasSent) return httpConnectionLost(cause);
  if (cause instanceof EgressRefusal) return egressDenied(cause.message);
  return cause instanceof errors.ConnectTimeoutError ? httpConnectTimeout(cause) : httpUnreachable(cause);
}
