import type { Clock, Duration, ErrorCode, PlinthError, Policy } from "../base/index.ts";
import { systemClock, toMs, toPlinthError } from "../base/index.ts";
import { circuitOpen, isPassedOn, overloaded } from "./errors.ts";
import { gatedStream } from "./gated-stream.ts";
import type { StreamPolicy } from "./policy.ts";
import { RatioWindow } from "./ratio-window.ts";

/** `closed`: calls pass. `open`: all are refused. `half-open`: one probe is on its way, the others are refused. */
export type BreakerState = "closed" | "open" | "half-open";

export interface CircuitBreakerOptions {
  /** What is behind it, for messages and metrics: the name of a callee. */
  readonly name: string;
  /** Opens when at least this part of the calls failed. Default 0.5. */
  readonly failureRatio?: number;
  /** ... of at least so many calls. Default 20. */
  readonly callsMin?: number;
  /** ... within this time. Default 10 s. */
  readonly window?: Duration;
  /** How long it stays open before a probe. Default 5 s. */
  readonly openFor?: Duration;
  readonly clock?: Clock;
  readonly onChange?: (state: BreakerState, previous: BreakerState) => void;
}

/**
 * Leaves a sick callee alone: fails at once instead of letting each caller find out by waiting. The defaults are
 * Hystrix's (50 % of at least 20 calls in 10 s, 5 s open, then one probe).
 *
 * Counted as failures are `unavailable`, `deadline_exceeded`, `internal`, `unknown` and `data_loss`. Any other answer
 * shows that the callee works, also when it is a refusal. Not counted at all: a caller that went away or came too late,
 * `resource_exhausted`, which says neither, and what the callee passes on of a failure further down, which has a breaker
 * of its own there. A refused call gets `unavailable`, reason `CIRCUIT_OPEN`,
 * `executed: "no"`, and in `retry` the milliseconds until the next probe.
 *
 * It keeps no timer: `open` turns into `half-open` with the first call after its time. A probe that does not come back
 * within `openFor` is given up, and another one sent.
 */
export interface CircuitBreaker {
  readonly name: string;
  readonly state: BreakerState;
  /** Calls and failures within the window. */
  readonly callCount: number;
  readonly failureCount: number;
  /** Calls refused since the start. */
  readonly refusedCount: number;
  readonly policy: Policy;
  /** A stream succeeds with its first item, or by ending. An error fails it, whenever it comes. */
  readonly stream: StreamPolicy;
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Notes how a call ended that was made, around this breaker, while it was closed. `nowMs`: for who knows the time. */
  onAnswer(nowMs?: number): void;
  onFailure(thrown: unknown): void;
}

export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  return new Breaker(options);
}

const failureCodes: ReadonlySet<ErrorCode> = new Set([
  "unavailable",
  "deadline_exceeded",
  "internal",
  "unknown",
  "data_loss",
]);

/** What callers are told to wait while a probe is under way. */
const probeRetryMs = 100;

/** The ticket of a call that began while the circuit was closed. Probes have numbers from 1. */
const ordinary = 0;

type Outcome = "success" | "failure" | "neutral";

class Breaker implements CircuitBreaker {
  readonly name: string;
  state: BreakerState = "closed";
  refusedCount = 0;

  readonly #clock: Clock;
  readonly #failureRatio: number;
  readonly #callsMin: number;
  readonly #openForMs: number;
  readonly #onChange: CircuitBreakerOptions["onChange"];
  readonly #window: RatioWindow;
  /** When the circuit may be probed, or the probe under way is given up. */
  #until = 0;
  #probe = 0;
  #probing = false;

  constructor(options: CircuitBreakerOptions) {
    this.name = options.name;
    this.#clock = options.clock ?? systemClock;
    this.#failureRatio = options.failureRatio ?? 0.5;
    this.#callsMin = options.callsMin ?? 20;
    this.#openForMs = toMs(options.openFor ?? "5s");
    this.#onChange = options.onChange;
    this.#window = new RatioWindow(toMs(options.window ?? "10s"));
  }

  get callCount(): number {
    this.#window.advance(this.#clock.now());
    return this.#window.count;
  }

  get failureCount(): number {
    this.#window.advance(this.#clock.now());
    return this.#window.marked;
  }

  readonly policy: Policy = (next) => (request, context) => {
    if (this.state !== "closed") return this.run(() => next(request, context));
    let answer: Promise<unknown>;
    try {
      answer = next(request, context);
    } catch (thrown) {
      this.onFailure(thrown);
      return Promise.reject(thrown);
    }
    answer.then(() => this.onAnswer(), this.onFailure);
    return answer;
  };

  readonly stream: StreamPolicy = (next) => (request, context) => {
    let ticket = ordinary;
    let answered = false;
    const answer = () => {
      if (!answered) this.#record(ticket, "success");
      answered = true;
    };
    return gatedStream(context, {
      open: () => {
        ticket = this.#admit();
        return next(request, context);
      },
      onItem: answer,
      onEnd: (end, thrown) => {
        if (end === "failed") this.#record(ticket, outcomeOf(thrown));
        else if (end === "done") answer();
        else if (!answered) this.#record(ticket, "neutral");
      },
    });
  };

  async run<T>(work: () => Promise<T>): Promise<T> {
    const ticket = this.#admit();
    try {
      const answer = await work();
      this.#record(ticket, "success");
      return answer;
    } catch (thrown) {
      this.#record(ticket, outcomeOf(thrown));
      throw thrown;
    }
  }

  readonly onFailure = (thrown: unknown): void => this.#record(ordinary, outcomeOf(thrown));

  onAnswer(nowMs: number = this.#clock.now()): void {
    if (this.state === "closed") this.#window.add(nowMs, 1, 0);
  }

  #admit(): number {
    if (this.state === "closed") return ordinary;
    const nowMs = this.#clock.now();
    const mayProbe = !this.#probing || nowMs >= this.#until;
    if (this.state === "open" ? nowMs < this.#until : !mayProbe) throw this.#refusal(nowMs);
    this.#change("half-open");
    this.#probing = true;
    this.#until = nowMs + this.#openForMs;
    return ++this.#probe;
  }

  #refusal(nowMs: number): PlinthError {
    this.refusedCount++;
    return circuitOpen(this.name, this.state === "open" ? this.#until - nowMs : probeRetryMs);
  }

  #record(ticket: number, outcome: Outcome): void {
    if (ticket === ordinary) this.#recordOrdinary(outcome);
    else this.#recordProbe(ticket, outcome);
  }

  #recordOrdinary(outcome: Outcome): void {
    // What began before the circuit opened says nothing about the callee of now.
    if (this.state !== "closed" || outcome === "neutral") return;
    this.#window.add(this.#clock.now(), 1, outcome === "failure" ? 1 : 0);
    if (outcome === "success" || this.#window.count < this.#callsMin) return;
    if (this.#window.marked >= this.#failureRatio * this.#window.count) this.#open();
  }

  #recordProbe(ticket: number, outcome: Outcome): void {
    // A probe that was given up, or a stream whose first item has already closed the circuit.
    if (ticket !== this.#probe || this.state !== "half-open") return;
    this.#probing = false;
    if (outcome === "failure") this.#open();
    if (outcome === "success") {
      this.#window.reset();
      this.#change("closed");
    }
  }

  #open(): void {
    this.#until = this.#clock.now() + this.#openForMs;
    this.#change("open");
  }

  #change(state: BreakerState): void {
    const previous = this.state;
    if (previous === state) return;
    this.state = state;
    this.#onChange?.(state, previous);
  }
}

function outcomeOf(thrown: unknown): Outcome {
  const error = toPlinthError(thrown);
  const { code, executed } = error;
  if (code === "cancelled" || code === "resource_exhausted") return "neutral";
  // It is well enough to choose whom it serves.
  if (error.reason === overloaded.reason) return "neutral";
  if (code === "deadline_exceeded" && executed === "no") return "neutral";
  if ((code === "unavailable" || code === "deadline_exceeded") && isPassedOn(error)) return "neutral";
  return failureCodes.has(code) ? "failure" : "success";
}
