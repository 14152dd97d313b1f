import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { PlinthError } from "../base/index.ts";

/** What becomes of a request. After `onEnd`, `onFailure` or `onUpgrade` nothing more comes. */
export interface ExchangeEvents {
  /** Names in lower case; a list where a header came more than once. */
  onHead(status: number, headers: IncomingHttpHeaders): void;
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  /**
   * Instead of `onHead`, `onChunk` and `onEnd`, where it is there: for a short answer that came in one piece. May be left
   * out by whoever answers, and is not called for what comes in several. `body` is good until this returns.
   */
  onWhole?(status: number, headers: IncomingHttpHeaders, body: Buffer): void;
  /** Once, instead of `onEnd`. */
  onFailure(reason: PlinthError): void;
  /** The other side changed to the protocol that was asked for: the connection is the caller's now. */
  onUpgrade?(headers: IncomingHttpHeaders, socket: Duplex): void;
}

/** One request on its way: holds the answer's body back, and ends it all. */
export interface HttpExchange {
  /** Whether the request began to leave this process, which decides whether it may have been executed. */
  readonly wasSent: boolean;
  /** Ends the exchange, wherever it is. Nothing is reported after it. */
  cancel(reason: PlinthError): void;
  pause(): void;
  resume(): void;
}
