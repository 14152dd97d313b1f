import type { IncomingMessage } from "node:http";
import { awaitClient } from "./entrance.ts";
import { bodyTooLarge } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { BodyTaker } from "./gateway-request.ts";
import { GatewayRequest } from "./gateway-request.ts";

/** Gets the whole body. Whatever it throws is answered as a problem. */
export type TakeBody = (exchange: Exchange, body: Buffer) => void;

const nothing = Buffer.alloc(0);

/**
 * Reads a body up to `limitBytes`, then hands it on. A body of one chunk, the usual case, is handed on as it came. 413
 * as soon as more is announced or has arrived; the rest is not kept.
 *
 * How long a body may take is the server's `requestTimeout`; a client that goes away ends the exchange.
 */
export function readBody(exchange: Exchange, limitBytes: number, take: TakeBody): void {
  const { req, headers } = exchange;
  const announced = headers["content-length"];
  if (announced === undefined ? headers["transfer-encoding"] === undefined : announced === "0") {
    forgoBody(req);
    take(exchange, nothing);
    return;
  }
  if (announced !== undefined && Number(announced) > limitBytes) throw bodyTooLarge(limitBytes);
  if (req.readableEnded) {
    throw new Error("the body was read before the gateway got the request: mount the gateway before body parsers");
  }
  exchange.startReading();
  awaitClient(exchange);
  const reader = new Reader(exchange, limitBytes, take);
  (req as ReadRequest)[readerKey] = reader;
  if (req instanceof GatewayRequest && req.handTo(reader)) return;
  req.on("data", onData);
  req.on("end", onEnd);
}

/** For a request that has no body: whoever asks for this never looks at its stream. */
export function forgoBody(req: IncomingMessage): void {
  if (req instanceof GatewayRequest) req.forgo();
}

class Reader implements BodyTaker {
  readonly #exchange: Exchange;
  readonly #limitBytes: number;
  readonly #take: TakeBody;
  #first: Buffer | undefined = undefined;
  #more: Buffer[] | undefined = undefined;
  #bytes = 0;

  constructor(exchange: Exchange, limitBytes: number, take: TakeBody) {
    this.#exchange = exchange;
    this.#limitBytes = limitBytes;
    this.#take = take;
  }

  get isOver(): boolean {
    return this.#exchange.isOver;
  }

  onChunk(chunk: Buffer): void {
    if (this.#exchange.isOver) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limitBytes) {
      this.#first = undefined;
      this.#more = undefined;
      this.#exchange.fail(bodyTooLarge(this.#limitBytes));
      return;
    }
    if (this.#first === undefined) this.#first = chunk;
    else if (this.#more === undefined) this.#more = [this.#first, chunk];
    else this.#more.push(chunk);
  }

  onWhole(): void {
    const exchange = this.#exchange;
    if (exchange.isOver) return;
    exchange.requestBytes = this.#bytes;
    try {
      if (exchange.entrance) exchange.entrance.enterAgain(exchange, handOn);
      else this.handOn();
    } catch (thrown) {
      exchange.fail(thrown);
    }
  }

  handOn(): void {
    const body = this.#more ? Buffer.concat(this.#more, this.#bytes) : (this.#first ?? nothing);
    this.#first = undefined;
    this.#more = undefined;
    this.#exchange.edge.inspectBody?.(this.#exchange, body);
    this.#take(this.#exchange, body);
  }
}

const readerKey = Symbol("plinth.reader");

interface ReadRequest extends IncomingMessage {
  [readerKey]?: Reader;
}

function onData(this: ReadRequest, chunk: Buffer): void {
  (this[readerKey] as Reader).onChunk(chunk);
}

function onEnd(this: ReadRequest): void {
  (this[readerKey] as Reader).onWhole();
}

function handOn({ req }: Exchange): void {
  ((req as ReadRequest)[readerKey] as Reader).handOn();
}
