import type { CallContext, Clock, DeadlineEntry, Deadlines, Duration, PlinthError, Policy } from "../base/index.ts";
import { createDeadlines, deadlineExceeded, systemClock, toMs } from "../base/index.ts";
import { bulkheadFull, notExecuted } from "./errors.ts";
import { gatedStream } from "./gated-stream.ts";
import type { StreamPolicy } from "./policy.ts";

export interface BulkheadOptions {
  /** What is behind it, for messages and metrics: the name of a callee. */
  readonly name: string;
  /** Calls that run at the same time. Default 256. */
  readonly concurrentMax?: number;
  /** Calls that wait for a place. Default: as many as may run. 0: none waits. */
  readonly queueMax?: number;
  /** The longest that one waits, and never longer than half of its remaining time. Default 100 ms. */
  readonly waitMax?: Duration;
  readonly clock?: Clock;
}

/**
 * A bound on the calls that one callee can hold, so that a callee that hangs takes its own share and not the process.
 *
 * Calls beyond the bound wait, first come first served, in a queue that is bounded too, in length and in time. A call
 * that cannot wait, or has waited too long, gets `resource_exhausted`, reason `BULKHEAD_FULL`, `executed: "no"`. One that
 * is cancelled leaves the queue at once. Times are kept to within 20 ms, on one timer for all that wait.
 *
 * A stream holds its place until it ends.
 */
export interface Bulkhead {
  readonly name: string;
  readonly concurrentMax: number;
  readonly runningCount: number;
  readonly queuedCount: number;
  /** Calls refused since the start. */
  readonly refusedCount: number;
  readonly policy: Policy;
  readonly stream: StreamPolicy;
  run<T>(work: () => Promise<T>, context?: CallContext): Promise<T>;
  /** Takes a place if one is free now. Whoever has taken one leaves. */
  tryEnter(): boolean;
  leave(): void;
}

export function createBulkhead(options: BulkheadOptions): Bulkhead {
  return new Compartment(options);
}

class Compartment implements Bulkhead {
  readonly name: string;
  readonly concurrentMax: number;
  runningCount = 0;
  refusedCount = 0;

  readonly #queueMax: number;
  readonly #waitMaxMs: number;
  readonly #clock: Clock;
  readonly #queue = new Set<Waiter>();
  /** Made when somebody waits for the first time. */
  #deadlines: Deadlines | undefined;

  constructor(options: BulkheadOptions) {
    this.name = options.name;
    this.concurrentMax = options.concurrentMax ?? 256;
    this.#queueMax = options.queueMax ?? this.concurrentMax;
    this.#waitMaxMs = toMs(options.waitMax ?? 100);
    this.#clock = options.clock ?? systemClock;
  }

  get queuedCount(): number {
    return this.#queue.size;
  }

  readonly policy: Policy = (next) => (request, context) => {
    if (!this.tryEnter()) return this.#wait(context).then(() => this.#hold(() => next(request, context)));
    let answer: Promise<unknown>;
    try {
      answer = next(request, context);
    } catch (thrown) {
      this.leave();
      return Promise.reject(thrown);
    }
    answer.then(this.leave, this.leave);
    return answer;
  };

  readonly stream: StreamPolicy = (next) => (request, context) =>
    gatedStream(context, {
      open: async () => {
        if (!this.tryEnter()) await this.#wait(context);
        try {
          return next(request, context);
        } catch (thrown) {
          this.leave();
          throw thrown;
        }
      },
      onEnd: this.leave,
    });

  async run<T>(work: () => Promise<T>, context?: CallContext): Promise<T> {
    if (!this.tryEnter()) await this.#wait(context);
    return this.#hold(work);
  }

  async #hold<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  tryEnter(): boolean {
    if (this.runningCount >= this.concurrentMax) return false;
    this.runningCount++;
    return true;
  }

  /** Gives the place to whoever waits longest. */
  readonly leave = (): void => {
    for (const waiter of this.#queue) {
      waiter.settle(undefined);
      return;
    }
    this.runningCount--;
  };

  /** Resolves when the caller has a place. */
  #wait(context: CallContext | undefined): Promise<void> {
    if (context?.cancelled) return Promise.reject(notExecuted(context.cancelled));
    const nowMs = this.#clock.now();
    const remainingMs = (context?.deadline ?? Number.POSITIVE_INFINITY) - nowMs;
    if (remainingMs <= 0) return Promise.reject(deadlineExceeded("no"));
    if (this.#queue.size >= this.#queueMax) return Promise.reject(this.#refusal());
    const waitMs = Math.min(this.#waitMaxMs, remainingMs / 2);
    this.#deadlines ??= createDeadlines(this.#clock);
    const deadlines = this.#deadlines;
    return new Promise((resolve, reject) => {
      let forget = () => {};
      const waiter = new Waiter((refusal) => {
        deadlines.remove(waiter);
        forget();
        this.#queue.delete(waiter);
        if (refusal === undefined) resolve();
        else reject(refusal === timeIsUp ? this.#refusal() : refusal);
      });
      this.#queue.add(waiter);
      deadlines.add(waiter, nowMs + waitMs);
      if (context) forget = context.onCancel((reason) => waiter.settle(notExecuted(reason)));
    });
  }

  #refusal(): PlinthError {
    this.refusedCount++;
    return bulkheadFull(this.name, this.concurrentMax);
  }
}

const timeIsUp = Symbol("time is up");

class Waiter implements DeadlineEntry {
  deadlineSlot = -1;
  deadlinePrev: DeadlineEntry | undefined = undefined;
  deadlineNext: DeadlineEntry | undefined = undefined;
  deadlineAt = 0;
  readonly settle: (refusal: PlinthError | typeof timeIsUp | undefined) => void;

  constructor(settle: Waiter["settle"]) {
    this.settle = settle;
  }

  onDeadline(): void {
    this.settle(timeIsUp);
  }
}
