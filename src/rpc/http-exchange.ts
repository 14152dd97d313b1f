import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { errors } from "undici";
import type { PlinthError } from "../base/index.ts";
import { deadlineExceeded, error } from "../base/index.ts";
import { clientClosed } from "./errors.ts";

export interface ExchangeEvents {
  onHead(status: number, headers: IncomingHttpHeaders): void;
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  /** Once, instead of `onEnd`. */
  onFailure(reason: PlinthError): void;
}

/** Ends the exchange when called; holds the answer's body back in between. */
export interface ExchangeControl {
  (): void;
  pause(): void;
  resume(): void;
}

/**
 * One request and its answer, as undici reports them. Knows whether the request began to leave this process, which decides
 * whether it may have been executed. After `cancel` it reports nothing more.
 */
export class HttpExchange implements Dispatcher.DispatchHandler {
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

function failureOf(cause: Error, wasSent: boolean): PlinthError {
  if (cause instanceof errors.InvalidArgumentError) return requestUnsendable(cause);
  if (cause instanceof errors.ClientDestroyedError || cause instanceof errors.ClientClosedError) {
    return clientClosed(wasSent ? "maybe" : "no");
  }
  if (cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError)
    return deadlineExceeded();
  return wasSent ? httpConnectionLost(cause) : httpUnreachable(cause);
}

/** HTTP_REQUEST_UNSENDABLE: a header or path that HTTP does not allow. Look at `headers` of the external service. */
function requestUnsendable(cause: Error): PlinthError {
  return error("internal", "The call could not be sent.", { reason: "HTTP_REQUEST_UNSENDABLE", executed: "no", cause });
}

/** HTTP_UNREACHABLE: no connection to the outside service: name, port, certificate or network. */
function httpUnreachable(cause: Error): PlinthError {
  return error("unavailable", "The service cannot be reached.", { reason: "HTTP_UNREACHABLE", executed: "no", cause });
}

/** HTTP_CONNECTION_LOST: the connection ended, or what came was no HTTP, after the request was sent. */
function httpConnectionLost(cause: Error): PlinthError {
  return error("unavailable", "The connection to the service was lost.", { reason: "HTTP_CONNECTION_LOST", cause });
}
