import type { Duplex, Readable } from "node:stream";
import type { PlinthError, Trace } from "../base/index.ts";
import type { UpstreamOptions } from "./upstream-options.ts";

/**
 * A service that Plinth did not write, behind the gateway: several targets that do the same, and what stands between
 * them and a request.
 *
 * Promises
 * - A request is sent twice only where that is safe (`forwarding.ts`), and all requests together are sent again for a tenth
 *   at most: a service that fails gets little more work for it.
 * - A target that fails or is slow is left alone within a few requests, whatever its health check says, and comes back by
 *   itself; while too few are left, none is left out. Somebody else's name server, health check or new options that are
 *   wrong never take away what works.
 * - Bodies flow as fast as the slower side; nobody's connection is taken down to tell the other that it is over.
 * - What belongs to one connection ends with it, and who the client is, is said by us alone (`forward-headers.ts`).
 * - Each failure has its exact status, and says whether anything was done; the target's address is for the log.
 *
 * Not promised: that an answer which has begun comes to its end; HTTP/2 to targets, trailers and informational answers; one
 * view of the targets in several processes, each of which finds out for itself.
 *
 * Limits: `UpstreamLimits`. 1,000 targets, 256 addresses of each name.
 */
export interface Upstream {
  readonly name: string;
  /**
   * Sends a request to one of the targets, or after failures that make it safe to another, and gives the answer as it
   * begins. Rejects with an error that has its exact status: 502, 503, 504 or 508. An answer of the target, whatever
   * its status, is no error.
   */
  forward(request: ForwardRequest): Promise<ForwardAnswer>;
  /** The same without a promise: what becomes of it is told to `receiver`, also at once. */
  forwardTo(receiver: ForwardReceiver, request: ForwardRequest): void;
  /**
   * Hands a client's connection over to a target that changes the protocol (WebSocket): answers on `socket` itself, also
   * when it is refused, and owns it from here on.
   */
  upgrade(request: UpgradeRequest, socket: Duplex, head: Buffer): void;
  /** Other options from now on, for requests that come from now on. Throws StartError on wrong ones and keeps the old. */
  update(options: UpstreamOptions): void;
  states(): readonly TargetState[];
  /** Resolves names and asks for health once, at most `start` long. Targets that cannot be reached do not fail it. */
  start(): Promise<void>;
  /** Takes nothing new; resolves when nothing is under way. Tunnels are closed one by one. */
  drain(): Promise<void>;
  /** Ends everything now. */
  close(): Promise<void>;
}

/** From whom a request came, as far as the gateway trusts what it was told. */
export interface ForwardClient {
  /** Of the client and of the trusted proxies after it, in the order of travel. At least the socket's own peer. */
  readonly addresses: readonly string[];
  readonly proto: "http" | "https";
  /** The host that the client asked for: the `Host` header. */
  readonly host: string;
}

export interface ForwardRequest {
  readonly method: string;
  /** Path and query, as they are to be sent. */
  readonly path: string;
  /**
   * Names and values in turn, as they came (`req.rawHeaders`). What belongs to the client's connection is left out,
   * `Forwarded`, `X-Forwarded-*` and `Via` are set anew.
   */
  readonly headers: readonly string[];
  /** A stream is sent as it comes, and can be sent only once; it is never destroyed, only left. A buffer can be sent again. */
  readonly body: Readable | Buffer | undefined;
  readonly client: ForwardClient;
  /** When the answer must have begun, in `clock.now()` milliseconds. */
  readonly deadline: number;
  /** Runs `listener` when nobody wants the answer any more, also while its body is on its way. As of `CallContext`. */
  onCancel(listener: (reason: PlinthError) => void): () => void;
  /** Sent as `traceparent` and `tracestate` instead of the client's. */
  readonly trace?: Trace | undefined;
  /** Doing it twice is as good as once. Default: by the method (RFC 9110, 9.2.2). */
  readonly isIdempotent?: boolean | undefined;
  /** A short answer may come as `whole`. */
  readonly takesWhole?: boolean | undefined;
  /** For `balance: "hash"`: requests with one key go to one target. Without one they are spread. */
  readonly hashKey?: string | undefined;
}

export interface ForwardAnswer {
  readonly status: number;
  /** Names in lower case and values in turn, for `writeHead`. Without those that belong to the target's connection. */
  readonly headers: string[];
  /**
   * Undefined when there is none. Holds the target back while nobody reads. Destroy it to end the exchange; it is destroyed
   * with an error when the target breaks off.
   */
  readonly body: Readable | undefined;
  /** Instead of `body`, where the request takes it: all of it, for it came in one piece. Latin-1: a character for each byte. */
  readonly whole?: string | undefined;
  /** The target as it was declared: "http://orders:8080". */
  readonly target: string;
  /** 1, or more when it was tried again or hedged. */
  readonly attempts: number;
}

/** Hears of one of them, once. Must not throw. */
export interface ForwardReceiver {
  onAnswer(answer: ForwardAnswer): void;
  onFailure(reason: unknown): void;
}

/** `path`, `headers`, `client`, `deadline` (until the protocol is changed) and `trace` as of a request. */
export type UpgradeRequest = Omit<ForwardRequest, "body" | "onCancel" | "isIdempotent"> & {
  /** Runs once, when the tunnel has ended or was refused. */
  readonly onEnd?: ((end: UpgradeEnd) => void) | undefined;
};

export interface UpgradeEnd {
  /** 101, or the status of what was answered instead. */
  readonly status: number;
  /** The reason of a refusal, or of a tunnel that was cut. */
  readonly reason: string | undefined;
  readonly bytesFromClient: number;
  readonly bytesFromTarget: number;
}

export interface TargetState {
  /** As declared: "http://orders:8080". */
  readonly target: string;
  /** The IP address, or the host where there is no other. */
  readonly address: string;
  readonly zone: string | undefined;
  readonly weight: number;
  /** `unhealthy`: by its health check. `ejected`: by what became of requests. */
  readonly state: "available" | "ejected" | "unhealthy";
  /** When an ejection ends, in `clock.now()` milliseconds. */
  readonly until: number | undefined;
  readonly inFlight: number;
  /** Time until an answer begins, in ms, as p2c sees it. */
  readonly latencyMs: number | undefined;
}
