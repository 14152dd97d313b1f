import type { Duration, ErrorCode, ErrorOptions, Principal, Trace } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { AnyContract } from "./contract.ts";
import type { PayloadInput } from "./event.ts";
import type { DeclaredErrors } from "./method.ts";
import type { Handles } from "./needs.ts";

/** The names that `fail` takes: the declared codes, or the declared reasons. */
export type ErrorName<E> = E extends readonly (infer C)[]
  ? C & string
  : E extends Readonly<Record<infer R, ErrorCode>>
    ? R & string
    : never;

/**
 * Ends the call with a declared error. It throws; write `throw fail(…)` so that the reader and the compiler see it.
 * `message` is for the caller to read.
 */
export type Fail<E extends DeclaredErrors> = (
  error: ErrorName<E>,
  message: string,
  options?: Pick<ErrorOptions, "details" | "detail" | "cause">,
) => never;

/** Announces facts. The event is written in the same transaction as the change it tells of, and delivered after it. */
export interface Events<C extends AnyContract> {
  publish<K extends keyof C["events"]>(
    event: C["events"][K],
    payload: PayloadInput<C["events"][K]>,
    options: { readonly in: Transaction },
  ): Promise<void>;
}

/** The facts of the call that runs. */
export interface CallFacts {
  readonly principal: Principal;
  /** When the answer is worth nothing any more, in `clock.now()` milliseconds. */
  readonly deadline: number;
  /** Aborts when the caller went away or the deadline passed. */
  readonly signal: AbortSignal;
  readonly trace: Trace | undefined;
  readonly idempotencyKey: string | undefined;
  /** The service that calls, or "gateway". */
  readonly caller: string;
  readonly log: Logger;
}

/** What a method's handler gets besides the request. */
export type MethodContext<C extends AnyContract, N, E extends DeclaredErrors> = Handles<N> &
  CallFacts & { readonly events: Events<C>; readonly fail: Fail<E> };

/** What a raw handler gets. */
export type RawContext<C extends AnyContract, N> = Handles<N> & CallFacts & { readonly events: Events<C> };

/** What a subscription's handler gets: `tx` is the transaction in which the event takes effect, once. */
export type SubscriptionContext<C extends AnyContract, N> = Handles<N> &
  CallFacts & {
    readonly events: Events<C>;
    /**
     * What is written through it happens once, however often the event is delivered. The transaction begins with the first
     * statement: call other services before that, not within.
     */
    readonly tx: Transaction;
    /** The id of the event: the key that makes an effect outside the database harmless to repeat. */
    readonly eventId: string;
    /**
     * 1, 2, 3 … among the events of the same service and key, in the order of their commits: who sees 7 after 5 has missed
     * one. Undefined for events that were written before there were any.
     */
    readonly sequence: number | undefined;
    /** An operator had it delivered again: later events of its key may have taken effect already. */
    readonly replayed: boolean;
    /**
     * Not yet: undoes what was done in `tx` and brings the event again after `delay` (1 ms to a day), without counting an
     * attempt. It throws; write `throw postpone("30s")`. Whoever postpones decides when to stop.
     */
    readonly postpone: (delay: Duration) => never;
  };

/** What a schedule's handler gets: `tx` is the transaction that remembers the tick, once. */
export type ScheduleContext<C extends AnyContract, N> = Handles<N> &
  CallFacts & {
    readonly events: Events<C>;
    /**
     * What is written through it happens once for each tick. The transaction begins with the first statement: call other
     * services before that, not within.
     */
    readonly tx: Transaction;
    /** The tick: when it was due, as ISO time. Later than that by as much as the process was late or away. */
    readonly scheduledAt: string;
  };
