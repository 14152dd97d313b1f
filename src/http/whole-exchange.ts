import type { PlinthError } from "../base/index.ts";
import type { ExchangeEvents, HttpExchange } from "./exchange.ts";
import type { WholeRequest } from "./http-request.ts";
import type { RequestBytes } from "./request-bytes.ts";

/** What carries an exchange. */
export interface Line {
  destroy(): void;
  pause(): void;
  resume(): void;
}

/** A request that is written at once, and its answer. */
export class WholeExchange implements HttpExchange {
  readonly events: ExchangeEvents;
  readonly bytes: RequestBytes;
  readonly isForHead: boolean;
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  connection: Line | undefined = undefined;
  isOver = false;

  constructor({ method, headTimeoutMs, bodyTimeoutMs }: WholeRequest, bytes: RequestBytes, events: ExchangeEvents) {
    this.events = events;
    this.bytes = bytes;
    this.isForHead = method === "HEAD";
    this.headTimeoutMs = headTimeoutMs;
    this.bodyTimeoutMs = bodyTimeoutMs;
  }

  get wasSent(): boolean {
    return this.connection !== undefined;
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.connection?.destroy();
  }

  pause(): void {
    if (!this.isOver) this.connection?.pause();
  }

  resume(): void {
    if (!this.isOver) this.connection?.resume();
  }

  fail(reason: PlinthError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.events.onFailure(reason);
  }
}
