import type { Rule } from "./rule.ts";

/**
 * The limiter port. A driver counts what keys have had, by rules; whose keys they are is not its business.
 *
 * Must: everything below, each as one atomic step: of demands that race for the last of a quota, exactly so many get it
 * as there is. Time is the store's own, not the caller's. Every operation may reject, with any error, when the engine
 * fails; what stands above decides what that means. Losing counts is allowed: it lets more pass, never less.
 *
 * A memory driver answers at once, without a promise: whoever asks must bear both.
 */
export interface LimitDriver {
  /** The product: "memory", "redis". Never holds a credential. */
  readonly name: string;
  readonly flags: LimitFlags;

  /** Once, before anything else. StartError when the engine cannot be used. */
  open(): Promise<void>;

  /**
   * Takes the cost of every demand, or nothing of any of them. `slot` says which demands are ever taken together: those
   * have the same one, so that a cluster keeps their keys in one place. 1 to 16 demands, of different keys.
   */
  take(slot: string, demands: readonly Demand[]): Taken | Promise<Taken>;

  /** Gives places back that were taken. Harmless for those that are not held any more. */
  release(slot: string, places: readonly Place[]): void | Promise<void>;

  /** Holds places for `holdMs` more, from now. One that is not held any more is not taken again. */
  renew(slot: string, places: readonly Place[]): void | Promise<void>;

  /** Lets go of everything. Repeating it is harmless. */
  close(): Promise<void>;
}

/** May: what differs between engines. */
export interface LimitFlags {
  /** Several processes count together; answers come over a network, and may be late or not come. */
  readonly shared: boolean;
}

export interface Demand {
  /** Any text; short ones cost less. A key is always used with the same slot, and with one rule. */
  readonly key: string;
  readonly rule: Rule;
  /** How much of the quota is taken: 0 to 1e9. 0 only asks. Always 1 for places. */
  readonly cost: number;
  /** For places: a name that no other holder has. */
  readonly holder?: string;
}

export interface Place {
  readonly key: string;
  readonly holder: string;
  readonly holdMs: number;
}

export interface Taken {
  /** All demands were taken. Otherwise none was. */
  readonly allowed: boolean;
  /** One for each demand, in order, as things stand after the step. */
  readonly states: readonly QuotaState[];
}

export interface QuotaState {
  /** It had room for its own demand. */
  readonly fits: boolean;
  /** What may be taken now: whole units. */
  readonly remaining: number;
  /** Until there is one more than `remaining`; 0 when there is nothing more to come. For places: unknown, 0. */
  readonly resetMs: number;
  /** Until the refused demand would fit, were nothing else taken. 0 when it fits; Infinity when it never can. */
  readonly retryMs: number;
}

export const demandsMax = 16;
