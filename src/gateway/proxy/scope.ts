import type { PlinthError } from "../../base/index.ts";
import type { ForwardRequest } from "../../upstream/index.ts";
import { clientGone } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/**
 * Until when an outside system has to begin its answer, and who hears that nobody wants it any more: the client left, the
 * process ends, the body was refused. The deadline counts until the answer's head; after it an answer takes its time.
 */
export class ForwardScope {
  readonly deadline: number;
  /** There is one as a rule: whoever forwards. */
  #first: ((reason: PlinthError) => void) | undefined = undefined;
  #others: Set<(reason: PlinthError) => void> | undefined = undefined;
  #reason: PlinthError | undefined = undefined;

  constructor(exchange: Exchange, deadlineMs: number) {
    // Whether its Idempotency-Key is one is the outside system's to judge.
    const scope = exchange.begin(deadlineMs, false);
    this.deadline = scope.deadline;
    scope.onCancel((reason) => {
      if (exchange.res.headersSent && reason.code === "deadline_exceeded") return;
      this.#cancel(reason);
    });
    exchange.onFailure = (failure) => exchange.res.headersSent && failure.code === "deadline_exceeded";
    exchange.atEnd(({ res }) => {
      if (!res.writableEnded) this.#cancel(clientGone());
    });
  }

  /** Runs `listener` when nobody wants the answer any more, at once if that is so already. The returned function takes it back. */
  onCancel(listener: (reason: PlinthError) => void): () => void {
    if (this.#reason) listener(this.#reason);
    else if (!this.#first) this.#first = listener;
    else {
      this.#others ??= new Set();
      this.#others.add(listener);
    }
    return () => {
      if (this.#first === listener) this.#first = undefined;
      else this.#others?.delete(listener);
    };
  }

  #cancel(reason: PlinthError): void {
    if (this.#reason) return;
    this.#reason = reason;
    const listeners = [this.#first, ...(this.#others ?? [])];
    this.#first = undefined;
    this.#others = undefined;
    for (const listener of listeners) listener?.(reason);
  }
}

/** Makes what an outside system gets of a request. */
export type RequestMaker = (exchange: Exchange, body: ForwardRequest["body"], scope: ForwardScope) => ForwardRequest;
