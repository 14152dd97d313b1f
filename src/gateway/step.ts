import type { Exchange } from "./exchange.ts";

/**
 * A stage on a request's way before its message is read: it calls `next` to let the request go on, now or later, or
 * throws (later: calls `exchange.fail`) to refuse it. Made at start for one endpoint, and only where the endpoint needs it.
 */
export type Step = (exchange: Exchange, next: (exchange: Exchange) => void) => void;

/**
 * One step that runs them in order, undefined ones left out. A stage that goes on later need not look after what the next
 * throws. An endpoint always goes on with the same function: the way is put together for that one once.
 */
export function composeSteps(steps: readonly (Step | undefined)[]): Step {
  const needed = steps.filter((step) => step !== undefined);
  const [first] = needed;
  if (!first) return (exchange, next) => next(exchange);
  if (needed.length === 1) return first;
  let known: ((exchange: Exchange) => void) | undefined;
  let begin: (exchange: Exchange) => void;
  return (exchange, next) => {
    if (next !== known) {
      begin = needed.reduceRight<typeof next>((after, step) => (each) => step(each, after), next);
      known = next;
    }
    begin(exchange);
  };
}

/** Goes on from a callback or a promise: what the next stage throws refuses the request. */
export function proceed(exchange: Exchange, next: (exchange: Exchange) => void): void {
  if (exchange.isOver) return;
  try {
    next(exchange);
  } catch (thrown) {
    exchange.fail(thrown);
  }
}
