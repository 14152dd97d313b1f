import type { Pass } from "../resilience/index.ts";

/**
 * How a request that was let in keeps its place among those in flight: it has one while the process works on it, and none
 * while what is missing is its client's to send or to take. How many may wait so is bounded by `limits.inFlight` alone.
 */
export interface EntranceOf<Exchange> {
  /** What was missing is there: goes on when there is a place, or refuses. */
  enterAgain(exchange: Exchange, next: (exchange: Exchange) => void): void;
  /** What was missing is there, and work on it has begun long since: it takes a place, whether there is one or not. */
  resume(exchange: Exchange): void;
}

/** A request as far as it has a place. */
interface Placed<Exchange> {
  pass: Pass | undefined;
  entrance: EntranceOf<Exchange> | undefined;
}

/** What is missing is the client's to send: meanwhile it takes nobody's place, and its time says nothing of ours. */
export function awaitClient<Exchange>(exchange: Placed<Exchange>): void {
  exchange.pass?.release();
  exchange.pass = undefined;
}

/** The head is out. How long a client takes for the rest says nothing of how slow we are. */
export function leavePlace<Exchange>(exchange: Placed<Exchange>, nowMs: number): void {
  exchange.entrance = undefined;
  exchange.pass?.end(nowMs);
  exchange.pass = undefined;
}
