import type { Policy, StreamCall } from "../base/index.ts";

/**
 * Policies: what happens around a call when the world misbehaves.
 *
 * A policy is `(next: Call) => Call`. It is made once, when a method's pipeline is compiled, and holds its own state.
 * The order that this room is built for, from the outside in:
 *
 * ```
 * compose([retry({ ... }), breaker.policy, bulkhead.policy, deadline({ clock })])
 * ```
 *
 * - `retry` is outermost: each attempt passes the breaker and the bulkhead anew.
 * - The breaker sees what the deadline does: a callee that hangs counts as failed.
 * - The deadline is innermost: a slot of the bulkhead is free again when the caller has gone. Work that goes on beyond
 *   its deadline is no longer counted; a handler that wants to be stopped listens to `context.signal`.
 *
 * Promised: on the way of a call that succeeds there are no timers, and no allocation beyond the promises that JavaScript
 * asks for. Nothing waits without a bound. Every refusal says `executed: "no"`. All state can be read for metrics.
 *
 * Not promised: that a handler stops when its caller went away. Streams are never retried.
 */
export function compose(policies: readonly Policy[]): Policy {
  return (next) => policies.reduceRight((inner, policy) => policy(inner), next);
}

/** The same for a stream: it may refuse to begin, sees each item pass, and hears how it ended. */
export type StreamPolicy = (next: StreamCall) => StreamCall;

export function composeStreams(policies: readonly StreamPolicy[]): StreamPolicy {
  return (next) => policies.reduceRight((inner, policy) => policy(inner), next);
}
