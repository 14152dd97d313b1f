import type { Readable } from "node:stream";

export interface HttpRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Names and values in turn, or by name. Without those that belong to the connection. */
  readonly headers: readonly string[] | Readonly<Record<string, string>>;
  readonly body?: string | Buffer | Readable | undefined;
  /** Until the answer's head, from when the request was sent. Within about a second. 0: not limited here. */
  readonly headTimeoutMs: number;
  /** Between two pieces of the answer's body, while it is not held back. 0: not limited here. */
  readonly bodyTimeoutMs: number;
  /** The protocol to change to, such as "websocket". */
  readonly upgrade?: string | undefined;
}

export interface HttpPoolLimits {
  /** 64. */
  readonly connections: number;
  /** 1 s. */
  readonly connectMs: number;
  /** How long a connection is kept without work; the other side's `Keep-Alive` goes before. 4 s. */
  readonly idleMs: number;
  /** After so long a connection is replaced, so that a service that moved is noticed. 5 min. */
  readonly connectionMs: number;
  /** Of an answer's head. 16 KiB. */
  readonly headerBytes: number;
}

/** A request whose body is all there, so that it is written at once. */
export type WholeRequest = HttpRequest & { readonly body?: Exclude<HttpRequest["body"], Readable> };
