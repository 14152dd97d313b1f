import type { IncomingMessage } from "node:http";
import { awaitClient } from "./entrance.ts";
import { bodyTooLarge } from "./errors.ts";
import type { Exchange } from "./exchange.ts";

/** Gets the whole body. Whatever it throws is answered as a problem. */
export type BodyTaker = (exchange: Exchange, body: Buffer) => void;

const nothing = Buffer.alloc(0);

/**
 * Reads a body up to `limitBytes`, then hands it on. A body of one chunk, the usual case, is handed on as it came. 413
 * as soon as more is announced or has arrived; the rest is not kept.
 *
 * How long a body may take is the server's `requestTimeout`; a client that goes away ends the exchange.
 */
export function readBody(exchange: Exchange, limitBytes: number, take: BodyTaker): void {
  const { req, headers } = exchange;
  const announced = headers["content-length"];
  if (announced === undefined ? headers["transfer-encoding"] === undefined : announced === "0") {
    take(exchange, nothing);
    return;
  }
  if (announced !== undefined && Number(announced) > limitBytes) throw bodyTooLarge(limitBytes);
  if (req.readableEnded) {
    throw new Error("the body was read before the gateway got the request: mount the gateway before body parsers");
  }
  exchange.startReading();
  awaitClient(exchange);
  (req as ReadRequest)[readerKey] = new Reader(exchange, limitBytes, take);
  req.on("data", onData);
  req.on("end", onEnd);
}

class Reader {
  readonly exchange: Exchange;
  readonly limitBytes: number;
  readonly take: BodyTaker;
  first: Buffer | undefined = undefined;
  more: Buffer[] | undefined = undefined;
  bytes = 0;

  constructor(exchange: Exchange, limitBytes: number, take: BodyTaker) {
    this.exchange = exchange;
    this.limitBytes = limitBytes;
    this.take = take;
  }
}

const readerKey = Symbol("plinth.reader");

interface ReadRequest extends IncomingMessage {
  [readerKey]?: Reader;
}

function onData(this: IncomingMessage, chunk: Buffer): void {
  const reader = (this as ReadRequest)[readerKey] as Reader;
  const { exchange } = reader;
  if (exchange.isOver) return;
  reader.bytes += chunk.length;
  if (reader.bytes > reader.limitBytes) {
    reader.first = undefined;
    reader.more = undefined;
    exchange.fail(bodyTooLarge(reader.limitBytes));
    return;
  }
  if (reader.first === undefined) reader.first = chunk;
  else if (reader.more === undefined) reader.more = [reader.first, chunk];
  else reader.more.push(chunk);
}

function onEnd(this: IncomingMessage): void {
  const reader = (this as ReadRequest)[readerKey] as Reader;
  const { exchange } = reader;
  if (exchange.isOver) return;
  exchange.requestBytes = reader.bytes;
  try {
    if (exchange.entrance) exchange.entrance.enterAgain(exchange, handOn);
    else handOn(exchange);
  } catch (thrown) {
    exchange.fail(thrown);
  }
}

function handOn(exchange: Exchange): void {
  const reader = (exchange.req as ReadRequest)[readerKey] as Reader;
  const body = reader.more ? Buffer.concat(reader.more, reader.bytes) : (reader.first ?? nothing);
  exchange.edge.inspectBody?.(exchange, body);
  reader.take(exchange, body);
}
