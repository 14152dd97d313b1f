import type { Socket } from "node:net";
import type { buildConnector } from "undici";
import type { Clock, PlinthError } from "../base/index.ts";
import { Connection, type ConnectionOwner, lookEveryMs } from "./connection.ts";
import { failureOf } from "./dispatched-exchange.ts";
import { httpClosed, requestUnsendable } from "./errors.ts";
import type { ExchangeEvents, HttpExchange } from "./exchange.ts";
import type { HttpPoolLimits, WholeRequest } from "./http-request.ts";
import type { RequestBytes } from "./request-bytes.ts";
import { toRequestBytes } from "./request-bytes.ts";
import { WholeExchange } from "./whole-exchange.ts";

export interface ConnectionsOptions {
  readonly url: URL;
  readonly serverName: string | undefined;
  readonly limits: HttpPoolLimits;
  /** Its plain sockets read into the buffer that all share (`sharedRead`). */
  readonly connect: buildConnector.connector;
  readonly clock: Clock;
}

/**
 * Connections to one origin for requests that are there as a whole: most of them. The one that was used last is used next,
 * so that those that are too many grow old and are closed.
 */
export class Connections implements ConnectionOwner {
  nowMs: number;
  readonly #options: ConnectionsOptions;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  #waiting: WholeExchange[] = [];
  #openingCount = 0;
  #isClosing = false;
  #isClosed = false;
  #stopLooking: (() => void) | undefined = undefined;
  #onEmpty: (() => void) | undefined = undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.nowMs = options.clock.now();
  }

  get headerBytes(): number {
    return this.#options.limits.headerBytes;
  }

  get count(): number {
    return this.#all.size;
  }

  send(request: WholeRequest, events: ExchangeEvents): HttpExchange {
    let bytes: RequestBytes = nothing;
    let refusal: PlinthError | undefined;
    try {
      bytes = toRequestBytes(request, this.#options.url.host);
      if (this.#isClosing) refusal = httpClosed("no");
    } catch (cause) {
      refusal = requestUnsendable(cause as Error);
    }
    const exchange = new WholeExchange(request, bytes, events);
    if (refusal) {
      exchange.fail(refusal);
      return exchange;
    }
    const connection = this.#idle.pop();
    if (connection) connection.send(exchange);
    else {
      this.#waiting.push(exchange);
      this.#open();
    }
    return exchange;
  }

  /** Resolves when what is under way has ended. */
  drain(): Promise<void> {
    this.#isClosing = true;
    for (const connection of [...this.#idle]) connection.destroy();
    return new Promise((resolve) => {
      const earlier = this.#onEmpty;
      this.#onEmpty = () => {
        earlier?.();
        resolve();
      };
      this.#checkEmpty();
    });
  }

  close(): Promise<void> {
    const drained = this.drain();
    this.#isClosed = true;
    for (const exchange of this.#waiting.splice(0)) exchange.fail(httpClosed("no"));
    for (const connection of this.#all) connection.fail(httpClosed("maybe"));
    this.#checkEmpty();
    return drained;
  }

  onFree(connection: Connection): void {
    if (this.#isClosed || this.nowMs - connection.bornMs >= this.#options.limits.connectionMs) {
      connection.destroy();
      return;
    }
    const next = this.#nextWaiting();
    if (next) connection.send(next);
    else if (this.#isClosing) connection.destroy();
    else this.#keep(connection);
  }

  onGone(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#open();
    this.#checkEmpty();
  }

  failureOf(cause: Error): PlinthError {
    return failureOf(cause, true);
  }

  #keep(connection: Connection): void {
    connection.idleSinceMs = this.nowMs;
    this.#idle.push(connection);
  }

  #nextWaiting(): WholeExchange | undefined {
    for (;;) {
      const next = this.#waiting.shift();
      if (!next?.isOver) return next;
    }
  }

  /** Opens a connection for each that waits, as long as there may be more. */
  #open(): void {
    if (this.#isClosed || this.#waiting.length <= this.#openingCount) return;
    if (this.#all.size + this.#openingCount >= this.#options.limits.connections) return;
    this.#openingCount++;
    const { url, serverName, connect } = this.#options;
    const { host, protocol, port } = url;
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    connect(
      { host, hostname, protocol, port, ...(serverName !== undefined && { servername: serverName }) },
      (...[cause, socket]) => {
        this.#openingCount--;
        if (cause) this.#onUnreachable(cause);
        else this.#onConnected(socket);
      },
    );
  }

  #onUnreachable(cause: Error): void {
    this.#nextWaiting()?.fail(failureOf(cause, false));
    this.#open();
    this.#checkEmpty();
  }

  #onConnected(socket: Socket): void {
    if (this.#isClosed) {
      socket.destroy();
      this.#checkEmpty();
      return;
    }
    this.#beginLooking();
    const connection = new Connection(socket, this);
    this.#all.add(connection);
    if (this.#options.url.protocol === "https:") socket.on("data", (bytes: Buffer) => connection.read(bytes));
    else (socket as SharedSocket)[connectionKey] = connection;
    this.onFree(connection);
  }

  #beginLooking(): void {
    const { clock } = this.#options;
    if (this.#stopLooking) return;
    this.nowMs = clock.now();
    this.#stopLooking = clock.every(lookEveryMs, () => this.#look());
  }

  #look(): void {
    this.nowMs = this.#options.clock.now();
    const { idleMs } = this.#options.limits;
    for (const connection of [...this.#idle]) {
      if (this.nowMs - connection.idleSinceMs >= (connection.keptMs ?? idleMs)) connection.destroy();
      else connection.rest();
    }
    for (const connection of [...this.#all]) connection.look();
    this.#waiting = this.#waiting.filter(({ isOver }) => !isOver);
  }

  #checkEmpty(): void {
    if (this.#all.size + this.#openingCount > 0) return;
    this.#stopLooking?.();
    this.#stopLooking = undefined;
    if (this.#waiting.length === 0) this.#onEmpty?.();
  }
}

const nothing: RequestBytes = { text: "", body: undefined };

/**
 * What plain sockets are made with: all read into one buffer, for each is done with it before the next is read. That
 * saves a buffer, and the stream's own work, for each piece.
 */
export const sharedRead = {
  buffer: Buffer.allocUnsafeSlow(64 * 1024),
  callback(this: unknown, bytes: number, buffer: Uint8Array): boolean {
    (this as SharedSocket)[connectionKey]?.read((buffer as Buffer).subarray(0, bytes));
    return true;
  },
};

const connectionKey = Symbol("plinth.connection");

type SharedSocket = Socket & { [connectionKey]?: Connection };
