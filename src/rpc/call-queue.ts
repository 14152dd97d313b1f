import type { Clock, PlinthError } from "../base/index.ts";
import { queueFull } from "./errors.ts";

/** A call that waits for a connection. */
export interface WaitingCall<Connection> {
  /** The place of its method in the client's list; -1 when any connection will do. */
  readonly method: number;
  go(connection: Connection): void;
  fail(error: PlinthError): void;
}

export interface CallQueueOptions {
  readonly clock: Clock;
  readonly queueMs: number;
  readonly queuedMax: number;
  /** Why there is no connection. */
  failure(): PlinthError;
}

/**
 * Calls that wait while there is no connection: at most `queuedMax`, and at most until `queueMs` after the last
 * connection was lost (or the first was wanted). From then on they fail at once, until there is one again. A process
 * with calls that wait does not end.
 */
export class CallQueue<Connection> {
  readonly #options: CallQueueOptions;
  readonly #waiting = new Set<WaitingCall<Connection>>();
  #downSince: number | undefined = undefined;
  #timer: AbortController | undefined = undefined;

  constructor(options: CallQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** There is no connection, from now on if not before. */
  markDown(): void {
    this.#downSince ??= this.#options.clock.now();
  }

  /** There is a connection: all that waited, in order. */
  markUp(): readonly WaitingCall<Connection>[] {
    this.#downSince = undefined;
    return this.#takeAll();
  }

  /** False when the call failed at once. */
  add(call: WaitingCall<Connection>): boolean {
    this.markDown();
    const { clock, queueMs, queuedMax, failure } = this.#options;
    const leftMs = queueMs - (clock.now() - (this.#downSince ?? 0));
    const isFull = this.#waiting.size >= queuedMax;
    if (leftMs <= 0 || isFull) {
      call.fail(leftMs <= 0 ? failure() : queueFull(queuedMax, failure()));
      return false;
    }
    this.#waiting.add(call);
    this.#watch(leftMs);
    return true;
  }

  remove(call: WaitingCall<Connection>): void {
    this.#waiting.delete(call);
    if (this.#waiting.size === 0) this.#unwatch();
  }

  failAll(error: PlinthError): void {
    for (const call of this.#takeAll()) call.fail(error);
  }

  #takeAll(): readonly WaitingCall<Connection>[] {
    this.#unwatch();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  #watch(leftMs: number): void {
    if (this.#timer) return;
    const timer = new AbortController();
    this.#timer = timer;
    this.#options.clock.sleep(leftMs, timer.signal).then(
      () => this.failAll(this.#options.failure()),
      () => {},
    );
  }

  #unwatch(): void {
    this.#timer?.abort();
    this.#timer = undefined;
  }
}
