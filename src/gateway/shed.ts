import type { Lane, Level, Overload, Pass, Waiter } from "../resilience/index.ts";
import { createLane, overloaded, waitMaxMsOf } from "../resilience/index.ts";
import type { EntranceOf } from "./entrance.ts";
import type { Exchange } from "./exchange.ts";
import { extendHead } from "./extras.ts";
import { retryAfterShed, shedAnswer } from "./shed-answer.ts";
import type { Step } from "./step.ts";
import { proceed } from "./step.ts";

/**
 * The first step of a request: whether the process takes it on. It comes before identity, so that a refusal costs next to
 * nothing; what may be refused first is what the route declares (`criticality`), never what a client says. A request whose
 * body has yet to come gives its place back, and asks for one again when the message is whole.
 */
export function compileShedding(overload: Overload | undefined, level: Level, deadlineMs: number): Step {
  if (!overload) {
    return (exchange, next) => {
      exchange.level = level;
      next(exchange);
    };
  }
  const lane = createLane();
  const waitMs = waitMaxMsOf(level, deadlineMs);
  const enter = (exchange: Exchange, next: (exchange: Exchange) => void, nowMs: number): void => {
    exchange.pass = overload.tryEnter(lane, level, nowMs);
    if (exchange.pass !== undefined) next(exchange);
    else overload.wait(new WaitingExchange(exchange, next, overload, lane, nowMs, waitMs));
  };
  const entrance: EntranceOf<Exchange> = {
    enterAgain: (exchange, next) => enter(exchange, next, exchange.edge.clock.now()),
    resume(exchange) {
      if (!exchange.isOver) exchange.pass ??= overload.enter(lane, exchange.edge.clock.now());
    },
  };
  return (exchange, next) => {
    exchange.level = level;
    exchange.entrance = entrance;
    enter(exchange, next, exchange.startedAt);
  };
}

class WaitingExchange implements Waiter {
  readonly since: number;
  readonly waitMaxMs: number;
  readonly #exchange: Exchange;
  readonly #next: (exchange: Exchange) => void;
  readonly #overload: Overload;
  readonly #lane: Lane;

  constructor(
    exchange: Exchange,
    next: (exchange: Exchange) => void,
    overload: Overload,
    lane: Lane,
    since: number,
    waitMaxMs: number,
  ) {
    this.#exchange = exchange;
    this.#next = next;
    this.#overload = overload;
    this.#lane = lane;
    this.since = since;
    this.waitMaxMs = waitMaxMs;
  }

  get level(): Level {
    return this.#exchange.level;
  }

  get isOver(): boolean {
    return this.#exchange.isOver;
  }

  run(): void {
    const exchange = this.#exchange;
    const pass: Pass = this.#overload.enter(this.#lane, exchange.edge.clock.now());
    exchange.pass = pass;
    proceed(exchange, this.#next);
  }

  refuse(): void {
    refuse(this.#exchange);
  }
}

/** A request with a body takes the longer way, which looks after the body. */
function refuse(exchange: Exchange): void {
  const { headers, edge, res } = exchange;
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) {
    exchange.fail(overloaded);
    return;
  }
  const { status, phrase, body } = shedAnswer;
  exchange.reason = overloaded.reason;
  const head = edge.refusalHead.slice();
  head[1] = String(body.length);
  extendHead(exchange, head);
  head.push("retry-after", retryAfterShed(edge.overload));
  res.statusMessage = phrase;
  exchange.answer(status, head, body, body.length);
}
