import { throwLater } from "./assert.ts";
import { systemClock } from "./clock.ts";
import type { DeadlineEntry, Deadlines } from "./deadlines.ts";
import { createDeadlines } from "./deadlines.ts";
import { PlinthError } from "./errors.ts";
import { Position } from "./position.ts";

/**
 * The one shape of a call. Client, server, gateway, subscription and fault injector all are a `Call`, and every policy
 * around one is `(next: Call) => Call`.
 */
export type Call<Request = any, Response = any> = (request: Request, context: CallContext) => Promise<Response>;

/** A server-streaming call. Ending the iteration early cancels it. */
export type StreamCall<Request = any, Item = any> = (request: Request, context: CallContext) => AsyncIterable<Item>;

export type Policy = (next: Call) => Call;

/** Who calls. `anonymous` has no subject but "". */
export interface Principal {
  readonly kind: "anonymous" | "user" | "service";
  readonly subject: string;
  readonly scopes: readonly string[];
  /** The other verified claims of the token, plain JSON. */
  readonly claims: Readonly<Record<string, unknown>>;
}

export const anonymous: Principal = Object.freeze({ kind: "anonymous", subject: "", scopes: [], claims: {} });

/** The principal under which a service acts of its own accord: schedules, subscriptions, start. */
export function servicePrincipal(name: string): Principal {
  return Object.freeze({ kind: "service", subject: name, scopes: [], claims: {} });
}

/** The place of a call in a trace (W3C Trace Context). Ids are made into text only when asked for. */
export interface Trace {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
  readonly tracestate: string | undefined;
  /** The `traceparent` header that names this span as the parent. */
  traceparent(): string;
  /**
   * The same without text: writes the ids into six 32-bit words, the trace's first, and answers the flags. Missing where
   * there is only text.
   */
  writeIds?(into: Int32Array): number;
}

/** What `Trace.writeIds` wrote. */
export interface TraceIds {
  readonly words: Int32Array;
  flags: number;
}

/** The facts of one call, which travel with it: explicitly, as an argument, in the process and over the wire. */
export interface CallContext {
  readonly principal: Principal;
  /** When the answer is worth nothing any more, in `clock.now()` milliseconds of this process. */
  readonly deadline: number;
  /** Aborts when the caller went away, or the deadline passed. Made when first asked for. */
  readonly signal: AbortSignal;
  readonly trace: Trace | undefined;
  /** Makes a repeat harmless. Present when the caller gave one. */
  readonly idempotencyKey: string | undefined;
  /** The service that calls, or "gateway". */
  readonly caller: string;
  /** 1 for the first try. */
  readonly attempt: number;
  /** How much it matters when not all can be served: 0 sheddable, 1 sheddable_plus, 2 critical, 3 critical_plus. */
  readonly criticality: number;
  /** What this call and those around it have written, for reads from replicas. Made when first asked for. */
  readonly position: Position;
  /** The same, when somebody has asked for it. */
  readonly knownPosition: Position | undefined;
  /** The reason why this call is over, if it is. */
  readonly cancelled: PlinthError | undefined;
  /**
   * Runs `listener` when the call is cancelled, at once if it is already. The returned function takes it back. A
   * listener that throws keeps no other from running; its error becomes an uncaught exception.
   */
  onCancel(listener: (reason: PlinthError) => void): () => void;
  /** Takes back a listener, for those who would rather not hold a function that does. */
  offCancel(listener: (reason: PlinthError) => void): void;
  /** A call made on behalf of this one: ends with it, never lives longer, keeps principal and trace. */
  child(changes?: ScopeChanges): CallScope;
}

export interface ScopeFields {
  readonly principal: Principal;
  readonly deadline: number;
  readonly trace?: Trace | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly caller: string;
  readonly attempt?: number;
  /** Default 2, critical. */
  readonly criticality?: number;
  /** The wheel that watches the deadline. Default: one on the machine's clock. */
  readonly deadlines?: Deadlines | undefined;
}

export interface ScopeChanges {
  readonly deadline?: number;
  readonly trace?: Trace | undefined;
  readonly caller?: string;
  readonly idempotencyKey?: string | undefined;
  readonly attempt?: number;
  readonly principal?: Principal;
}

const systemDeadlines = createDeadlines(systemClock);

/**
 * A running call: the context, and the handle that cancels it. One constructor, one fixed shape, nothing allocated
 * before it is asked for.
 *
 * Whoever makes a scope calls `finish()` when the call is over, in whatever way: that takes it off the wheel and off
 * its parent.
 */
export class CallScope implements CallContext, DeadlineEntry {
  readonly principal: Principal;
  readonly deadline: number;
  trace: Trace | undefined;
  readonly idempotencyKey: string | undefined;
  readonly caller: string;
  readonly attempt: number;
  readonly criticality: number;
  cancelled: PlinthError | undefined = undefined;
  /** What it was answered with had been recorded for an idempotency key before. Set by whoever answers. */
  isRepeat = false;

  deadlineSlot = -1;
  deadlinePrev: DeadlineEntry | undefined = undefined;
  deadlineNext: DeadlineEntry | undefined = undefined;
  deadlineAt = 0;

  readonly #deadlines: Deadlines;
  /** The root of the tree of calls, which holds the position of all of them; undefined in the root itself. */
  #origin: CallScope | undefined = undefined;
  #position: Position | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  /** The only listener, as most calls have one; from the second on, all are in the set. */
  #listener: CancelListener | undefined = undefined;
  #listeners: Set<CancelListener> | undefined = undefined;
  // Children hang in a list that runs through them, so that a call costs its parent no closure and no set.
  #parent: CallScope | undefined = undefined;
  #previous: CallScope | undefined = undefined;
  #next: CallScope | undefined = undefined;
  #firstChild: CallScope | undefined = undefined;
  #lastChild: CallScope | undefined = undefined;

  constructor(fields: ScopeFields) {
    this.principal = fields.principal;
    this.deadline = fields.deadline;
    this.trace = fields.trace;
    this.idempotencyKey = fields.idempotencyKey;
    this.caller = fields.caller;
    this.attempt = fields.attempt ?? 1;
    this.criticality = fields.criticality ?? 2;
    this.#deadlines = fields.deadlines ?? systemDeadlines;
    if (fields.deadline !== Number.POSITIVE_INFINITY) this.#deadlines.add(this, fields.deadline);
  }

  get position(): Position {
    const origin = this.#origin ?? this;
    origin.#position ??= new Position();
    return origin.#position;
  }

  get knownPosition(): Position | undefined {
    return (this.#origin ?? this).#position;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.cancelled) this.#controller.abort(this.cancelled);
    }
    return this.#controller.signal;
  }

  cancel(reason: PlinthError): void {
    if (this.cancelled) return;
    this.cancelled = reason;
    this.#deadlines.remove(this);
    if (this.#listener) tell(this.#listener, reason);
    if (this.#listeners) for (const listener of this.#listeners) tell(listener, reason);
    this.#listener = undefined;
    this.#listeners = undefined;
    while (this.#firstChild) {
      const child = this.#firstChild;
      child.#leave();
      child.cancel(reason);
    }
    this.#controller?.abort(reason);
  }

  onCancel(listener: CancelListener): () => void {
    if (this.cancelled) {
      tell(listener, this.cancelled);
      return () => {};
    }
    if (this.#listeners) this.#listeners.add(listener);
    else if (this.#listener === undefined) this.#listener = listener;
    else {
      this.#listeners = new Set([this.#listener, listener]);
      this.#listener = undefined;
    }
    return () => this.offCancel(listener);
  }

  offCancel(listener: CancelListener): void {
    if (this.#listener === listener) this.#listener = undefined;
    else this.#listeners?.delete(listener);
  }

  child(changes: ScopeChanges = {}): CallScope {
    const child = new CallScope({
      principal: changes.principal ?? this.principal,
      deadline: Math.min(this.deadline, changes.deadline ?? Number.POSITIVE_INFINITY),
      trace: "trace" in changes ? changes.trace : this.trace,
      idempotencyKey: changes.idempotencyKey,
      caller: changes.caller ?? this.caller,
      attempt: changes.attempt ?? 1,
      criticality: this.criticality,
      deadlines: this.#deadlines,
    });
    child.#origin = this.#origin ?? this;
    if (this.cancelled) child.cancel(this.cancelled);
    else this.#adopt(child);
    return child;
  }

  finish(): void {
    this.#deadlines.remove(this);
    if (this.#parent) this.#leave();
    while (this.#firstChild) this.#firstChild.#leave();
    this.#listener = undefined;
    this.#listeners = undefined;
  }

  #adopt(child: CallScope): void {
    child.#parent = this;
    child.#previous = this.#lastChild;
    if (this.#lastChild) this.#lastChild.#next = child;
    else this.#firstChild = child;
    this.#lastChild = child;
  }

  /** Off the list of its parent, which it has. */
  #leave(): void {
    const parent = this.#parent as CallScope;
    if (this.#previous) this.#previous.#next = this.#next;
    else parent.#firstChild = this.#next;
    if (this.#next) this.#next.#previous = this.#previous;
    else parent.#lastChild = this.#previous;
    this.#parent = undefined;
    this.#previous = undefined;
    this.#next = undefined;
  }

  onDeadline(): void {
    this.cancel(deadlineExceeded());
  }
}

type CancelListener = (reason: PlinthError) => void;

function tell(listener: CancelListener, reason: PlinthError): void {
  try {
    listener(reason);
  } catch (thrown) {
    throwLater(thrown);
  }
}

export function deadlineExceeded(executed: "no" | "maybe" = "maybe"): PlinthError {
  return new PlinthError("deadline_exceeded", "The time allowed for this call is over.", { executed });
}
