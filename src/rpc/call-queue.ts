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
 * connection was lost (or the first was wanted). From then on they fail at once, until there is one again.
 */
export class CallQueue<Connection> {
  readonly #options: CallQueueOptions;
  readonly #waiting = new Set<WaitingCall<Connection>>();
  #downSince: number | undefined = undefined;
  #cancelTimer: () => void = () => {};

  constructor(options: CallQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** There is no connection, from now on if not before. */
  markDown(): void {
    if (this.#downSince !== undefined) return;
    const { clock, queueMs, failure } = this.#options;
    this.#downSince = clock.now();
    this.#cancelTimer = clock.after(queueMs, () => this.failAll(failure()));
  }

  /** There is a connection: all that waited, in order. */
  markUp(): readonly WaitingCall<Connection>[] {
    this.#downSince = undefined;
    this.#cancelTimer();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  /** False when the call failed at once. */
  add(call: WaitingCall<Connection>): boolean {
    this.markDown();
    const { clock, queueMs, queuedMax, failure } = this.#options;
    const isLate = clock.now() - (this.#downSince ?? 0) >= queueMs;
    const refusal = isLate ? failure() : this.#waiting.size >= queuedMax ? queueFull(queuedMax, failure()) : undefined;
    if (refusal) call.fail(refusal);
    else this.#waiting.add(call);
    return !refusal;
  }

  remove(call: WaitingCall<Connection>): void {
    this.#waiting.delete(call);
  }

  failAll(error: PlinthError): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) call.fail(error);
  }

  close(error: PlinthError): void {
    this.#cancelTimer();
    this.failAll(error);
  }
}
